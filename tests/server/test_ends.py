"""The server ends when its client does, in the middle of anything, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lsp_process import TIMEOUT, Client
from processes import are_gone, children
from shop import SLOWLY

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="children are looked up in /proc"
)


@pytest.fixture
def indexing(start: Callable[..., Client], large: Path) -> Client:
    """A server in the middle of the first indexing."""
    client = start(configuration=SLOWLY)
    client.initialize(large)
    client.until(lambda status: status["folders"][0]["coverage"]["share"] > 0)
    return client


def goes_on(start: Callable[..., Client], large: Path) -> None:
    """A new server finishes what the other one began."""
    client = start()
    client.initialize(large)
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "ready", timeout=120)
    assert status["folders"][0]["coverage"]["files"] == 400
    assert "message" not in status["folders"][0]
    assert client.search("stage399_59", minScore=0)["hits"][0]["path"] == "part7/stage399.py"


def test_the_end_of_its_input_ends_it_while_it_indexes(
    indexing: Client, start: Callable[..., Client], large: Path
) -> None:
    indexing.ask("modstar/search", {"query": "stage offset", "partialResultToken": 1})
    started = children(indexing.process.pid)
    assert started, "no process is indexing"
    assert indexing.process.stdin is not None
    indexing.process.stdin.close()
    indexing.process.wait(TIMEOUT)
    assert are_gone(started)
    goes_on(start, large)


def test_exit_ends_it_while_it_indexes(indexing: Client) -> None:
    indexing.ask("modstar/search", {"query": "stage offset", "partialResultToken": 1})
    started = children(indexing.process.pid)
    assert indexing.exit() == 0
    assert are_gone(started)


def test_exit_without_shutdown_is_an_error_status(client: Client) -> None:
    client.notify("exit")
    assert client.process.wait(TIMEOUT) == 1


def test_a_message_cut_off_by_the_end_of_input_ends_it(client: Client) -> None:
    started = children(client.process.pid)
    assert client.process.stdin is not None
    client.process.stdin.write(b'Content-Length: 1000\r\n\r\n{"jsonrpc": "2.0", "id"')
    client.process.stdin.close()
    client.process.wait(TIMEOUT)
    assert are_gone(started)


def test_a_client_that_no_longer_reads_does_not_keep_it_alive(indexing: Client) -> None:
    started = children(indexing.process.pid)
    assert indexing.process.stdout is not None
    os.kill(indexing.process.pid, signal.SIGSTOP)
    for n in range(50):
        indexing.ask("modstar/search", {"query": f"stage {n}"})
    assert indexing.process.stdin is not None
    indexing.process.stdin.close()
    os.kill(indexing.process.pid, signal.SIGCONT)
    indexing.process.wait(TIMEOUT)
    assert are_gone(started)


def test_killed_and_started_again_it_goes_on(
    indexing: Client, start: Callable[..., Client], large: Path
) -> None:
    started = children(indexing.process.pid)
    indexing.process.kill()
    indexing.process.wait(TIMEOUT)
    assert are_gone(started)
    goes_on(start, large)


def test_it_ends_with_the_process_that_the_client_named(
    start: Callable[..., Client], project: Path, large: Path
) -> None:
    """Though its pipe stays open: somebody else holds the other end, too."""
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    client = start()
    client.initialize(project, processId=editor.pid)
    client.ready()
    started = children(client.process.pid)
    editor.kill()
    editor.wait()
    assert client.process.wait(TIMEOUT) == 1
    assert are_gone(started)


def test_a_client_that_cannot_be_seen_does_not_end_it(start: Callable[..., Client], project: Path) -> None:
    client = start()
    client.initialize(project, processId=2**22 + 7)
    client.comes_up("parse_json")
    assert client.exit() == 0


def test_neither_a_request_nor_the_end_waits_for_lists_that_do_not_fit(client: Client) -> None:
    changed = "workspace/didChangeWorkspaceFolders"
    client.notify(changed, {"event": {"added": "x" * 100_000, "removed": []}})
    client.notify(changed, {"event": {"added": [{"uri": 7}] * 100_000, "removed": [{}] * 100_000}})
    diagnostics = {"textDocument": {"uri": "file:///a.py"}, "context": {"diagnostics": [7] * 100_000}}
    assert client.error("textDocument/codeAction", diagnostics)["code"] == -32602
    client.notify("textDocument/didOpen", opened("file:///huge.py", "x = 1\n" * 5_000_000))
    assert client.search("parse a json document")["hits"]
    client.notify(changed, {"event": {"added": [{"uri": 7}] * 100_000, "removed": []}})
    assert client.exit() == 0


def opened(uri: str, text: str) -> dict[str, object]:
    return {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}}


def test_a_thousand_unsaved_documents_keep_no_question_waiting(client: Client, project: Path) -> None:
    for number in range(1_000):
        text = f"def fresh_{number}(argument):\n    return {number}\n" * 10
        client.notify("textDocument/didOpen", opened((project / f"new/a{number}.py").as_uri(), text))
    assert client.search("parse a json document")["hits"][0]["symbol"] == "parse_json"
    client.comes_up("fresh_999")
    client.comes_up("fresh_0")
