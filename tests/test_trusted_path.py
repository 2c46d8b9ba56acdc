"""No program runs a module out of the folder that it is started in: files in a workspace are data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modstar_lsp.__main__ import PROGRAMS as COMMANDS
from modstar_lsp.trusted_path import trusted_path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
TIMEOUT = 120

INSTALLED = (
    "attrs cattrs cattr attr exceptiongroup hnswlib lsprotocol numpy onnxruntime psutil pygls tokenizers "
    "tree_sitter tree_sitter_python typing_extensions watchdog train export bench tests"
).split()


def imported_by_python_itself(base: Path) -> set[str]:
    """What `python -m` has loaded before the module begins; no program can do anything about it."""
    (base / "own").mkdir()
    (base / "own" / "begun.py").write_text("import sys; print(*sys.modules)")
    done = subprocess.run(
        [sys.executable, "-m", "begun"], cwd=base / "own", capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


class Hostile:
    """A workspace with a module of every name that modstar may import; each notes that it was run."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "workspace"
        self.indexes = base / "indexes"
        self._sprung = base / "sprung"
        for folder in (self.folder, self._sprung, self.folder / ".git"):
            folder.mkdir()
        for name in {*sys.stdlib_module_names, *INSTALLED} - imported_by_python_itself(base):
            note = str(self._sprung / name)
            (self.folder / f"{name}.py").write_text(f"open({note!r}, 'w').close()\nraise SystemExit(77)\n")
        # so much that helper processes are started, too
        body = "\n".join(
            f"def weigh_parcel_{n}(parcel):\n    return parcel.mass * {n}\n" for n in range(2000)
        )
        for part in range(6):
            (self.folder / f"parcels{part}.py").write_text(body)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        variables = {
            **os.environ,
            "XDG_CACHE_HOME": str(self.indexes),
            "HOME": str(self.indexes),
            **(environment or {}),
        }
        return subprocess.run(
            command, cwd=self.folder, env=variables, input=given, capture_output=True, timeout=TIMEOUT
        )

    def sprung(self) -> set[str]:
        return {note.name for note in self._sprung.iterdir()}


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


def test_a_hostile_folder_does_run_its_modules_in_other_programs(hostile: Hostile) -> None:
    hostile.run([sys.executable, "-m", "timeit", "-n", "1"])
    assert hostile.sprung()


def test_indexing_and_asking_run_nothing_of_the_workspace(hostile: Hostile) -> None:
    made = hostile.run([sys.executable, "-m", "modstar_lsp.cli.index"])
    assert (made.returncode, hostile.sprung()) == (0, set()), made.stderr
    found = hostile.run([sys.executable, "-m", "modstar_lsp.cli.query", "weigh parcel 7", "-k", "1"])
    assert (found.returncode, hostile.sprung()) == (0, set()), found.stderr
    assert b"weigh_parcel_7" in found.stdout
    deep = hostile.run([sys.executable, "-m", "modstar_lsp.cli.query", "weigh parcel 7", "--exit", "4"])
    assert (deep.returncode, hostile.sprung()) == (0, set()), deep.stderr


def initialize(folder: Path) -> bytes:
    """What a client says that opens the folder, asks a question and leaves."""
    messages: list[dict[str, Any]] = [
        {
            "id": 1,
            "method": "initialize",
            "params": {
                "capabilities": {},
                "processId": None,
                "rootUri": None,
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "it"}],
            },
        },
        {"method": "initialized", "params": {}},
        {"id": 2, "method": "modstar/search", "params": {"query": "weigh parcel 7"}},
        {"id": 3, "method": "shutdown"},
        {"method": "exit"},
    ]
    bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies)


@pytest.mark.parametrize("module", ["modstar_lsp.server", "modstar_lsp.server.main"])
def test_serving_runs_nothing_of_the_workspace(hostile: Hostile, module: str) -> None:
    served = hostile.run([sys.executable, "-m", module], given=initialize(hostile.folder))
    assert (served.returncode, hostile.sprung()) == (0, set()), served.stderr
    checked = hostile.run([sys.executable, "-m", module, "--check"])
    assert (checked.returncode, hostile.sprung()) == (0, set()), checked.stderr


@pytest.mark.parametrize("module", sorted({program.module for program in COMMANDS.values()}))
def test_no_program_runs_anything_of_the_workspace(hostile: Hostile, module: str) -> None:
    done = hostile.run([sys.executable, "-m", module, "--help"])
    assert (done.returncode, hostile.sprung()) == (0, set()), done.stderr


@pytest.mark.parametrize(
    "command",
    [["modstar-index"], ["modstar-query", "weigh parcel 7"], ["modstar-lsp", "--check"]],
    ids=lambda command: command[0],
)
def test_the_installed_commands_run_nothing_of_the_workspace(hostile: Hostile, command: list[str]) -> None:
    done = hostile.run([str(PROGRAMS / command[0]), *command[1:]])
    assert (done.returncode, hostile.sprung()) == (0, set()), done.stderr


@pytest.mark.parametrize(
    "command",
    [["modstar-index"], ["modstar-query", "weigh parcel 7"], ["modstar-lsp", "--check"]],
    ids=lambda command: command[0],
)
def test_a_path_variable_that_names_the_workspace_brings_in_no_package_of_it(
    tmp_path: Path, command: list[str]
) -> None:
    """What Python itself imports first is the variable's doing; what we import is not."""
    hostile = Hostile(tmp_path)
    for name in sys.stdlib_module_names:
        (hostile.folder / f"{name}.py").unlink(missing_ok=True)
    done = hostile.run([str(PROGRAMS / command[0]), *command[1:]], {"PYTHONPATH": "."})
    assert (done.returncode, hostile.sprung()) == (0, set()), done.stderr


def test_a_folder_known_by_two_names_is_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    monkeypatch.setattr(sys, "path", ["", "lib", str(tmp_path / "link"), str(tmp_path)])
    assert trusted_path() == [str(tmp_path)]


def test_a_folder_that_was_deleted_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path)])
    assert trusted_path() == [str(tmp_path)]


def test_in_our_own_clone_we_are_found() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; sys.path.insert(0, ''); sys.path[:] = [*sys.path];"
         "from modstar_lsp.trusted_path import trusted_path; print(trusted_path()[0])"],
        cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT,
    )  # fmt: skip
    assert done.stdout.strip() == str(ROOT), done.stderr


def test_a_script_that_imports_us_keeps_its_path(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(
        "import sys; before = [*sys.path]; import modstar_lsp; assert sys.path == before"
    )
    for command in (["tool.py"], ["-m", "tool"]):
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, timeout=TIMEOUT)
