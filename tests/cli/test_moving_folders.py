"""Folders that go, or become others, in the middle of the work: never a wrong line, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Shell, write_files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="an open folder cannot be moved on Windows")

# What may become of a folder T meanwhile. O is another one, whose files have the same names.
MISHAPS = {
    "removed": "shutil.rmtree(T)",
    "renamed": "os.rename(T, T + '-moved')",
    "a file": "os.rename(T, T + '-moved'); open(T, 'w').close()",
    "a link": "os.rename(T, T + '-moved'); os.symlink(O, T)",
    "a link to itself": "os.rename(T, T + '-moved'); os.symlink(T, T)",
    "a pipe": "os.rename(T, T + '-moved'); os.mkfifo(T)",
    "another": "os.rename(T, T + '-moved'); os.rename(O, T)",
}
# When that happens, once.
MOMENTS = {
    "walking": (
        "real = os.scandir\n"
        "def scandir(path):\n"
        "    with real(path) as found: entries = list(found)\n"
        "    mishap()\n"
        "    return contextlib.nullcontext(entries)\n"
        "os.scandir = scandir\n"
    ),
    "reading": (
        "from modstar_lsp.index.writing import analysis\n"
        "real = analysis.read_text\n"
        "def read(*given):\n    mishap()\n    return real(*given)\n"
        "analysis.read_text = read\n"
    ),
    "searching": (
        "from modstar_lsp.workspace.workspace import Workspace\n"
        "real = Workspace.put\n"
        "def put(*given):\n    mishap()\n    return real(*given)\n"
        "Workspace.put = put\n"
    ),
    "answering": (
        "from modstar_lsp.workspace.workspace import Workspace\n"
        "real = Workspace.put\n"
        "def put(*given):\n    found = real(*given)\n    mishap()\n    return found\n"
        "Workspace.put = put\n"
    ),
}
LIES = "def a_lie():\n    return 'LIES'\n" * 40


def answered(shell: Shell, tmp_path: Path, moment: str, mishap: str, folder: Path) -> Answer:
    """What is answered when `mishap` befalls `folder` at that moment."""
    other = write_files(tmp_path / "other", {"jsonio.py": LIES, "src/shop/jsonio.py": LIES})
    program = (
        f"import contextlib, os, shutil\nT, O, done = {str(folder)!r}, {str(other)!r}, []\n"
        "def mishap():\n    if done: return\n    done.append(1)\n"
        f"    {MISHAPS[mishap]}\n{MOMENTS[moment]}"
    )
    return shell.query("parse_json", str(shell.cwd), program=program, cwd=tmp_path)


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_becomes_of_a_folder_is_what_is_answered(
    shell: Shell, tmp_path: Path, moment: str, mishap: str
) -> None:
    if moment != "reading":
        assert shell.index().status == 0
    answer = answered(shell, tmp_path, moment, mishap, shell.cwd / "src/shop")
    assert answer.status in (0, 1) and answer.err.count("\n") <= 1, answer
    assert "LIES" not in answer.out
    again = shell.query("parse_json", str(shell.cwd), cwd=tmp_path)
    assert [place for place in again.places if "src/shop/" in place] == []
    if moment not in ("walking", "reading"):  # what was walked before may be in the index, until it is asked
        assert answer.places == again.places, "as if it had happened before"


@pytest.mark.parametrize("mishap", ["removed", "renamed", "a file", "a link to itself", "a pipe"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_root_that_goes_is_one_line(shell: Shell, tmp_path: Path, moment: str, mishap: str) -> None:
    if moment != "reading":
        assert shell.index().status == 0
    answer = answered(shell, tmp_path, moment, mishap, shell.cwd)
    assert answer.status == 2 or moment in ("walking", "reading"), answer
    assert answer.status == 0 or (answer.err.count("\n") == 1 and answer.out == ""), answer
    if answer.status == 2:
        assert str(shell.cwd) in answer.err
