"""Files that changed while nobody indexes: an agent is told what stands in them now."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_process import Client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the indexing process in /proc")


@pytest.fixture
def behind(client: Client) -> Iterator[Client]:
    """A server whose indexing process is stopped, after it has indexed the shop."""
    client.call("search", query="weigh a parcel")
    threads = Path(f"/proc/{client.process.pid}/task").glob("*/children")
    (indexer,) = (
        int(pid)
        for thread in threads
        for pid in thread.read_text().split()
        if b"background.indexer" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(indexer, signal.SIGSTOP)
    yield client
    os.kill(indexer, signal.SIGCONT)


def test_a_moved_definition_has_its_lines_and_a_deleted_file_none(behind: Client, shop: Path) -> None:
    file = shop / "src/parcel.py"
    file.write_text("# Above.\n" * 20 + file.read_text())
    (shop / "src/letter.py").unlink()
    told = behind.call("search", query="weigh_parcel", lines=2, k=20)
    assert "src/parcel.py" in told and "21: def weigh_parcel(parcel):" in told
    assert "letter.py" not in told, told
