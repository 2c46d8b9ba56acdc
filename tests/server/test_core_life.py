"""How the process starts and ends, and what its surroundings cannot do to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lsp_process import TIMEOUT, Client
from processes import are_gone, children, indexers
from shop import FILES, lay_out

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modstar_lsp.server", *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def test_it_says_its_version_and_how_to_use_it() -> None:
    assert run("--version").stdout.startswith("modstar-lsp ")
    assert "--index-dir" in run("--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tcp", "many"],
        ["--tcp", "99999"],
        ["--exit", "-1"],
        ["--exit", "deep"],
        ["--bundle", ""],
        ["--what"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_told_and_nothing_starts(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "modstar-lsp: error:" in ended.stderr


def test_a_model_that_is_none_is_told_and_the_server_lives(
    start: Callable[..., Client], project: Path, tmp_path: Path
) -> None:
    client = start("--bundle", str(tmp_path / "nothing"))
    client.initialize(project)
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "failed")
    assert "no model bundle" in status["folders"][0]["message"]
    assert ["no model bundle" in told["message"] for told in client.said("window/showMessage")] == [True]
    answer = client.search("upload a file")
    assert answer["hits"] == [] and "no model bundle" in answer["message"]


def test_an_index_folder_that_cannot_be_is_told(start: Callable[..., Client], project: Path) -> None:
    blocked = project.parent / "a-file"
    blocked.write_text("")
    client = start("--index-dir", str(blocked / "indexes"))
    client.initialize(project)
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "failed")
    assert str(blocked) in status["folders"][0]["message"]


@pytest.mark.imports
def test_starting_waits_for_nothing_that_only_searching_needs() -> None:
    program = "import sys, modstar_lsp.server.server; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "sqlite3", "tree_sitter", "watchdog"} & set(ended.stdout.split())


def test_what_a_library_prints_does_not_reach_the_client(
    start: Callable[..., Client], project: Path, tmp_path: Path
) -> None:
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(
        "import atexit, threading, time\n"
        "def shout():\n"
        "    for _ in range(50):\n"
        "        time.sleep(0.02); print('shouting', flush=True)\n"
        "threading.Thread(target=shout, daemon=True).start()\n"
    )
    client = start(environment={"PYTHONPATH": str(noisy)})
    client.initialize(project)
    client.ready()
    assert client.symbols("parse a JSON document")[0] == "parse_json"


def test_over_tcp_it_serves_one_client(project: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "modstar_lsp.server",
        "--tcp",
        "0",
        "--index-dir",
        str(tmp_path / "indexes"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "127.0.0.1" in line
        with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))) as connection:
            client = Client.over(connection)
            client.initialize(project)
            client.ready()
            assert client.symbols("parse a JSON document")[0] == "parse_json"
            connection.shutdown(socket.SHUT_RDWR)
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait(TIMEOUT)


@ON_LINUX
@pytest.mark.parametrize("how", ["exit", "end of input", "SIGTERM", "SIGKILL"])
def test_its_processes_end_with_it(start: Callable[..., Client], project: Path, how: str) -> None:
    lay_out(
        project,
        {f"many/{n}.py": FILES["app/transfer.py"].replace("upload", f"upload_{n}") for n in range(800)},
    )
    client = start()
    client.initialize(project)
    client.until(lambda status: status["folders"][0]["coverage"]["state"] == "indexing")
    family = children(client.process.pid)
    assert family
    if how == "exit":
        client.exit()
    elif how == "end of input":
        assert client.process.stdin is not None
        client.process.stdin.close()
    else:
        client.process.send_signal(getattr(signal, how))
    client.process.wait(TIMEOUT)
    assert are_gone(family)


@ON_LINUX
def test_an_indexer_that_dies_is_replaced(client: Client, project: Path) -> None:
    (indexer,) = indexers(client.process.pid)
    os.kill(indexer, signal.SIGKILL)
    client.until(
        lambda status: (
            status["folders"][0]["coverage"]["state"] == "ready" and indexers(client.process.pid) != [indexer]
        )
    )
    (project / "app" / "late.py").write_text(
        'def compress_archive():\n    """Pack files into an archive."""\n'
    )
    client.changed(project / "app" / "late.py", kind=1)
    client.comes_up("compress_archive")


def test_modules_of_the_workspace_are_never_run(
    start: Callable[..., Client], project: Path, tmp_path: Path
) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    names = ("json", "numpy", "socket", "attrs", "pygls", "lsprotocol", "sqlite3", "tree_sitter", "pathlib")
    lay_out(project, {f"{name}.py": trap for name in names})
    client = start(cwd=project)
    client.initialize(project)
    client.ready()
    assert client.symbols("parse a JSON document")[0] == "parse_json"
    assert not (tmp_path / "sprung").exists()


def test_a_home_folder_is_not_indexed(start: Callable[..., Client], project: Path) -> None:
    client = start(environment={"HOME": str(project), "USERPROFILE": str(project)})
    client.initialize(project)
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "off")
    assert "open the folder of a project" in status["folders"][0]["message"]
    assert client.search("parse JSON")["hits"] == []
