"""What is printed: for people, for programs, for editors; and nothing that a terminal would obey."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Shell, write_files

ESCAPE = "\x1b"
posix = pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals and file names as bytes")


def test_a_snippet_shows_the_definition_and_the_lines_that_matter(indexed: Shell) -> None:
    answer = indexed.query("retry failed uploads sleep", "-k", "1", "--lines", "3")
    assert answer.out.splitlines()[1:] == [
        "  22 │ def retry_failed_uploads(self):",
        '  23 │     """Try every failed upload again, waiting longer after each attempt."""',
        "  24 │     for attempt in range(ATTEMPTS):",
    ]


def test_no_snippet_leaves_one_line_a_hit(indexed: Shell) -> None:
    answer = indexed.query("json document", "--no-snippet", "--min-score", "0", "-k", "3")
    assert len(answer.out.splitlines()) == 3


def test_json_says_everything_once(indexed: Shell) -> None:
    answer = indexed.query("parse_json", "--json", "--explain")
    assert answer.status == 0
    told = json.loads(answer.out)
    assert set(told) == {"version", "query", "root", "coverage", "seconds", "hits", "closest"}
    assert (told["query"], told["coverage"], told["closest"]) == ("parse_json", 1.0, None)
    hit = told["hits"][0]
    assert "\ndef parse_json(text):\n" in "\n" + hit["text"]
    assert hit["text"].count("\n") == hit["end_line"] - hit["start_line"]
    assert isinstance(hit["explanation"], dict)
    assert 0 <= hit["score"] <= 1
    known = {key: hit[key] for key in ("path", "line", "symbol", "kind", "language")}
    assert known == {
        "path": "src/shop/jsonio.py",
        "line": 6,
        "symbol": "parse_json",
        "kind": "function",
        "language": "python",
    }


def test_json_without_hits_is_still_an_object(indexed: Shell) -> None:
    answer = indexed.query("parse json", "--json", "--min-score", "1")
    assert answer.status == 1
    told = json.loads(answer.out)
    assert told["hits"] == []
    assert told["closest"]["path"]


def test_vimgrep_points_at_the_name(indexed: Shell) -> None:
    answer = indexed.query("parse_json", "--vimgrep")
    for line in answer.out.splitlines():
        assert re.fullmatch(r"[^:]+:\d+:\d+:.*", line)
    assert answer.out.splitlines()[0] == "src/shop/jsonio.py:6:5:def parse_json(text):"


def test_vimgrep_counts_bytes(shell: Shell) -> None:
    write_files(shell.cwd, {"src/münze.py": "x = 'ä'; prüfe_münze = lambda wert: wert\n"})
    line = shell.query("prüfe_münze", "--vimgrep", "--min-score", "0", "--glob", "*.py").out.splitlines()[0]
    path, row, column, text = line.split(":", 3)
    assert (path, row) == ("src/münze.py", "1")
    assert text.encode()[int(column) - 1 :].decode().startswith("prüfe_münze")


def test_a_pipe_gets_no_colours(indexed: Shell) -> None:
    assert ESCAPE not in indexed.query("parse json").out


def test_colours_can_be_had_in_a_pipe(indexed: Shell) -> None:
    assert f"def {ESCAPE}[1;31mparse_json{ESCAPE}[0m(" in indexed.query("parse json", "--color", "always").out


@posix
def test_a_terminal_gets_colours_unless_it_is_told_not_to(indexed: Shell) -> None:
    from tests.cli.terminals import on_terminal

    assert ESCAPE in on_terminal(indexed, "query", "parse json").screen
    assert ESCAPE not in on_terminal(indexed, "query", "parse json", "--color", "never").screen
    assert ESCAPE not in on_terminal(indexed, "query", "parse json", NO_COLOR="1").screen
    assert ESCAPE not in on_terminal(indexed, "query", "parse json", TERM="dumb").screen


@posix
def test_lines_fit_the_terminal(shell: Shell) -> None:
    from tests.cli.terminals import on_terminal

    table = ", ".join(f"'{word * 5}'" for word in ("ounce", "漢字", "stone", "pound"))
    write_files(
        shell.cwd, {"scale.py": f"def weigh_parcel(x):\n    return [{table * 9}, 'parcel', {table * 9}]\n"}
    )
    screen = on_terminal(shell, "query", "weigh parcel", "-k", "1", columns=60).screen
    plain = re.sub(r"\x1b\[[0-9;]*[mK]", "", screen).replace("\r", "")
    assert "scale.py:1" in plain
    from modstar_lsp.cli.terminal import width_of

    assert all(width_of(line) <= 60 for line in plain.splitlines() if "│" in line)
    assert "'parcel'" in plain, "a long line is cut around what was asked for"


@posix
def test_a_repository_cannot_talk_to_the_terminal(shell: Shell) -> None:
    from tests.cli.terminals import on_terminal

    name = f"evil{ESCAPE}]0;owned\x07\n\u202e.py"
    text = f"def steal_cookies():\n    return '{ESCAPE}[2J\x9b31m\x07\u202eabc'  # cookies\r\n"
    write_files(shell.cwd, {f"src/{name}": text})
    for options in ([], ["--vimgrep"], ["--color", "never"]):
        answer = shell.query("steal cookies", "--min-score", "0", "-k", "1", *options)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", answer.out + answer.err)
        told = answer.err if "--vimgrep" in options else answer.out
        assert r"src/evil\x1b]0;owned\x07\n\u202e.py" in told
        assert "steal_cookies" in answer.out or "--vimgrep" in options
    screen = on_terminal(shell, "query", "steal cookies", "--min-score", "0", "-k", "1").screen
    assert not re.search("\x1b(?!\\[[0-9;]*[mK])|\x07|\u202e|\x1b\\[2J", screen)
    told = json.loads(shell.query("steal cookies", "--min-score", "0", "-k", "1", "--json").out)
    assert told["hits"][0]["path"] == f"src/{name}"
    listed = shell.index("--dry-run").out
    assert ESCAPE not in listed
    assert "evil" in listed


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="file names there are UTF-8")
def test_a_file_name_that_no_encoding_knows_is_no_obstacle(shell: Shell) -> None:
    (shell.cwd / os.fsdecode(b"caf\xe9.py")).write_text("def brew_coffee():\n    pass\n")
    assert shell.query("parse_json").places[0] == "src/shop/jsonio.py:6"
    assert shell.index("--dry-run").status == 0
    assert shell.index("--verbose").status == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_any_encoding_of_the_output_will_do(shell: Shell, encoding: str) -> None:
    write_files(shell.cwd, {"src/漢字.py": "def draw_kanji():\n    return '漢字 ✓'\n"})
    answer = shell.query("draw kanji", "--min-score", "0", env={"PYTHONIOENCODING": encoding})
    assert answer.status == 0
    assert answer.err == ""


def test_head_ends_it_in_silence(indexed: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    with indexed.start("query", "json document", "--min-score", "0", stdout=write) as process:
        os.close(write)
        err = process.communicate(timeout=TIMEOUT)[1]
    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_is_full_is_told(indexed: Shell) -> None:
    with Path("/dev/full").open("wb") as full:
        answer = indexed.query("parse json", stdout=full)
    assert answer.status == 2
    assert re.fullmatch(r"modstar-query: .*[Nn]o space left.*\n", answer.err)


@posix
def test_a_closed_output_is_no_accident(indexed: Shell) -> None:
    command = f'"{sys.executable}" -m modstar_lsp.cli.query "parse json" >&-'
    done = subprocess.run(
        command,
        shell=True,
        cwd=indexed.cwd,
        env=dict(indexed.environment),
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name != "posix", reason="no colon in a name elsewhere")
@pytest.mark.parametrize("name", ["a:1:b.py", "co:12:3:lon.py", "new\nline.py"])
def test_vimgrep_sends_no_editor_to_a_wrong_file(shell: Shell, name: str) -> None:
    (shell.cwd / name).write_text("def the_odd_one():\n    return 1\n")
    (shell.cwd / "even.py").write_text("def the_even_one():\n    return the_odd_one()\n")
    answer = shell.query("the_odd_one", "--vimgrep", "--min-score", "0")
    assert answer.status == 0
    assert answer.out.startswith("even.py:")
    assert all(re.match(r"[^:\n]+:\d+:\d+:", line) for line in answer.out.splitlines())
    assert "left out" in answer.err and "--json" in answer.err and answer.err.count("\n") == 1
