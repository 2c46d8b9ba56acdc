"""A question as a process is timed with and without a server, beside ripgrep."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from bench import handover


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("rg") is None, reason="needs Linux and ripgrep")
def test_each_command_is_run_as_often_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trees" / "one").mkdir(parents=True)
    (tmp_path / "trees" / "one" / "net.py").write_text("def retry_request(url):\n    return send(url)\n")
    options = ["--trees", str(tmp_path / "trees"), "--rounds", "2", "--out", str(tmp_path / "out")]
    assert handover.main(options) == 0
    (written,) = (tmp_path / "out").glob("*-handover-*.json")
    raw = json.loads(written.read_text())["results"]["raw"]["one"]
    assert list(raw) == ["alone", "server", "rg", "python"]
    assert all(len(some) == 2 and min(some) > 0 for some in raw.values())
    assert "server / rg" in capsys.readouterr().out


def test_what_is_missing_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert handover.main(["--trees", str(tmp_path), "--names", "none"]) == 2
    assert "none: no such tree" in capsys.readouterr().err
