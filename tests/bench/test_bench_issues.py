"""Issues become questions for the functions that their fixes changed, and are asked whole and by title."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import issue_functions, issues
from bench.asking import ISSUE_FUNCTIONS, ISSUE_TITLES, ISSUES, Sources

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

BEFORE = """\
def connect(host):
    address = resolve(host)
    return Socket(address)


def upload(file, socket):
    data = file.read()
    socket.send(data)
    return len(data)


def forget(socket):
    first = socket
    second = first
    third = second
    second.close()
"""
# Since then lines came in above, and `forget` went.
NOW = '"""Sending files."""\n\n' + BEFORE.partition("def forget")[0]
# (title, its hunk)
ISSUED = {
    "upload breaks on an empty file": ["net.py", 4, 7, "def connect(host):"],
    "import the typing module": ["net.py", 1, 6, ""],
    "forget leaves the socket open": ["net.py", 11, 7, "def forget(socket):"],
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A repository as it was, its tree as it is, and issues about it."""
    repository = tmp_path / "history"
    repository.mkdir()
    (repository / "net.py").write_text(BEFORE)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True)
    tree = tmp_path / "trees" / ISSUES / "net"
    tree.mkdir(parents=True)
    (tree / "net.py").write_text(NOW)
    rows = [
        {
            "id": f"net-{number}",
            "repo": "net",
            "lang": "python",
            "title": title,
            "text": f"{title}\nIt worked last week.",
            "base_commit": head.stdout.decode().strip(),
            "hunks_base": [hunk],
        }
        for number, (title, hunk) in enumerate(ISSUED.items())
    ]
    (tmp_path / "sets" / ISSUES).mkdir(parents=True)
    (tmp_path / "sets" / ISSUES / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def make(made: Path, name: str = "net") -> int:
    sets, trees = str(made / "sets"), str(made / "trees")
    return issue_functions.main(
        [f"{name}={made / 'history'}", "--eval", sets, "--trees", trees, "--out", sets]
    )


def test_an_issue_asks_for_what_its_fix_changed_and_what_is_left_out_is_told(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(made) == 0
    told = capsys.readouterr().out
    assert "1 issues ask" in told and "1 whose fix changed none, 1 whose functions the tree" in told
    sources = Sources(made / "sets", made / "trees", None, made / "index")
    (whole,), (title,) = (sources.functions(name).queries for name in (ISSUE_FUNCTIONS, ISSUE_TITLES))
    assert whole.text == "upload breaks on an empty file\nIt worked last week."
    assert title.text == "upload breaks on an empty file"
    (answer,) = whole.answers
    assert (answer.path, answer.start, answer.end) == ("net.py", 8, 11)


def test_issues_are_asked_whole_and_by_title_in_every_way(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(made) == 0
    out = made / "results"
    paths = ["--eval", str(made / "sets"), "--trees", str(made / "trees"), "--out", str(out)]
    assert issues.main(paths) == 0
    (record,) = (json.loads(file.read_text()) for file in out.glob("*.json"))
    assert set(record["results"]) == set(issues.ASKS)
    for ways in record["results"].values():
        assert set(ways) == set(issues.WAYS)
        for way in ways.values():
            assert way["ranks"] == {"first": [1], "last": [1]}
            assert way["metrics"]["Acc@1"]["mean"] == way["metrics"]["MRR@10"]["mean"] == 1
    assert any("1 (no function changed)" in note for note in record["notes"])


def test_all_functions_of_an_issue_must_be_shown_for_accuracy() -> None:
    metrics = issues.Measured(first=[1, 3, float("inf")], last=[4, float("inf"), float("inf")]).metrics()
    assert metrics["Acc@1"].tolist() == [0, 0, 0] and metrics["any@1"].tolist() == [1, 0, 0]
    assert metrics["Acc@5"].tolist() == [1, 0, 0] and metrics["any@5"].tolist() == [1, 1, 0]
    assert metrics["MRR@10"].tolist() == [1, 1 / 3, 0]


def test_what_is_missing_is_said_in_one_line(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(made, "other") == 2
    assert "no issue of other" in capsys.readouterr().err
    assert issues.main(["--eval", str(made / "sets"), "--trees", str(made / "trees")]) == 2
    assert "queries.jsonl is missing" in capsys.readouterr().err
    shutil.rmtree(made / "trees")
    assert make(made) == 2
    assert "lay it out as TREES/issues_python/net" in capsys.readouterr().err
