"""The server ends when its client does, in the middle of anything, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
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
