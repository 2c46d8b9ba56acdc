"""Tells what changed in a workspace while it is open.

Events are only hints: a burst is gathered for a moment, duplicates fall together, and whoever listens
compares stat with what it knows. watchdog is imported when a watcher starts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modstar_lsp.files.kinds import VERSION_CONTROL
from modstar_lsp.files.walk import IGNORE_FILE, OWN_IGNORE_FILE, is_allowed

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

# Seconds between two looks at the tree where the system can watch no more folders.
POLL_SECONDS = 2.0
# A stream of events that never pauses is reported at the latest after so many delays.
MAX_DELAYS = 10
# More changes than this are reported as one change of the root: a walk is cheaper than so many questions.
MAX_PATHS = 2_000

#: What stands for "anything may have changed: walk again".
EVERYTHING = ""


class Watcher:
    """Calls `on_change` with the paths (relative, "/") of files that were created, changed, moved or deleted.

    A folder that came or went, a change of an ignore file and an overflow are reported as `EVERYTHING` (the
    empty string) in the set: then a walk is due. `on_change` runs on the watcher's own thread, once per
    burst of events, `delay` seconds after the last of them. Reading files causes no call.
    """

    def __init__(self, root: Path, on_change: Callable[[set[str]], None], delay: float = 0.3) -> None:
        self.root = root.absolute()
        self.on_change = on_change
        self.delay = delay
        self.polling = False
        self._observer: Any = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition()
        self._dirty: set[str] = set()
        self._last = 0.0
        self._first = 0.0
        self._stopping = False

    def start(self) -> None:
        """Starts watching; falls back to polling where the system's limit on watched folders is reached."""
        if self._observer is not None:
            return
        from watchdog.events import (
            DirCreatedEvent,
            DirDeletedEvent,
            DirMovedEvent,
            FileClosedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileModifiedEvent,
            FileMovedEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer
        from watchdog.observers.polling import PollingObserver

        handler = FileSystemEventHandler()
        handler.dispatch = self._event  # type: ignore[method-assign]
        # Without a filter the indexer's own reads come back as opened and closed-without-write events.
        wanted: list[type[FileSystemEvent]] = [
            FileCreatedEvent,
            FileModifiedEvent,
            FileClosedEvent,
            FileMovedEvent,
            FileDeletedEvent,
            DirCreatedEvent,
            DirMovedEvent,
            DirDeletedEvent,
        ]
        self._stopping = False
        observer: Any = Observer()
        try:
            observer.schedule(handler, os.fspath(self.root), recursive=True, event_filter=wanted)
            observer.start()
        except OSError:  # ENOSPC, EMFILE: no watches or instances left
            _halt(observer)
            self.polling = True
            observer = PollingObserver(timeout=POLL_SECONDS)
            observer.schedule(handler, os.fspath(self.root), recursive=True, event_filter=wanted)
            observer.start()
        self._observer = observer
        self._thread = threading.Thread(target=self._report, name="modstar-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops watching; when it returns, `on_change` is not called again."""
        with self._wake:
            self._stopping = True
            self._dirty.clear()
            self._wake.notify_all()
        if self._observer is not None:
            _halt(self._observer)
            self._observer = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        self._thread = None

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _event(self, event: FileSystemEvent) -> None:
        found = set()
        for source in (event.src_path, getattr(event, "dest_path", "")):
            path = self._relative(os.fsdecode(source)) if source else None
            if path is None or VERSION_CONTROL.intersection(path.split("/")):
                continue
            name = path.rpartition("/")[2]
            found.add(EVERYTHING if event.is_directory or name in (IGNORE_FILE, OWN_IGNORE_FILE) else path)
        if not found:
            return
        with self._wake:
            now = time.monotonic()
            if not self._dirty:
                self._first = now
            self._last = now
            if len(self._dirty) < MAX_PATHS:
                self._dirty |= found
            else:
                self._dirty.add(EVERYTHING)
            self._wake.notify_all()

    def _relative(self, path: str) -> str | None:
        prefix = os.fspath(self.root).rstrip(os.sep) + os.sep
        return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None

    def _report(self) -> None:
        while True:
            with self._wake:
                while not self._stopping:
                    if not self._dirty:
                        self._wake.wait()
                        continue
                    due = min(self._last + self.delay, self._first + MAX_DELAYS * self.delay)
                    left = due - time.monotonic()
                    if left <= 0:
                        break
                    self._wake.wait(left)
                if self._stopping:
                    return
                dirty, self._dirty = self._dirty, set()
            changed = {path for path in dirty if path == EVERYTHING or is_allowed(self.root, path)}
            if changed and not self._stopping:
                self.on_change(changed)


def _halt(observer: Any) -> None:
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(timeout=5)
    except (RuntimeError, OSError):
        pass
