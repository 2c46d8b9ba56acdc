"""Calibrating find-similar writes, for each exit, what tells copies of a selection from other code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("zstandard", reason="names are replaced as in training")

from bench import calibrate_similar
from modstar_lsp.encoder import open_bundle
from modstar_lsp.search.calibrate import DEFAULT, LIKENESS, Calibration
from tests.encoder.random_bundle import make_bundle

SUBJECTS = {"reader": ("json", "text", "parser"), "screen": ("window", "title", "panel")}
FUNCTION = '''\
def load_{0}_{3}({1}, limit):
    """What the {0} number {3} says of the {1}."""
    {2} = make_{2}({1}, limit)
    for part in {2}.parts({3}):
        if part.size > limit:
            raise ValueError(f"{{part}} is too large for the {0}")
    return {2}.finish(limit)
'''


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Two small trees of some functions each, two sets of pairs, and a bundle of one exit."""
    for repo, words in SUBJECTS.items():
        target = tmp_path / "trees" / "repos" / repo
        target.mkdir(parents=True)
        for number in range(4):
            (target / f"{words[number % 3]}{number}.py").write_text(FUNCTION.format(*words, number))
    write_set(tmp_path / "eval/repos", [], {})
    rows = [{"name": repo} for repo in SUBJECTS]
    (tmp_path / "eval/repos/repos.json").write_text(json.dumps(rows), encoding="utf-8")
    for name in calibrate_similar.PAIRS:
        codes = {
            f"{language}-{task}": f"{opening} {task}_of(items) return sort(items, {task})"
            for task in ("median", "mean", "mode")
            for language, opening in (("python", "def"), ("javascript", "function"))
        }
        write_set(tmp_path / "eval" / name, list(codes), codes)
    make_bundle(tmp_path / "bundle", calibration={"0": DEFAULT._replace(dense=0.25).to_manifest()})
    folders = {"--eval": "eval", "--trees": "trees", "--bundle": "bundle", "--out": "results"}
    return [part for option, name in folders.items() for part in (option, str(tmp_path / name))]


def write_set(at: Path, names: list[str], codes: dict[str, str]) -> None:
    """A set in which each code asks for the one of the same task in the other language."""
    at.mkdir(parents=True)
    languages = {name: name.partition("-")[0] for name in names}
    queries = [{"id": f"q-{name}", "text": codes[name], "lang": languages[name]} for name in names]
    corpus = [{"id": name, "code": codes[name], "lang": languages[name], "path": ""} for name in names]
    for file, lines in (("queries.jsonl", queries), ("corpus.jsonl", corpus)):
        (at / file).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    relevant = [
        f"q-{one}\t{other}\t1\n"
        for one in names
        for other in names
        if one != other and one.partition("-")[2] == other.partition("-")[2]
    ]
    (at / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(relevant), encoding="utf-8")


def test_it_is_written_beside_the_other_and_no_index_is_thrown_away(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_bundle(tmp_path / "bundle")
    assert calibrate_similar.main([*arguments, "--write"]) == 0
    assert "renamed" in capsys.readouterr().out
    after = open_bundle(tmp_path / "bundle")
    assert after.digest == before.digest
    found = Calibration.from_manifest(after.calibration, 0)
    assert found._replace(similar=None) == Calibration.from_manifest(before.calibration, 0)
    assert found.similar is not None
    assert set(found.similar.weights) == set(LIKENESS)
    assert all(weight >= 0 for weight in found.similar.weights.values())
    assert 0 < found.similar.threshold < 1
    record = json.loads(next((tmp_path / "results").glob("*-similar-*.json")).read_text("utf-8"))
    assert record["results"]["0"]["kinds"]["verbatim"]["median"] > 0.5


def test_without_write_the_bundle_stays(arguments: list[str], tmp_path: Path) -> None:
    before = (tmp_path / "bundle" / "modstar.json").read_text("utf-8")
    assert calibrate_similar.main(arguments) == 0
    assert (tmp_path / "bundle" / "modstar.json").read_text("utf-8") == before


@pytest.mark.parametrize("wrong", [["--exits", "4"], ["--trees", "nowhere"], ["--eval", "nowhere"]])
def test_what_is_not_there_is_one_line_and_status_2(
    arguments: list[str], wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate_similar.main([*arguments, *wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
