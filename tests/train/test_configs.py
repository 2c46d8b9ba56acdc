"""A configuration is a base and what differs from it; a published run's is the one it was run with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from train.config import ConfigError, read_config
from train.resumed import NO_MATTER

RECORDS = Path(__file__).parents[2] / "train" / "records"


def written(folder: Path, name: str, **sections: Any) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(sections), encoding="utf-8")
    return path


def test_what_a_file_does_not_say_is_as_in_its_base(tmp_path: Path) -> None:
    written(tmp_path, "first", base="default", fit={"steps": 7, "anchor": None})
    found = read_config(written(tmp_path, "second", base="first", fit={"lr": 0.5}, pretrain=None, model={}))
    default = read_config(Path("default"))
    assert found.fit.steps == 7 and found.fit.lr == 0.5 and found.fit.anchor is None
    assert found.fit.exit_weights == default.fit.exit_weights and found.model == default.model
    assert found.pretrain == read_config(Path("default-wide")).pretrain != default.pretrain
    assert found.name == "second"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"base": "nowhere"}, "nowhere: no such configuration"),
        ({"base": "wrong"}, "its base wrong is made of differences from it"),
        ({"base": "default", "fit": {"stepz": 1}}, "unknown setting 'stepz'"),
        ({"base": "default", "fits": {}}, "unknown section 'fits'"),
        ({"fit": {"steps": 1}}, "no section 'model'"),
        ({"base": "default", "fit": 3}, "expected an object of sections"),
    ],
)
def test_a_wrong_base_or_difference_is_one_line(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(written(tmp_path, "wrong", **sections))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "record"),
    [
        ("default", "2026-11-22-default"),
        ("default-2", "2026-11-22-default-2"),
        ("default-wide", "2026-11-23-default-3"),
        ("more-of-the-same", "2026-11-23-more-of-the-same"),
        ("default-4", "2026-11-23-default-4"),
    ],
)
def test_the_configuration_of_a_recorded_run_is_the_one_it_was_run_with(config: str, record: str) -> None:
    told = json.loads((RECORDS / record / "config.json").read_text(encoding="utf-8"))
    found = read_config(Path(config))
    sections = {"fit": found.fit, "augmentation": found.augmentation}
    for section, settings in sections.items():
        for name, value in told.get(section, {}).items():
            if name not in NO_MATTER and hasattr(settings, name):
                own = getattr(settings, name)
                assert (list(own) if isinstance(own, tuple) else own) == value, (section, name)
