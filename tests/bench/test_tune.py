"""Weights that are fitted find what tells right from wrong, on trees that the fit did not see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import tune
from bench.asking import DOCSTRINGS
from bench.tune import NAMES, Asked
from evaluation import metrics
from modstar_lsp.encoder import open_bundle
from modstar_lsp.search.calibrate import Calibration
from tests.encoder.random_bundle import make_bundle

FILES, QUESTIONS, TREES = 12, 60, 6


def asked(
    depth: int | None = 0,
    of_set: str = "repos",
    seed: int = 0,
    *,
    one_weight: bool = False,
    **telling: float,
) -> Asked:
    """Questions with one right file each, where the rules in `telling` are greater by so much."""
    rng = np.random.default_rng(seed)
    columns = np.zeros((QUESTIONS * FILES, len(NAMES)), np.float32)
    right = np.zeros(len(columns), bool)
    right[np.arange(QUESTIONS) * FILES + rng.integers(0, FILES, QUESTIONS)] = True
    for name in ("lexical", "dense", "stem_match", *telling):
        noise = rng.normal(size=len(columns))
        columns[:, NAMES.index(name)] = noise + telling.get(name, 0.0) * right
    return Asked(
        of_set,
        depth,
        columns,
        np.arange(len(columns), dtype=np.int32),
        np.arange(len(columns)),
        np.repeat(np.arange(QUESTIONS), FILES),
        right,
        np.ones(QUESTIONS, np.intp),
        np.array([f"tree {number % TREES}" for number in range(QUESTIONS)]),
        one_weight,
    )


START = {"lexical": 0.3, "stem_match": 0.3, "test_file": -0.3, "dense@0": 0.1}
FREE = list(START)


def test_the_rule_that_tells_right_from_wrong_gets_the_weight() -> None:
    weights = tune.fit([asked(stem_match=3.0)], START, FREE)
    assert weights["stem_match"] > 5 * max(weights["lexical"], weights["dense@0"])


def test_fitted_weights_carry_over_to_trees_left_out() -> None:
    one = asked(stem_match=3.0)
    (values,) = tune.left_out([one], START, FREE)
    assert values.mean() > one.values(START).mean() + 0.1


def test_an_exit_whose_cosine_tells_more_gets_more_weight() -> None:
    sets = [asked(0, dense=0.5), asked(4, seed=1, dense=3.0)]
    weights = tune.fit(sets, START | {"dense@4": 0.1}, ["dense@0", "dense@4"])
    assert weights["dense@4"] > 1.5 * weights["dense@0"] > 0
    assert weights["lexical"] == START["lexical"]


def test_exits_that_share_a_weight_get_one_between_their_own() -> None:
    start = START | {"dense@4": 0.1, "dense": 0.1}
    own = tune.fit([asked(0, dense=0.5), asked(4, seed=1, dense=3.0)], start, ["dense@0", "dense@4"])
    shared = [asked(0, dense=0.5, one_weight=True), asked(4, seed=1, dense=3.0, one_weight=True)]
    weights = tune.fit(shared, start, ["dense"])
    assert own["dense@0"] < weights["dense"] < own["dense@4"]
    assert (shared[0].vector(weights) == shared[1].vector(weights)).all()


def test_a_penalty_never_becomes_a_reward() -> None:
    weights = tune.fit([asked(test_file=3.0)], START, FREE)
    assert weights["test_file"] == 0


def test_values_are_the_metrics_of_the_literature() -> None:
    one = asked(stem_match=1.0)
    gains = np.zeros((QUESTIONS, tune.K))
    scores = one.scores(START).reshape(QUESTIONS, FILES)
    order = np.argsort(-scores, axis=1)[:, : tune.K]
    gains[:] = np.take_along_axis(one.right.reshape(QUESTIONS, FILES), order, axis=1)
    ideal = np.zeros_like(gains)
    ideal[:, 0] = 1
    assert one.values(START) == pytest.approx(metrics.ndcg(gains, ideal, tune.K))
    chunks = asked(of_set=DOCSTRINGS, stem_match=1.0)
    assert chunks.values(START) == pytest.approx(metrics.reciprocal_rank(gains, tune.K))


TOY = {
    "src/parser.py": "def parse_json(text):\n    return loads(text)\n",
    "src/window.py": "def open_window(title):\n    show(title)\n",
    "src/retry.py": "def call_again(call):\n    for attempt in range(3):\n        call()\n",
}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two trees with a question each, and a bundle."""
    for repo in ("one", "two"):
        for path, text in TOY.items():
            target = tmp_path / "trees" / "repos" / repo / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    at = tmp_path / "eval" / "repos"
    at.mkdir(parents=True)
    (at / "repos.json").write_text(json.dumps([{"name": "one"}, {"name": "two"}]), encoding="utf-8")
    asked = [("q1", "one", "parse json"), ("q2", "two", "open the window")]
    queries = [
        json.dumps({"id": name, "repo": repo, "text": text, "lang": "python"}) for name, repo, text in asked
    ]
    (at / "queries.jsonl").write_text("\n".join(queries) + "\n", encoding="utf-8")
    (at / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tone/src/parser.py\t1\nq2\ttwo/src/window.py\t1\n", encoding="utf-8"
    )
    make_bundle(tmp_path / "bundle")
    return tmp_path


def test_the_command_asks_fits_reports_and_writes_the_cosine(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--eval", folders / "eval", "--trees", folders / "trees", "--bundle", folders / "bundle"]
    arguments += ["--sets", "repos", "--keep", folders / "kept", "--out", folders / "out", "--write"]
    assert tune.main([str(argument) for argument in arguments]) == 0
    shown = capsys.readouterr().out
    assert "as it is, exit 0" in shown
    assert len(list((folders / "out").iterdir())) == 2
    written = open_bundle(folders / "bundle").calibration
    assert set(written) == {"0"}
    assert Calibration.from_manifest(written, 0).dense >= 0
    assert str(folders) not in next((folders / "out").glob("*.md")).read_text("utf-8")
    # What was kept is enough: the trees are not needed again.
    (folders / "trees").rename(folders / "moved")
    arguments[3] = folders / "moved"
    assert tune.main([*map(str, arguments), "--one-weight"]) == 0
    assert "| dense " in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [["--sets", "nothing"], ["--exits", "9"], ["--bundle", "nowhere"], ["--keep", str(Path(__file__))]],
)
def test_what_is_not_there_is_one_line_and_status_2(
    folders: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--eval", str(folders / "eval"), "--trees", str(folders / "trees")]
    assert tune.main([*arguments, "--bundle", str(folders / "bundle"), *wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
