"""One call of the search tool and of ripgrep is counted: functions found, tokens of the answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench import agents, ripgrep
from evaluation.sets import Function, FunctionQuery

needs_ripgrep = pytest.mark.skipif(shutil.which("rg") is None, reason="needs ripgrep")

FILES = {
    "net.py": '''\
def connect(host):
    address = resolve(host)
    return Socket(address)


def retry_upload(file, attempts):
    """Send a file again after a failure."""
    for attempt in range(attempts):
        wait_longer(attempt)
        send(file)
''',
    "parcel.py": "def weigh_parcel(parcel):\n    return parcel.mass * GRAVITY\n",
    "notes.md": "# Notes\n\nA file.\n",
}
QUESTION = "where is a file sent again after a failure?"
ANSWER = {"path": "net.py", "name": "retry_upload", "start": 6, "end": 10}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A set of one question, and the tree that answers it."""
    tree = tmp_path / "trees" / "asked" / "net"
    tree.mkdir(parents=True)
    for path, text in FILES.items():
        (tree / path).write_text(text)
    (tmp_path / "sets" / "asked").mkdir(parents=True)
    row = {"id": "net-1", "repo": "net", "text": QUESTION, "answers": [ANSWER]}
    (tmp_path / "sets" / "asked" / "queries.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def options(made: Path, *more: str) -> list[str]:
    out = str(made / "out")
    return [
        "--eval",
        str(made / "sets"),
        "--trees",
        str(made / "trees"),
        "--sets",
        "asked",
        "--out",
        out,
        *more,
    ]


@needs_ripgrep
def test_both_are_asked_once_and_counted_alike(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agents.main(options(made)) == 0
    (written,) = (made / "out").glob("*-agents-asked-*.json")
    ways = json.loads(written.read_text())["results"]["asked"]["ways"]
    assert list(ways)[:2] == [agents.SEARCH, agents.PLACES] and len(ways) == 6
    for way in (agents.SEARCH, agents.PLACES, "rg, all words, as long"):
        assert ways[way]["found"] == [1], way
    assert 0 < ways[agents.PLACES]["tokens"][0] < ways[agents.SEARCH]["tokens"][0]
    assert ways["rg, all words, as long"]["tokens"][0] <= ways[agents.SEARCH]["tokens"][0]
    assert "functions per 1,000 tokens" in capsys.readouterr().out
    assert str(made) not in written.read_text()


def test_a_place_of_an_answer_counts_when_it_shows_the_function() -> None:
    text = (
        "in /src:\nnet.py\n  lines 6-10 retry_upload (function) 0.93\n    6: def retry_upload():\nother.py\n"
    )
    text += "  lines 1-3 x (function) 0.20\n(a note)"
    assert list(agents.places(text)) == [("net.py", 6, 10), ("other.py", 1, 3)]
    wanted, other = Function("net.py", 6, 10), Function("net.py", 1, 3)
    assert agents.shown_functions(FunctionQuery("1", "net", "", "", (wanted, other)), text) == {wanted}


@needs_ripgrep
def test_ripgrep_shows_first_where_most_of_the_words_are(made: Path) -> None:
    words = ripgrep.words_of(QUESTION)
    assert words == ["file", "sent", "failure"]
    found = ripgrep.lines_with(words, made / "trees" / "asked" / "net")
    best = ripgrep.by_all_words(found)
    assert (best[0].path, best[0].number) == ("net.py", 7)
    assert [line.path for line in best] == ["net.py", "notes.md"], "one line for each neighbourhood"
    assert [line.number for line in ripgrep.by_rarest_word(found, words)] == [7]
    text, inside = ripgrep.shown(best, 10)
    assert text.splitlines()[0] == "net.py" and len(inside) == 1, "one place, however short the answer"
    assert len(ripgrep.shown(best, 1_000)[1]) == 2


def test_what_is_missing_is_said_in_one_line(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agents.main(options(made, "--sets", "issue_functions")) == 2
    assert "queries.jsonl is missing" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(made))
    assert agents.main(options(made)) == 2
    assert capsys.readouterr().err == "bench.agents: rg is not on the PATH: install ripgrep\n"
