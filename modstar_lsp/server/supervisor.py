"""The process that writes a folder's index, kept going: started, commanded, started again when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modstar_lsp.background.child import DIED, MAX_DEATHS, Child, Event, Launch
from modstar_lsp.server.settings import Settings

#: What is told when a child died and another has taken its place.
RESTARTED = "restarted"

# Changes that a client reports in a burst become one refresh.
_SETTLE_SECONDS = 0.03
# The child need not know the names of more.
_NAMED_FILES = 200
# Deaths further apart do not count together.
_DEATHS_SECONDS = 60.0
# A damaged index is thrown away at most so often.
_REBUILD_SECONDS = 5.0
# Key presses are passed on at most so often; the child counts each for twice as long.
_PRESS_SECONDS = 1.0


class Supervisor:
    """One folder's indexing. It belongs to the event loop's thread, but for `send` and `rebuild`.

    on_event: called there with whatever the child says, and with RESTARTED; when it dies too often, with the
    failure of its job "open".
    """

    def __init__(self, folder: Path, on_event: Callable[[Event], None]) -> None:
        self._folder = folder
        self._on_event = on_event
        self._child: Child | None = None
        self._launch = Launch()
        self._settings = Settings()
        self._watch = False
        self._deaths: list[float] = []
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._changes: set[str] = set()
        self._pressed = 0.0
        self._rebuilt = -_REBUILD_SECONDS

    @property
    def is_started(self) -> bool:
        """Whether a child indexes the folder."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """The number of the child's process, None without one."""
        return None if self._child is None else self._child.pid

    # -- the child's life

    def start(self, child: Child | None, launch: Launch, settings: Settings, *, watch: bool) -> None:
        """Have the folder indexed by `child`, or a new one. watch: whether it looks for changes itself."""
        self._launch, self._settings, self._watch = launch, settings, watch
        self._child = mine = child or Child()
        loop = asyncio.get_running_loop()

        def on_event(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._said, mine, event)

        mine.listen(on_event)
        mine.open(self._folder, launch, watch=watch, **_for_child(settings))

    def _said(self, child: Child, event: Event) -> None:
        if child is not self._child:
            return  # an earlier one
        self._on_event(self._after_death() if event["event"] == DIED else event)

    def _after_death(self) -> Event:
        """The child ended unasked, killed for its memory perhaps. That is no reason to give up at once."""
        self._child = None
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _DEATHS_SECONDS] + [now]
        if len(self._deaths) < MAX_DEATHS:
            self.start(None, self._launch, self._settings, watch=self._watch)
            return {"event": RESTARTED}
        message = f"the indexing process ended {MAX_DEATHS} times within a minute: restart the server"
        return {"event": "failed", "job": "open", "message": message}

    def close(self) -> Child | None:
        """Let go of the child at once; it may take a moment to be gone."""
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
            self._refresh_timer = None
        child, self._child = self._child, None
        if child is not None:
            child.close()
        return child

    # -- what it is told

    def send(self, command: str, **details: Any) -> None:
        """Give the child a command, if there is one. For any thread."""
        child = self._child
        if child is not None:
            child.send(command, **details)

    def follow(self, settings: Settings) -> bool:
        """Take new settings; whether the child was told of any."""
        before, self._settings = self._settings, settings
        if self._child is None or _for_child(settings) == _for_child(before):
            return False
        self._child.send("settings", exit=self._launch.deepest, **_for_child(settings))
        return True

    def files_changed(self, paths: Iterable[str]) -> None:
        """Files at these paths were made, changed or deleted: refresh once the burst is over."""
        self._changes.update(paths)
        if self._refresh_timer is None:
            loop = asyncio.get_running_loop()
            self._refresh_timer = loop.call_later(_SETTLE_SECONDS, self._refresh)

    def _refresh(self) -> None:
        self._refresh_timer = None
        paths, self._changes = self._changes, set()
        self.send("refresh", paths=sorted(paths) if len(paths) <= _NAMED_FILES else None)

    def in_use(self) -> None:
        """Somebody types in a file of this folder, or asks: deepening can wait."""
        now = time.monotonic()
        if now - self._pressed > _PRESS_SECONDS:
            self._pressed = now
            self.send("typing")

    def rebuild(self) -> None:
        """Have a damaged index made anew. For any thread."""
        now = time.monotonic()
        if now - self._rebuilt > _REBUILD_SECONDS:
            self._rebuilt = now
            self.send("clear")
            self.send("refresh")


def _for_child(settings: Settings) -> dict[str, Any]:
    """The settings that the child is told of, as it calls them."""
    return {
        "include": list(settings.index_include),
        "exclude": list(settings.index_exclude),
        "max_file_bytes": settings.index_max_file_bytes,
        "share": settings.background_share,
        "deepen": settings.background_deepen,
        "on_battery": settings.background_on_battery,
    }
