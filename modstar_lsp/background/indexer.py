"""The process that writes the index of one folder, driven by JSON lines on its standard input.

The server process only reads, so that neither typing nor a question ever waits for an indexing thread. This
one ends when its input ends, whatever it is doing: a commit is one transaction, so nothing is lost but work
done since.

    {"do": "open", "root": ..., "index_dir": ..., "bundle": ..., "watch": true, ...and what "settings" takes}
    {"do": "settings", "include": [..], "exclude": [..], "share": 0.5, "on_battery": "pause", "deepen": true,
     "max_file_bytes": 1000000, "exit": null or the deepest exit to use}
    {"do": "refresh", "paths": null or a list}   {"do": "clear"}   {"do": "pause"}   {"do": "resume"}
    {"do": "typing"}   {"do": "look"}: a refresh that somebody waits for, of what the system says has changed
    when "look" was true at the opening, else of everything

What it says, a line each: "event" is opened, started, progress, finished or failed, "job" what it is about.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modstar_lsp.background.machine import is_on_battery
from modstar_lsp.background.politeness import Share
from modstar_lsp.background.stuck import end_when_stuck
from modstar_lsp.errors import ModstarError
from modstar_lsp.files.kinds import MAX_BYTES
from modstar_lsp.installation import packages_missing
from modstar_lsp.startup import hasten_numpy

if TYPE_CHECKING:
    from modstar_lsp.files.watch import Watcher
    from modstar_lsp.index import Progress
    from modstar_lsp.workspace import Workspace

# Between two lines of progress: enough for a bar that moves, little enough for a client that draws slowly.
_PROGRESS_SECONDS = 0.1
# Our own watcher waits this long for the end of a burst; what was saved should be found in 0.3 s.
_WATCH_DELAY = 0.05
# More changed files than this are no longer somebody's saving: they are looked for, politely.
_SAVED_FILES = 50
# What was said to have changed is not always all: after the last of it everything is looked at once more.
_SECOND_LOOK_SECONDS = 5.0
# Changes that the system does not tell, as on a network drive, are looked for after so long.
_WALK_SECONDS = 60.0
_NEVER = float("-inf")
# A refresh that another process was in the way of is tried again after this long.
_RETRY_SECONDS = 1.0
# Deepening holds its breath for so long after a key press or a question.
_TYPING_SECONDS = 2.0
# Changes to fewer files leave the nearest-neighbour graph good enough; looking at it closer means loading it.
_STALE_SHARE = 0.02
# Refreshing takes so much of its share then: two threads of one core slow each other down, and with this most
# questions have the core for themselves. Not at first, when every file that becomes known helps.
_ASKED_PART = 0.2
# How often deepening, held back, looks whether it may go on.
_HELD_SECONDS = 0.5
# A look at the power supply counts for so long.
_POWER_SECONDS = 30.0


class Indexer:
    """Three workers on one workspace, of which never two write.

    One looks at what was just saved, as a foreground program does; one refreshes everything and one deepens,
    both within the user's share of the machine.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._tell = say
        self._wake = threading.Condition()
        self._turn = threading.Lock()
        self._workspace: Workspace | None = None
        self._watcher: Watcher | None = None
        self._timer: threading.Timer | None = None
        self._settings: dict[str, Any] = {}
        self._share = Share(1.0)
        # What is due, and why not.
        self._saved: set[str] = set()
        self._look_due = False
        self._refresh_due = False
        self._clear_due = False
        self._settings_due = False
        self._deepen_due = False
        self._paused = False
        self._complete = False  # at least once everything was refreshed
        self._walked = (
            _NEVER  # when all was looked at; never while it is unknown what came of the last refresh
        )
        self._typed = -_TYPING_SECONDS
        self._power_seen = (-_POWER_SECONDS, False)
        self._stale = 1.0  # the share of the files that is newer than the graph, 1 when nobody knows
        self._shown = 0.0

    # -- commands

    def obey(self, command: dict[str, Any]) -> None:
        """Take one command; the workers carry it out."""
        kind = command["do"]
        if kind == "open":
            self._take_settings(command)
            for work in (lambda: self._open(command), self._looking, self._deepening):
                threading.Thread(target=work, daemon=True).start()
            return
        with self._wake:
            if kind == "refresh":
                self._take_changes(command.get("paths"))
            elif kind == "look":
                self._look_due = True
            elif kind == "clear":
                self._clear_due = True
            elif kind == "pause":
                self._paused = True
            elif kind == "resume":
                self._paused = False
                self._refresh_due = self._deepen_due = True
            elif kind == "typing":
                self._typed = time.monotonic()
            elif kind == "settings":
                self._take_settings(command)
            self._wake.notify_all()

    def _take_settings(self, command: dict[str, Any]) -> None:
        self._settings = command
        self._settings_due = self._deepen_due = True
        self._share = Share(command.get("share", 1.0))

    def _take_changes(self, paths: Collection[str] | None) -> None:
        if paths is None or "" in paths or len(self._saved) + len(paths) > _SAVED_FILES:
            self._refresh_due = True
        else:
            self._saved |= set(paths)

    # -- refreshing everything

    def _open(self, command: dict[str, Any]) -> None:
        from modstar_lsp.workspace import Workspace

        base, bundle = command.get("index_dir"), command.get("bundle")
        try:
            workspace = Workspace.open(
                command["root"],
                index_dir=Path(base) if base else None,
                bundle=Path(bundle) if bundle else None,
            )
        except Exception as error:
            self._say("failed", "open", message=_line(error))
            return
        self._say("opened", notice=workspace.notice)
        if command.get("watch"):
            self._watch(workspace)
        elif command.get("look"):
            from modstar_lsp.files.watch import Watcher

            self._watcher = Watcher(workspace.root, lambda paths: None, bounds=workspace.bounds)
            self._watcher.start(tells=False)
        with self._wake:
            self._workspace = workspace
            self._refresh_due = True
            self._wake.notify_all()
        self._refreshing(workspace)

    def _watch(self, workspace: Workspace) -> None:
        from modstar_lsp.files.watch import Watcher

        root = workspace.root

        def changed(paths: set[str]) -> None:
            self.obey({"do": "refresh", "paths": paths})

        def notice(line: str) -> None:
            self._say("failed", "watch", message=line)

        self._watcher = Watcher(root, changed, _WATCH_DELAY, on_notice=notice, bounds=workspace.bounds)
        try:
            self._watcher.start()
        except OSError as error:
            reason = f"cannot watch {root} ({error.strerror}): only what the editor saves is noticed"
            self._say("failed", "watch", message=reason)

    def _refreshing(self, workspace: Workspace) -> None:
        while True:
            with self._wake:
                while not self._clear_due and (self._paused or not (self._settings_due or self._refresh_due)):
                    self._wake.wait()
                clear, self._clear_due = self._clear_due, False
                settings, self._settings_due = self._settings_due or clear, False
                refresh, self._refresh_due = self._refresh_due or settings, False
                self._saved.clear()
            self._share.take()
            with self._turn:
                if clear:
                    self._complete, self._walked = False, _NEVER
                    self._guarded("clear", workspace.clear)
                if settings:  # clearing forgets them
                    self._guarded("settings", lambda: workspace.follow_settings(*self._bounds()))
                if refresh and not self._paused:
                    self._guarded("refresh", partial(self._refresh, workspace, None))

    def _bounds(self) -> tuple[list[str], list[str], int]:
        settings = self._settings
        most = settings.get("max_file_bytes", MAX_BYTES)
        return settings.get("include", []), settings.get("exclude", []), most

    # -- refreshing what was saved

    def _looking(self) -> None:
        while True:
            with self._wake:
                while (
                    self._workspace is None
                    or self._paused
                    or not (self._saved or self._look_due)
                    or self._refresh_due
                ):
                    self._wake.wait()
                workspace = self._workspace
                look, self._look_due = self._look_due, False
            with self._turn:
                found = self._looked() if look else ()
                with self._wake:
                    self._take_changes(found)
                    if self._refresh_due:
                        self._wake.notify_all()
                        continue
                    saved, self._saved = self._saved, set()
                if saved or look:
                    self._guarded("refresh", partial(self._refresh, workspace, saved))
            if saved:
                self._later(_SECOND_LOOK_SECONDS)

    def _looked(self) -> Collection[str]:
        """The paths outside of which nothing has changed since the last refresh, "" for everything."""
        if self._watcher is None or time.monotonic() - self._walked > _WALK_SECONDS:
            return {""}
        return self._watcher.look()

    def _refresh(self, workspace: Workspace, saved: set[str] | None) -> None:
        self._say("started", "refresh")
        self._share.begin()
        walked, self._walked = self._walked, _NEVER
        report = workspace.refresh(
            lambda progress: self._progress("refresh", progress, rests=saved is None),
            lambda: self._paused or self._clear_due,
            changed=saved,
        )
        self._say(
            "finished",
            "refresh",
            complete=report.complete,
            files=report.files,
            changed=report.added + report.changed + report.removed,
            seconds=round(report.seconds, 3),
            notice=workspace.notice,
            left_out=workspace.left_out,
        )
        if report.complete:
            self._walked = time.monotonic() if saved is None else walked
        with self._wake:
            self._complete |= report.complete
            self._stale += (report.added + report.changed + report.removed) / max(1, report.files)
            if not report.complete and not self._paused and not self._clear_due:
                self._later(_RETRY_SECONDS)
            self._deepen_due = True
            self._wake.notify_all()

    def _later(self, seconds: float) -> None:
        """Look at everything in a while, and no sooner than the last to ask for it wished."""
        with self._wake:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(seconds, self.obey, [{"do": "refresh"}])
            self._timer.daemon = True
            self._timer.start()

    # -- deepening

    def _deepening(self) -> None:
        while True:
            with self._wake:
                while not self._deepen_due or self._workspace is None or self._refresh_due or self._paused:
                    self._wake.wait()
                self._deepen_due = False
                workspace = self._workspace
            self._share.take()
            self._guarded("deepen", partial(self._deepen, workspace))

    def _deepen(self, workspace: Workspace) -> None:
        for depth in self._exits(workspace):
            while True:
                while self._must_wait():
                    time.sleep(_HELD_SECONDS)
                self._share.begin()
                workspace.deepen(depth, lambda progress: self._progress("deepen", progress), self._must_wait)
                if not self._must_wait():
                    break
        workspace.encoder.release_gpu()
        if workspace.encoder.notice:
            self._say("failed", "deepen", message=workspace.encoder.notice)
        if self._stale > _STALE_SHARE:
            self._guarded("graph", partial(self._build_graph, workspace))

    def _build_graph(self, workspace: Workspace) -> None:
        self._stale = 0.0
        workspace.build_graph(cancelled=lambda: self._paused)
        workspace.forget_graph()
        if self._paused:
            self._stale = 1.0

    def _exits(self, workspace: Workspace) -> list[int]:
        """The exits to deepen to, in order."""
        if not self._settings.get("deepen", True):
            return []
        deepest = self._settings.get("exit")
        depths = [one.depth for one in workspace.encoder.bundle.exits]
        return [depth for depth in depths if depth and (deepest is None or depth <= deepest)]

    def _must_wait(self) -> bool:
        """Whether somebody needs the machine more than deepening does."""
        if self._paused or self._in_use():
            return True
        if self._settings.get("on_battery", "pause") != "pause":
            return False
        seen, on_battery = self._power_seen
        if time.monotonic() - seen > _POWER_SECONDS:
            on_battery = is_on_battery()
            self._power_seen = (time.monotonic(), on_battery)
        return on_battery

    # -- what it says

    def _guarded(self, job: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._say("failed", job, message=_line(error))
        else:
            if job != "refresh":  # which tells more about its end
                self._say("finished", job)

    def _progress(self, job: str, progress: Progress, *, rests: bool = True) -> None:
        now = time.monotonic()
        if now - self._shown > _PROGRESS_SECONDS or progress.done == progress.total:
            self._shown = now
            self._say("progress", job, done=progress.done, total=progress.total, path=progress.path)
        if rests:
            self._share.rest(_ASKED_PART if self._complete and self._in_use() else 1.0)

    def _in_use(self) -> bool:
        return time.monotonic() - self._typed < _TYPING_SECONDS

    def _say(self, event: str, job: str = "", **details: Any) -> None:
        self._tell({"event": event, "job": job, **details})


def main() -> None:
    """Obey the lines of standard input until it ends."""
    hasten_numpy()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing but events may go where the events go
    end_when_stuck()
    lock = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        try:
            with lock:
                target.write(line)
                target.flush()
        except (OSError, ValueError):
            os._exit(0)  # nobody listens any more

    indexer = Indexer(say)
    # While the server is still being loaded: everything that the first refresh will want.
    threading.Thread(target=_warm_up, daemon=True).start()
    for line in source:
        indexer.obey(json.loads(line))
    os._exit(0)


def _warm_up() -> None:
    import modstar_lsp.chunking.code
    import modstar_lsp.index.writing.workers
    import modstar_lsp.index.writing.writer
    import modstar_lsp.workspace  # noqa: F401


def _line(error: Exception) -> str:
    """What went wrong, in a line."""
    if isinstance(error, ModstarError):
        return str(error)
    if isinstance(error, ImportError):
        return packages_missing(error)
    return " ".join(f"unexpected {type(error).__name__}: {error}".split())
