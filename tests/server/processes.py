"""The processes that a process has started, as Linux tells of them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from lsp_process import TIMEOUT


def children(pid: int) -> list[int]:
    """The processes that descend from one. Threads and processes that end meanwhile are passed over."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    found += [int(child), *children(int(child))]
    return found


def indexers(pid: int) -> list[int]:
    """Those that index; a server keeps one that runs commands, too."""
    found = []
    for child in children(pid):
        with suppress(OSError):
            if b"background.indexer" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def are_gone(pids: list[int]) -> bool:
    """Whether all of these processes end within moments."""
    deadline = time.monotonic() + TIMEOUT
    while any(map(_is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
