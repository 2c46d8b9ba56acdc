"""A toy tree is searched, files are counted once, and a change of ranks shows as a diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import repos
from evaluation.sets import RepoQuery, RepoSet, SetError, load_repos

FILES = {
    "src/toy/parser.py": "def parse_json(text):\n    return loads(text)\n",
    "src/toy/window.py": "def open_window(title):\n    show(title)\n",
    "src/toy/retry.py": "def call_again(call):\n    for attempt in range(3):\n        call()\n",
}
QUERIES = [
    {"id": "toy-0", "repo": "toy", "text": "parse json", "lang": "python", "category": "semantic"},
    {"id": "toy-1", "repo": "toy", "text": "open window\nmore text", "lang": "python", "category": "symbol"},
]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The set, its second target written relative to the benchmark_root, and its tree."""
    trees, at = tmp_path / "trees", tmp_path / "eval" / "toys"
    for path, text in FILES.items():
        target = trees / "toys" / "toy" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    at.mkdir(parents=True)
    (at / "repos.json").write_text(
        json.dumps([{"name": "toy", "benchmark_root": "src/toy"}]), encoding="utf-8"
    )
    (at / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUERIES), encoding="utf-8")
    rows = ["toy-0\ttoy/src/toy/parser.py\t2", "toy-1\ttoy/window.py\t2", "toy-1\ttoy/gone.py\t1"]
    (at / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "eval", trees


def test_targets_are_found_in_the_tree_and_missing_ones_are_reported(folders: tuple[Path, Path]) -> None:
    toys = load_repos(folders[0], "toys", folders[1])
    assert toys.queries[0].targets == {"src/toy/parser.py"}
    assert toys.queries[1].targets == {"src/toy/window.py", "gone.py"}
    assert toys.queries[1].text == "open window"
    assert toys.missing == ("toy/gone.py",)
    assert toys.moved == 1


def test_a_file_counts_once_at_its_best_place() -> None:
    query = RepoQuery("q", "r", "text", "python", "", frozenset({"b", "c"}))
    outcome = repos.measure(RepoSet("s", (query,), {}, {}), [["a", "a", "a", "b", "c"]])
    assert outcome.ranks == [2]
    assert outcome.values["MRR@10"].tolist() == [0.5]
    assert outcome.values["Acc@1"].tolist() == [0]
    assert outcome.values["nDCG@10"][0] == pytest.approx((1 / 1.58496 + 0.5) / (1 + 1 / 1.58496), rel=1e-4)


def test_the_plain_rows_rank_by_names_windows_and_files(folders: tuple[Path, Path]) -> None:
    plain = repos.Plain(load_repos(folders[0], "toys", folders[1]))
    assert plain.names("toy")("the window")[0] == "src/toy/window.py"
    assert plain.windows("toy")("parse json") == ["src/toy/parser.py"]
    assert plain.whole("toy")("attempt") == ["src/toy/retry.py"]
    assert plain.names("toy")("nothing of it") == []


def test_the_command_scores_the_plain_rows(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "results"
    arguments = [
        "--eval",
        str(folders[0]),
        "--trees",
        str(folders[1]),
        "--set",
        "toys",
        "--plain",
        "--out",
        str(out),
    ]
    assert repos.main(arguments) == 0
    (written,) = out.glob("*.json")
    record = json.loads(written.read_text(encoding="utf-8"))
    assert record["results"]["systems"]["BM25, 50 lines"]["Acc@1"]["mean"] == 1
    assert "tree toy" in record["inputs"]
    assert any("toy/gone.py" in note for note in record["notes"])
    assert str(tmp_path) not in written.read_text(encoding="utf-8")


def test_the_command_scores_the_product_row_by_row(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, kept = tmp_path / "results", tmp_path / "golden"
    arguments = ["--eval", str(folders[0]), "--trees", str(folders[1]), "--set", "toys", "--ablate", "--read"]
    arguments += ["--out", str(out), "--golden", str(kept)]
    assert repos.main(arguments) == 0
    (written,) = out.glob("*.json")
    results = json.loads(written.read_text(encoding="utf-8"))["results"]
    assert [row.name for row in repos.product_rows([0], read=True)] == list(results["systems"])[3:]
    assert results["systems"]["everything, exit 0"]["Acc@10"]["mean"] == 1
    assert "name_match" in results["ablation"]
    assert json.loads((kept / "toys.json").read_text(encoding="utf-8"))["ranks"] == {"toy-0": 1, "toy-1": 1}
    assert repos.main(arguments) == 0
    assert "golden ranks as before" in capsys.readouterr().out


def test_a_rule_that_was_taken_out_is_put_back() -> None:
    from modstar_lsp.search.ranking import WEIGHTS

    before = dict(WEIGHTS)
    with repos.without_rule("name_match"):
        assert "name_match" not in WEIGHTS
    assert list(before.items()) == list(WEIGHTS.items())


def test_missing_trees_are_one_line(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--eval", str(folders[0]), "--trees", str(folders[0] / "none"), "--set", "toys"]
    assert repos.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(SetError, match="no repository set"):
        load_repos(folders[0], "other", folders[1])


def golden(ranks: dict[str, int | None], bundle: str = "b") -> dict[str, object]:
    return {"set": "toys", "row": "everything, exit 0", "bundle": bundle, "ranks": ranks}


def test_a_golden_diff_names_each_question_that_moved_losses_first() -> None:
    before = golden({"a": 1, "b": None, "c": 3, "d": 2})
    now = golden({"a": 4, "b": 2, "c": 3, "d": None})
    lines = repos.golden_diff(before, now, {"a": "parse json"})
    assert lines[0] == "everything, exit 0: 1 better, 2 worse, 1 as before"
    assert lines[1].split() == ["worse", "2", "->", "-", "d"]
    assert lines[2].split() == ["worse", "1", "->", "4", "a", "parse", "json"]
    assert lines[3].split() == ["better", "-", "->", "2", "b"]


def test_a_golden_diff_of_the_same_ranks_is_empty_and_another_bundle_is_said() -> None:
    assert repos.golden_diff(golden({"a": 1}), golden({"a": 1}), {}) == []
    assert "another bundle" in repos.golden_diff(golden({"a": 1}, "x"), golden({"a": 2}, "y"), {})[-1]
    assert "new: b" in repos.golden_diff(golden({"a": 1}), golden({"a": 1, "b": 1}), {})[-1]


def test_golden_ranks_are_kept_until_they_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "golden" / "toys.json"
    assert "written" in repos.check_golden(path, golden({"a": 1}), {}, update=False)[0]
    assert repos.check_golden(path, golden({"a": 1}), {}, update=False) == ["golden ranks as before"]
    assert "differ" in repos.check_golden(path, golden({"a": 2}), {}, update=False)[0]
    assert json.loads(path.read_text(encoding="utf-8"))["ranks"] == {"a": 1}
    repos.check_golden(path, golden({"a": 2}), {}, update=True)
    assert json.loads(path.read_text(encoding="utf-8"))["ranks"] == {"a": 2}
