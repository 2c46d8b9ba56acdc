"""However a client ends or misbehaves, the process ends with it, and the index stays whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp_process import TIMEOUT, Client

from modstar_lsp.workspace import Workspace

QUESTION = {"name": "search", "arguments": {"query": "weigh a parcel"}}


def test_a_client_that_closes_its_end_ends_the_server(client: Client) -> None:
    client.call("search", query="weigh a parcel")
    assert client.close() == 0


def test_a_client_that_closes_in_the_middle_of_a_call_loses_nothing(
    client: Client, start: Callable[..., Client], shop: Path, tmp_path: Path
) -> None:
    client.send("tools/call", QUESTION)
    assert client.close() == 0
    assert "src/parcel.py" in start(shop).call("search", query="weigh a parcel")
    with Workspace.open(shop, index_dir=tmp_path / "indexes", write=False) as workspace:
        assert workspace.notice == ""


def test_a_client_that_never_reads_does_not_keep_the_server_from_ending(
    start: Callable[..., Client], shop: Path
) -> None:
    deaf = start(shop, hello=False, reads=False)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "no/such/" + "x" * 90}).encode() + b"\n"
    with pytest.raises(BrokenPipeError):  # it reads all that it is sent, until too much is unread
        for _ in range(100_000):
            deaf.write(line)
    assert deaf.process.wait(TIMEOUT) == 1


def test_two_servers_on_one_tree_both_answer(start: Callable[..., Client], shop: Path) -> None:
    one, other = start(shop), start(shop)
    asked = [client.send("tools/call", QUESTION) for client in (one, other)]
    for client, question in zip((one, other), asked, strict=True):
        assert "src/parcel.py" in client.answer(question)["result"]["content"][0]["text"]
    (shop / "src/gate.py").write_text("def open_gate(gate):\n    gate.lift()\n")
    for client in (one, other):
        assert "src/gate.py" in client.call("search", query="open the gate")


def test_an_index_damaged_meanwhile_is_made_anew_and_answers(
    client: Client, shop: Path, tmp_path: Path
) -> None:
    client.call("search", query="weigh a parcel")
    for database in (tmp_path / "indexes").rglob("*.db*"):
        data = bytearray(database.read_bytes())
        data[100:] = b"\xff" * (len(data) - 100)
        database.write_bytes(bytes(data))
    for _ in range(3):  # until it is noticed, and while it is made anew
        result = client.ask("tools/call", QUESTION)["result"]
    assert "src/parcel.py" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], "missing: no such folder"),
        (["--depth", "3"], "no such option: --depth"),
        (["--index-dir"], "--index-dir needs a folder"),
        (["--budget", "5"], "--budget needs a time such as 300ms or 2s, not '5'"),
        (["--exit", "deep"], "--exit needs a whole number, not 'deep'"),
        ([""], "FOLDER is empty"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modstar_lsp", "mcp", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_without_a_folder_the_project_around_the_current_one_is_served(
    start: Callable[..., Client], shop: Path
) -> None:
    (shop / ".git").mkdir()
    client = start(cwd=shop / "src")
    assert "web/scale.ts" in client.call("search", query="weigh a parcel", language="ts")


def test_asking_nothing_starts_no_indexer_and_writes_nothing(
    client: Client, shop: Path, tmp_path: Path
) -> None:
    client.ask("tools/list")
    assert client.close() == 0
    assert not (tmp_path / "indexes").exists()
