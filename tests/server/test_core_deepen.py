"""The index deepens in the background where that is wished for, and questions go on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lsp_process import Client, Message
from shop import FILES, lay_out

if TYPE_CHECKING:
    from tests.export.tiny_checkpoint import Exported

pytest.importorskip("torch", reason="making a model with several exits needs torch")

Start = Callable[..., Client]

DEEPEN = {"background": {"deepen": True}}


@pytest.fixture
def bundle(exported: Exported) -> Path:
    return exported.bundle


@pytest.fixture
def many(project: Path) -> Path:
    code = FILES["app/transfer.py"]
    return lay_out(project, {f"many/{n}.py": code.replace("upload", f"upload_{n}") for n in range(400)})


def coverage(status: Message) -> Message:
    found: Message = status["folders"][0]["coverage"]
    return found


def test_it_deepens_to_the_last_exit_and_says_how_far_it_is(
    start: Start, project: Path, bundle: Path
) -> None:
    client = start("--bundle", str(bundle), configuration=DEEPEN)
    client.initialize(project)
    status = client.until(lambda status: coverage(status)["deepened"] == 1)
    deepest = status["model"]["exits"][-1]
    assert deepest > 0 and coverage(status)["exit"] == deepest
    assert {hit["exit"] for hit in client.search("parse JSON", minScore=0)["hits"]} == {deepest}


def test_the_command_line_bounds_the_exit(start: Start, project: Path, bundle: Path) -> None:
    client = start("--bundle", str(bundle), "--exit", "0", configuration=DEEPEN)
    client.initialize(project)
    status = client.ready()
    assert len(status["model"]["exits"]) > 1
    assert coverage(status)["exit"] == 0 and coverage(status)["deepened"] == 1


def test_it_is_off_until_the_setting_switches_it_on(start: Start, project: Path, bundle: Path) -> None:
    client = start("--bundle", str(bundle))
    client.initialize(project)
    client.ready()
    time.sleep(0.5)  # in which it would have begun
    assert coverage(client.ready())["exit"] == 0
    client.configuration = DEEPEN
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.until(lambda status: coverage(status)["deepened"] == 1)


def test_it_waits_while_somebody_types_and_while_it_is_paused(start: Start, many: Path, bundle: Path) -> None:
    client = start("--bundle", str(bundle), configuration=DEEPEN)
    client.initialize(many)
    client.until(lambda status: coverage(status)["state"] == "deepening")
    client.command("modstar.pause")
    before = coverage(client.until(lambda status: coverage(status)["state"] == "paused"))
    client.symbols("upload a file")
    assert before["deepened"] < 1
    client.command("modstar.resume")
    client.until(lambda status: coverage(status)["deepened"] == 1)
