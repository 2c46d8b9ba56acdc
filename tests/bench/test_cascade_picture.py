"""The picture of quality against milliseconds, drawn from a record as a user would draw it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cascade_picture import main


@pytest.fixture
def record(tmp_path: Path) -> Path:
    asked = {
        "0": {"ranks": [1.0, 0.0, 0.5, 0.2], "seconds": [0.004, 0.006, 0.005, 0.005]},
        "300": {"ranks": [1.0, 1.0, 0.5, 0.5], "seconds": [0.31, 0.3, 0.29, 0.3]},
    }
    path = tmp_path / "cascade.json"
    path.write_text(json.dumps({"results": {"asked": asked}}), "utf-8")
    return path


def test_every_budget_is_a_point_with_its_name(record: Path, tmp_path: Path) -> None:
    out = tmp_path / "images" / "cascade.svg"
    assert main([str(record), str(out)]) == 0
    drawn = out.read_text("utf-8")
    assert "<!-- at once -->" in drawn and "<!-- 300 ms to read -->" in drawn


def test_the_same_record_gives_the_same_picture(record: Path, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        main([str(record), str(tmp_path / name)])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("what", ["no file", "no such set", "no record"])
def test_what_is_no_record_is_told_in_one_line(
    record: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", "docstrings"] if what == "no such set" else []
    path = tmp_path / "none.json" if what == "no file" else record
    if what == "no record":
        path.write_text("[1, 2]", "utf-8")
    assert main([str(path), str(tmp_path / "out.svg"), *more]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and path.name in told
    assert not (tmp_path / "out.svg").exists()
