"""Configurations as files: {"model": shape of the encoder, "exit0": its run, "fit": the multi-exit run}."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from train.exit0 import Exit0Settings
from train.loop import FitSettings
from train.model import ModularStarConfig

FOLDER = Path(__file__).with_name("configs")
SECTIONS = {"model", "exit0", "fit"}

Settings = TypeVar("Settings", Exit0Settings, FitSettings)


class ConfigError(Exception):
    """A configuration cannot be used; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One configuration file."""

    name: str
    model: dict[str, Any]
    exit0: Exit0Settings
    fit: FitSettings

    def model_config(self, **changed: Any) -> ModularStarConfig:
        """The encoder's own configuration, checked."""
        config = ModularStarConfig(**(self.model | changed))
        try:
            config.check()
        except ValueError as error:
            raise ConfigError(f"{self.name}: {error}") from error
        return config


def read_config(path: Path) -> TrainConfig:
    """Read a file, or by its bare name one of train/configs."""
    if not path.is_file():
        named = FOLDER / f"{path.name}.json"
        if path.parent != Path() or not named.is_file():
            known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
            raise ConfigError(f"{path}: no such configuration; give a file or one of {known}")
        path = named
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict) or set(found) - SECTIONS:
        raise ConfigError(f"{path}: expected an object with {', '.join(sorted(SECTIONS))}")
    return TrainConfig(
        path.stem,
        found["model"],
        _settings(Exit0Settings, found.get("exit0", {}), path),
        _settings(FitSettings, found.get("fit", {}), path),
    )


def _settings(kind: type[Settings], values: dict[str, Any], path: Path) -> Settings:
    known = {one.name for one in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    given: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
    return kind(**given)
