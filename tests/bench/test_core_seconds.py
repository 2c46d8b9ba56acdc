"""What a question, a saved file and a day cost the server, in processor time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core_seconds import day, main

FUNCTION = 'def {name}(path):\n    """Read {name} from a file."""\n    return open(path).read()\n\n\n'


def test_a_small_project_is_measured_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "reading.py").write_text("".join(FUNCTION.format(name=f"part_{at}") for at in range(60)))
    out = tmp_path / "out"
    asked = ["--tree", str(tree), "--questions", "2", "--saves", "1", "--idle", "1", "--out", str(out)]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "a question, answered at once" in told and "a saved file" in told
    assert len(list(out.glob("*core-seconds*.json"))) == 1
    assert "saved" not in (tree / "reading.py").read_text()  # a copy is worked on


def test_a_day_is_its_questions_its_saves_and_its_hours() -> None:
    found = {"at once": 0.01, "read": 0.5, "again": 0.1, "saved": 0.05, "idle": 0.0}
    assert day(found, "at once") == pytest.approx(100 * 0.01 + 400 * 0.05)
    assert day(found | {"idle": 0.001}, "read") == pytest.approx(50 + 20 + 8 * 3600 * 0.001)


def test_a_folder_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tree", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
