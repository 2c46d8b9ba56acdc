"""Homes, folders and streams as no machine should have them: one line each, or the answer all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Answer, Shell, write_files
from tests.cli.test_bad_input import one_line

pytestmark = pytest.mark.skipif(os.name != "posix", reason="of folders and streams as POSIX has them")


def nowhere(shell: Shell, tmp_path: Path, program: str, *arguments: str) -> Answer:
    """What a program answers in a folder that is deleted before it begins."""
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os\nos.rmdir({str(gone)!r})\n{program}"
    return shell.run("query", *arguments, cwd=gone, program=program)


def started(program: str) -> str:
    return f"from modstar_lsp.{program} import main\nmain()"


def test_a_folder_that_is_named_is_searched_from_one_that_was_deleted(shell: Shell, tmp_path: Path) -> None:
    answer = nowhere(shell, tmp_path, "", "parse_json", str(shell.cwd))
    assert (answer.status, answer.places[0]) == (0, f"{shell.cwd}/src/shop/jsonio.py:6")


@pytest.mark.parametrize("program", ["cli.query", "cli.index", "mcp.main"])
def test_a_deleted_folder_is_called_so(shell: Shell, tmp_path: Path, program: str) -> None:
    answer = nowhere(shell, tmp_path, started(program), *(["x"] if "query" in program else []))
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "deleted: go to one that there is" in answer.err


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_none_takes_no_index(shell: Shell, home: str) -> None:
    answer = shell.query("parse_json", env={"HOME": home, "XDG_CACHE_HOME": ""})
    one_line(answer, 2, "no home folder is known", "HOME", "--index-dir")
    assert not list(shell.cwd.rglob("*.sqlite"))


def test_a_file_in_place_of_the_cache_folder_is_named(shell: Shell, tmp_path: Path) -> None:
    write_files(tmp_path, {"a-file": ""})
    for where in (tmp_path / "a-file", tmp_path / "a-file" / "deeper"):
        answer = shell.query("parse_json", env={"XDG_CACHE_HOME": str(where)})
        one_line(answer, 2, "a-file is no folder", "--index-dir")


def test_a_cache_folder_that_is_relative_does_not_count(shell: Shell) -> None:
    assert shell.index(env={"XDG_CACHE_HOME": "relative"}).status == 0
    assert not (shell.cwd / "relative").exists()
    assert (Path(shell.environment["HOME"]) / ".cache/modstar").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="such names")
def test_names_are_found_where_no_locale_is_set(shell: Shell) -> None:
    write_files(shell.cwd, {"日本/földer.py": "def fold_parcel(parcel):\n    return parcel\n"})
    kept = {name: shell.environment[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME", "PYTHONPATH")}
    bare = Shell(shell.cwd, {**kept, "LC_ALL": "C"})
    assert bare.query("fold_parcel").places[0] == "日本/földer.py:1"
    again = json.loads(shell.index("--json").out)
    assert (again["added"], again["changed"], again["removed"]) == (0, 0, 0)


# -- streams

CLOSED = {"input": (0,), "output": (1,), "errors": (2,), "all": (0, 1, 2)}


def closing(*numbers: int) -> str:
    """Ends in a process whose streams are closed, as the shell's `>&-` has them."""
    arguments = "[sys.executable, '-c', program, *sys.argv[1:]]"
    closed = "".join(f"os.close({number})\n" for number in numbers)
    return f"import os, sys\n{closed}os.execv(sys.executable, {arguments})"


def closed(program: str, *numbers: int) -> str:
    return f"program = {program!r}\n{closing(*numbers)}"


@pytest.mark.parametrize("which", CLOSED)
def test_an_index_is_made_whole_where_streams_are_closed(shell: Shell, which: str) -> None:
    """What a library or a child prints must not get into a file that was opened with a stream's number."""
    noisy = "import os\nos.write(1, b'noise') and os.write(2, b'noise')\n" if which == "all" else ""
    program = (
        "from modstar_lsp.index import Index\nreal = Index.refresh\n"
        f"def refresh(*a, **k):\n    found = real(*a, **k)\n    exec({noisy!r})\n    return found\n"
        f"Index.refresh = refresh\n{started('cli.index')}"
    )
    answer = shell.run("index", program=closed(program, *CLOSED[which]))
    assert (answer.status, answer.err) == (0, "")
    assert bool(answer.out) == (1 not in CLOSED[which])
    found = shell.query("parse_json")
    assert (found.status, found.err, found.places[0]) == (0, "", "src/shop/jsonio.py:6")


@pytest.mark.parametrize("which", CLOSED)
def test_a_query_keeps_its_status_where_streams_are_closed(indexed: Shell, which: str) -> None:
    program = closed(started("cli.query"), *CLOSED[which])
    for question, status in (("parse_json", 0), ("gluon lattice chromodynamics", 1)):
        answer = indexed.run("query", question, program=program)
        assert answer.status == status, answer
        assert answer.err.count("\n") == (status == 1 and 2 not in CLOSED[which])


@pytest.mark.parametrize("which", ["input", "output", "all"])
@pytest.mark.parametrize("program", ["mcp.main", "server.main"])
def test_a_server_without_streams_says_so(shell: Shell, program: str, which: str) -> None:
    answer = shell.run("query", program=closed(started(program), *CLOSED[which]))
    assert (answer.status, answer.out) == (2, "")
    if which != "all":
        assert answer.err.count("\n") == 1 and "standard input or output is closed" in answer.err


@pytest.mark.parametrize("arguments", [["--json"], ["--vimgrep"], ["--help"], ["--explain", "-k", "50"]])
def test_a_pipe_that_closes_in_the_middle_is_the_end_and_no_error(
    indexed: Shell, arguments: list[str]
) -> None:
    there, here = os.pipe()
    os.close(there)
    with indexed.start("query", "json", *arguments, stdout=here, stderr=subprocess.PIPE) as process:
        os.close(here)
        _, err = process.communicate(timeout=TIMEOUT)
    assert err == b"" and process.returncode in (0, 2)
