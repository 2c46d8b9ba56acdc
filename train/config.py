"""Configurations as files: {"model": shape of the encoder, and a section for each kind of run}.

"exit0", "pretrain", "fit" are those of train/exit0.py, pretrain.py, loop.py; "start" says how the encoder
begins, "augmentation" what is changed in the pairs, "prompts" what is read before them, "rerank" and "clones"
are those of train/rerank.py and clones.py. "base" names a configuration to differ from: what a file does not
say is as there, and null takes back what is said there.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from model.config import ModularStarConfig
from model.prompts import Prompts
from train.clones import ClonesSettings
from train.data import Augmentation
from train.exit0 import Exit0Settings
from train.loop import FitSettings
from train.pretrain import PretrainSettings
from train.rerank import RerankSettings
from train.start import StartSettings

FOLDER = Path(__file__).with_name("configs")

Settings = TypeVar("Settings", bound=object)


class ConfigError(Exception):
    """A configuration cannot be used; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One configuration file."""

    name: str
    model: dict[str, Any]
    exit0: Exit0Settings
    start: StartSettings
    pretrain: PretrainSettings
    fit: FitSettings
    augmentation: Augmentation
    prompts: Prompts
    rerank: RerankSettings
    clones: ClonesSettings

    def model_config(self, **changed: Any) -> ModularStarConfig:
        """The encoder's own configuration, checked."""
        known = set(inspect.signature(ModularStarConfig).parameters)
        for name in self.model.keys() - known:
            raise ConfigError(f"{self.name}: unknown setting {name!r}; known are {', '.join(sorted(known))}")
        try:
            config = ModularStarConfig(**(self.model | changed))
            config.check()
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise ConfigError(f"{self.name}: {error}") from error
        return config

    def changed(self, **sections: dict[str, Any]) -> TrainConfig:
        """The same with some settings of some sections changed."""
        parts: dict[str, Any] = {}
        for section, values in sections.items():
            own = getattr(self, section)
            parts[section] = own | values if section == "model" else replace(own, **values)
        return replace(self, **parts)


SECTIONS = {
    "exit0": Exit0Settings,
    "start": StartSettings,
    "pretrain": PretrainSettings,
    "fit": FitSettings,
    "augmentation": Augmentation,
    "prompts": Prompts,
    "rerank": RerankSettings,
    "clones": ClonesSettings,
}
NAMES = sorted({"model", *SECTIONS})


def read_config(path: Path) -> TrainConfig:
    """Read a file, or by its bare name one of train/configs."""
    path = _place(path)
    found = _read(path, ())
    if "model" not in found:
        raise ConfigError(f"{path}: no section 'model'; the sections are {', '.join(NAMES)}")
    sections: dict[str, Any] = {
        name: _settings(kind, found.get(name, {}), path) for name, kind in SECTIONS.items()
    }
    return TrainConfig(path.stem, found["model"], **sections)


def _place(path: Path, beside: Path = Path()) -> Path:
    """The file that a path from the folder `beside` means, or a bare name: one there or in train/configs."""
    named = [folder / f"{path.name}.json" for folder in (beside, FOLDER)] if path.parent == Path() else []
    for place in (beside / path, *named):
        if place.is_file():
            return place
    known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
    raise ConfigError(f"{path}: no such configuration; give a file or one of {known}")


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """The sections of a file, those of its base under them; `above`: the files that differ from this one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error})") from error
    base = found.pop("base", None) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not all(isinstance(one, dict | None) for one in found.values()):
        raise ConfigError(f"{path}: expected an object of sections: {', '.join(NAMES)}")
    if wrong := sorted(found.keys() - set(NAMES)):
        raise ConfigError(f"{path}: unknown section {wrong[0]!r}; the sections are {', '.join(NAMES)}")
    below: dict[str, dict[str, Any]] = {}
    if base is not None:
        place = _place(Path(str(base)), path.parent)
        if place in (path, *above):
            raise ConfigError(f"{path}: its base {base} is made of differences from it")
        below = _read(place, (path, *above))
    return below | {name: _over(below.get(name, {}), own) for name, own in found.items()}


def _over(base: dict[str, Any], own: dict[str, Any] | None) -> dict[str, Any]:
    if own is None:
        return {}
    return {name: value for name, value in (base | own).items() if value is not None}


def _settings(kind: type[Settings], values: dict[str, Any], path: Path) -> Settings:
    """The settings of one section, every name known and every value of its default's kind."""
    defaults = {one.name: getattr(kind(), one.name) for one in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in defaults:
            raise ConfigError(f"{path}: unknown setting {name!r}; known are {', '.join(sorted(defaults))}")
        value = tuple(value) if isinstance(value, list) else value
        default = defaults[name]
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if default is not None and type(value) is not type(default) and not number:
            raise ConfigError(
                f"{path}: {name} is {json.dumps(values[name])}, but should be like {json.dumps(default)}"
            )
        given[name] = value
    return kind(**given)
