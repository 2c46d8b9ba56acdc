"""The language server's bench drives a real server and keeps what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import lsp


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    for number in range(12):
        file = tmp_path / f"trees/set/repository/part{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n\n".join(f"def step_{number}_{n}(x):\n    return x + {n}" for n in range(60)))
    return tmp_path / "trees"


def test_every_part_leaves_its_figures(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsp, "_SAVE_EVERY", 0.2)  # what the figures say nobody looks at here
    monkeypatch.setattr(lsp, "_REST", 0.0)
    sizes = ["--rounds", "1", "--chunks", "20", "--files", "6", "--questions", "4"]
    assert lsp.main(["--trees", str(trees), "--out", str(tmp_path / "out"), *sizes]) == 0
    (written,) = (tmp_path / "out").glob("*-lsp-*.json")
    results = json.loads(written.read_text())["results"]
    promised = [figure for figure in results["figures"] if figure[2]]
    assert len(promised) == 12
    assert all(isinstance(held, bool) for *_, held in promised)
    assert written.with_suffix(".md").is_file()
    assert str(tmp_path) not in written.read_text()
    assert "to the answer to initialize" in capsys.readouterr().err


def test_an_unknown_part_is_told(trees: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lsp.main(["--trees", str(trees), "--only", "start,tepid"])
    assert "tepid" in capsys.readouterr().err


def test_a_server_that_ends_is_an_error_of_one_line(trees: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lsp.main(["--trees", str(trees), "--only", "start", "--server-command", "false"]) == 2
    assert capsys.readouterr().err == "bench.lsp: the server ended\n"
