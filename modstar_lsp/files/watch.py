"""Tells what changed in a workspace while it is open.

Events are only hints: a burst is gathered for a moment, duplicates fall together, and whoever listens
compares stat with what it knows. Only the folders that the walk enters are watched, where the system watches
one folder at a time; where it cannot watch them all, the walk is repeated instead.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modstar_lsp.errors import WorkspaceError
from modstar_lsp.files import inotify
from modstar_lsp.files.kinds import MOST_BYTES, VERSION_CONTROL
from modstar_lsp.files.opening import DiskState, disk_state
from modstar_lsp.files.rules import IGNORE_FILE, OWN_IGNORE_FILE, rules_outside
from modstar_lsp.files.walk import Walk, is_allowed, is_entered, walk

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

# Seconds between two looks at the tree where the system can watch no more folders, and the share of the time
# that looking may take.
POLL_SECONDS = 2.0
POLL_SHARE = 0.05
# Seconds between two looks at whether the root is still the same folder.
ROOT_SECONDS = 1.0
# A stream of events that never pauses is reported at the latest after so many delays.
MAX_DELAYS = 10
# More changes than this are reported as one change of the root: a walk is cheaper than so many questions.
MAX_PATHS = 2_000

#: What stands for "anything may have changed: walk again".
EVERYTHING = ""


def _no_bounds() -> dict[str, Any]:
    return {"max_bytes": MOST_BYTES}


class Watcher:
    """Calls `on_change` with the paths (relative, "/") of files that were created, changed, moved or deleted.

    A folder that came or went, a change of an ignore file (git's own and those above the root as well) and an
    overflow are reported as `EVERYTHING` (the empty string) in the set: then a walk is due. So is a root that
    was deleted, moved away or made again.
    `on_change` runs on the watcher's own thread, once per burst of events, `delay` seconds after the last of
    them. Reading files causes no call.

    bounds: what of the root belongs to the workspace now, as `is_allowed` takes it; by default all that may.
    on_notice: called with one line when less is noticed than before, or the root is gone or back.
    polling: whether the walk is repeated, as the system can watch no more folders.
    lost: whether the root is gone; what is known of it is no longer true.
    watched: how many folders the system watches; 1 where that covers all below it.
    """

    def __init__(
        self,
        root: Path,
        on_change: Callable[[set[str]], None],
        delay: float = 0.3,
        on_notice: Callable[[str], None] | None = None,
        bounds: Callable[[], Mapping[str, Any]] = _no_bounds,
    ) -> None:
        self.root = root.absolute()
        self.on_change = on_change
        self.on_notice = on_notice
        self.bounds = bounds
        self.delay = delay
        self.polling = False
        self.lost = False
        self.watched = 0
        self._inotify: inotify.Inotify | None = None
        self._folders: dict[int, str] = {}  # by the number of their watch
        self._observer: Any = None
        self._threads: list[threading.Thread] = []
        self._wake = threading.Condition()
        self._dirty: set[str] = set()
        self._last = 0.0
        self._first = 0.0
        self._stopping = threading.Event()
        self._identity = _identity(self.root)
        self._seen: Walk | None = None
        self._rules: dict[Path, DiskState | None] = {}

    def start(self, *, tells: bool = True) -> None:
        """Starts watching; falls back to polling where the system's limit on watched folders is reached.

        tells: False for who asks by `look` instead: then no thread is started.
        """
        if self._threads:
            return
        self._stopping.clear()
        self._identity = _identity(self.root)
        self._rules = {path: disk_state(path) for path in rules_outside(self.root)}
        try:
            if inotify.is_available():
                self._inotify = inotify.Inotify()
                self._watch_folders()
            elif tells:
                self._observe()
        except OSError as error:  # ENOSPC, EMFILE: no watches or instances left
            self._poll_from_now(error)
            self._unwatch()
        for work in (self._listen, self._report) if tells else ():
            thread = threading.Thread(target=work, name="modstar-watch", daemon=True)
            self._threads.append(thread)
            thread.start()

    def look(self) -> set[str]:
        """What `on_change` would be told, all that was written until now: after `start(tells=False)`.

        `EVERYTHING` where the system watches nothing: then a walk alone can tell.
        """
        if self._inotify is None or self.polling:
            return {EVERYTHING}
        while events := self._inotify.read(0):
            self._mark({path for event in events for path in self._paths(*event)})
        self._look_outside()
        dirty, self._dirty = self._dirty, set()
        return self._seen_to(dirty)

    def stop(self) -> None:
        """Stops watching; when it returns, `on_change` is not called again."""
        self._stopping.set()
        with self._wake:
            self._dirty.clear()
            self._wake.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)
        self._threads = []
        self._unwatch()

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what the system watches

    def _watch_folders(self) -> None:
        """Watches the folders that the walk enters now, and no others. Raises OSError."""
        if self._inotify is None or self.polling:
            return
        known = -1
        # A folder made between the walk and its parent's watch is found by the next walk.
        while len(self._folders) != known:
            known = len(self._folders)
            found = self._walk(_no_bounds())
            watches = {}
            for folder in ("", *(found.folders if found is not None else ())):
                try:
                    watches[self._inotify.add(os.fspath(self.root / folder))] = folder
                except (FileNotFoundError, NotADirectoryError, PermissionError):
                    continue
            for gone in self._folders.keys() - watches.keys():
                self._inotify.remove(gone)
            self._folders = watches
        self.watched = len(self._folders)

    def _observe(self) -> None:
        """Watches the whole tree, where the system does that at no cost for each folder. Raises OSError."""
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        handler = FileSystemEventHandler()
        handler.dispatch = self._event  # type: ignore[method-assign]
        self._observer = Observer()
        self._observer.schedule(handler, os.fspath(self.root), recursive=True)
        self._observer.start()
        self.watched = 1

    def _unwatch(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            _halt(observer)
        watching, self._inotify = self._inotify, None
        if watching is not None:
            watching.close()
        self._folders = {}
        self.watched = 0

    def _poll_from_now(self, error: OSError) -> None:
        self.polling = True
        self._seen = self._walk(self.bounds())
        kind = "max_user_instances or ulimit -n" if error.errno == errno.EMFILE else "max_user_watches"
        limit = f"; fs.inotify.{kind} is the limit" if inotify.is_available() else ""
        reason = f"not all folders can be watched ({error.strerror})"
        self._say(f"{self.root}: {reason}: looking at them every {POLL_SECONDS:.0f} s instead{limit}")

    def _walk(self, bounds: Mapping[str, Any]) -> Walk | None:
        try:
            return walk(self.root, **bounds)
        except WorkspaceError:
            return None

    def _say(self, line: str) -> None:
        if self.on_notice is not None:
            self.on_notice(line)

    # -- listening

    def _listen(self) -> None:
        looked = time.monotonic()
        pause = POLL_SECONDS
        while not self._stopping.is_set():
            if self.polling and self._inotify is not None:
                self._unwatch()  # here, as nobody else may close what this thread reads
            watching = self._inotify
            if watching is not None:
                events = watching.read(ROOT_SECONDS / 2)
                self._mark({path for event in events for path in self._paths(*event)})
            else:
                self._stopping.wait(min(pause, ROOT_SECONDS) if self.polling else ROOT_SECONDS)
            now = time.monotonic()
            self._look_outside()
            if self.polling and now - looked >= pause and not self.lost:
                self._mark(self._differences())
                looked = time.monotonic()
                pause = max(POLL_SECONDS, (looked - now) / POLL_SHARE)

    def _paths(self, watch: int, mask: int, name: str) -> set[str]:
        """What an event says: a file, or a folder with "/" at its end, or EVERYTHING."""
        if mask & inotify.OVERFLOW:
            return {EVERYTHING}
        folder = self._folders.get(watch)
        if folder is None or mask & inotify.IGNORED or not name:
            return set()
        path = f"{folder}/{name}" if folder else name
        if not mask & inotify.IS_FOLDER:
            return {path}
        return {f"{path}/"} if mask & ~inotify.IS_FOLDER & ~inotify.MODIFY else set()

    def _look_outside(self) -> None:
        """Notices what no watch tells: that the root was deleted, moved away or made again, and that a file
        elsewhere ignores other things in it.
        """
        rules = {path: disk_state(path) for path in self._rules}
        if rules != self._rules:
            self._rules = rules
            self._mark({EVERYTHING})
        identity = _identity(self.root)
        if identity == self._identity:
            return
        self._identity = identity
        self.lost = identity is None
        self._say(f"{self.root}: the folder " + ("is gone" if self.lost else "was made anew"))
        self._mark({EVERYTHING})

    def _differences(self) -> set[str]:
        """What changed since the last look, and the look that is the last one now."""
        before, now = self._seen, self._walk(self.bounds())
        if now is None or before is None:
            self._seen = now
            return {EVERYTHING} if now is not before else set()
        self._seen = now
        if now.folders != before.folders or now.skipped != before.skipped:
            return {EVERYTHING}
        return {file.path for file in set(before.files) ^ set(now.files)}

    def _event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("created", "modified", "closed", "moved", "deleted"):
            return
        if event.is_directory and event.event_type == "modified":
            return
        found = set()
        for source in (event.src_path, getattr(event, "dest_path", "")):
            path = self._relative(os.fsdecode(source)) if source else None
            if path is not None:
                found.add(f"{path}/" if event.is_directory else path)
        self._mark(found)

    def _mark(self, found: set[str]) -> None:
        found = {path for path in found if not VERSION_CONTROL.intersection(path.split("/"))}
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

    # -- telling

    def _report(self) -> None:
        while True:
            with self._wake:
                while not self._stopping.is_set():
                    if not self._dirty:
                        self._wake.wait()
                        continue
                    due = min(self._last + self.delay, self._first + MAX_DELAYS * self.delay)
                    left = due - time.monotonic()
                    if left <= 0:
                        break
                    self._wake.wait(left)
                if self._stopping.is_set():
                    return
                dirty, self._dirty = self._dirty, set()
            changed = self._seen_to(dirty)
            if changed and not self._stopping.is_set():
                self.on_change(changed)

    def _seen_to(self, dirty: set[str]) -> set[str]:
        """What is told of marked paths; folders that came and went are watched and not."""
        changed = {told for path in dirty if (told := self._told(path)) is not None}
        if EVERYTHING in changed:
            try:
                self._watch_folders()
            except OSError as error:
                if not self._stopping.is_set():
                    self._poll_from_now(error)
        return changed

    def _told(self, path: str) -> str | None:
        """What a marked path is told as, None for what is no part of the workspace."""
        if path == EVERYTHING or path.rpartition("/")[2] in (IGNORE_FILE, OWN_IGNORE_FILE):
            return EVERYTHING
        if path.endswith("/"):
            folder = path[:-1]
            known = not self._folders or folder in self._folders.values()
            return EVERYTHING if known or is_entered(self.root, folder) else None
        return path if is_allowed(self.root, path, **self.bounds()) else None


def _identity(root: Path) -> tuple[int, int] | None:
    """What tells a folder from one made anew in its place, None when there is none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _halt(observer: Any) -> None:
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(timeout=5)
    except (RuntimeError, OSError):
        pass
