"""Calibrating a bundle writes, for each exit, what tells right hits from wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import calibrate
from modstar_lsp.encoder import open_bundle
from modstar_lsp.search.calibrate import DEFAULT, Calibration
from tests.encoder.random_bundle import make_bundle

TREES = {
    "reader": {"parser.py": "def parse_json(text):\n    return loads(text)\n", "other.py": "x = 1\n"},
    "screen": {"window.py": "def open_window(title):\n    show(title)\n", "other.py": "y = 2\n"},
}
QUESTIONS = [
    ("q1", "reader", "parse the json text", "parser.py"),
    ("q2", "screen", "open a window", "window.py"),
]


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Both repository sets over two small trees, and a bundle whose cosine has a weight of its own."""
    for name in ("repos", "issues_python"):
        for repo, files in TREES.items():
            for path, text in files.items():
                target = tmp_path / "trees" / name / repo / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        at = tmp_path / "eval" / name
        at.mkdir(parents=True)
        (at / "repos.json").write_text(json.dumps([{"name": repo} for repo in TREES]), encoding="utf-8")
        lines = [json.dumps({"id": i, "repo": r, "text": t, "lang": "python"}) for i, r, t, _ in QUESTIONS]
        (at / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        relevant = "".join(f"{i}\t{repo}/{path}\t1\n" for i, repo, _, path in QUESTIONS)
        (at / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + relevant, encoding="utf-8")
    make_bundle(tmp_path / "bundle", calibration={"0": DEFAULT._replace(dense=0.25).to_manifest()})
    folders = {"--eval": "eval", "--trees": "trees", "--bundle": "bundle"}
    paths = [part for option, name in folders.items() for part in (option, str(tmp_path / name))]
    return [*paths, "--sets", "repos,issues_python"]


def test_it_is_written_for_each_exit_and_the_weight_of_the_cosine_stays(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate.main([*arguments, "--write"]) == 0
    assert "stay above the threshold" in capsys.readouterr().out
    written = open_bundle(tmp_path / "bundle").calibration
    assert set(written) == {"0"}
    found = Calibration.from_manifest(written, 0)
    assert found.dense == 0.25
    assert 0 < found.threshold < 1
    assert all(weight >= 0 for weight in found.weights.values())


def test_without_write_the_bundle_stays(arguments: list[str], tmp_path: Path) -> None:
    before = (tmp_path / "bundle" / "modstar.json").read_text("utf-8")
    assert calibrate.main(arguments) == 0
    assert (tmp_path / "bundle" / "modstar.json").read_text("utf-8") == before


@pytest.mark.parametrize("wrong", [["--exits", "4"], ["--trees", "nowhere"], ["--eval", "nowhere"]])
def test_what_is_not_there_is_one_line_and_status_2(
    arguments: list[str], wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate.main([*arguments, *wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
