"""A face's end of an indexer process: start it, command it, listen to it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from modstar_lsp.trusted_path import trusted_path

# The current folder is not on the indexer's path, where a workspace could put a module of its own.
_INDEXER_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from modstar_lsp.background.indexer import main
main()
"""

#: What a child that ended says last.
DIED = "died"
# One that ended by itself so often will do so again.
MAX_DEATHS = 3

Event = dict[str, Any]


class Launch(NamedTuple):
    """What a face's command line decided, and nothing else can.

    index_dir, bundle: None for the defaults.  deepest: the deepest exit to use, None for all of the bundle's.
    store: the URL of a store to ask beside the folders, "" for none.  labels: of what may be seen there.
    """

    index_dir: Path | None = None
    bundle: Path | None = None
    deepest: int | None = None
    store: str = ""
    labels: tuple[str, ...] = ()


class Child:
    """An indexer process. It has no folder until it is told to open one, so one can be started ahead."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _INDEXER_PROGRAM, json.dumps(trusted_path())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal is for the server, which ends its children itself.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
        )

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def listen(self, on_event: Callable[[Event], None]) -> None:
        """Call `on_event` with every event, on a thread of its own; the last one is DIED."""
        threading.Thread(target=self._listen, args=(on_event,), name="modstar-child", daemon=True).start()

    def _listen(self, on_event: Callable[[Event], None]) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                on_event(json.loads(line))
        if not self._closed:
            self._process.wait()
            on_event({"event": DIED, "status": self._process.returncode})

    def open(self, root: Path, launch: Launch, **details: Any) -> None:
        """Have it index `root`. details: what "open" may say besides, see indexer.py."""
        folders = {"root": root, "index_dir": launch.index_dir, "bundle": launch.bundle}
        named = {key: None if path is None else os.fspath(path) for key, path in folders.items()}
        self.send("open", **named, exit=launch.deepest, **details)

    def send(self, command: str, **details: Any) -> None:
        """Give a command; one that ended takes none."""
        assert self._process.stdin is not None
        line = json.dumps({"do": command, **details}).encode() + b"\n"
        with self._lock, suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def close(self) -> None:
        """End it at once: its index is whole after any transaction."""
        self._closed = True
        with suppress(OSError):
            self._process.kill()

    def wait(self, seconds: float) -> None:
        """Wait until it is gone, for so long at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
