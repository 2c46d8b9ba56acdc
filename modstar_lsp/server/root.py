"""One folder of the workspace: its index to read, the process that writes it, the open documents over it."""

from __future__ import annotations

import asyncio
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from modstar_lsp.errors import ModstarError, QueryError, StoreError
from modstar_lsp.server.child import DIED, Child, Event
from modstar_lsp.server.protocol import Coverage, Hit
from modstar_lsp.server.texts import Texts

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import Index, View
    from modstar_lsp.search import Options, Results
    from modstar_lsp.server.overlay import Documents, Overlay
    from modstar_lsp.server.settings import Settings
    from modstar_lsp.workspace import Workspace

# Jobs of the child without which there is nothing to ask.
_VITAL = ("open", "refresh", "clear")
# A refresh of fewer files is over before anybody could read that it goes on.
_MANY_FILES = 50
# Changes that a client reports in a burst become one refresh.
_SETTLE_SECONDS = 0.03
# The child need not know the names of more.
_NAMED_FILES = 200
# A child that dies so often within so many seconds will do so again.
_DEATHS = 3
_DEATHS_SECONDS = 60.0
# Looking at a large index costs: it is done again after so many times what it took.
_LOOK_SHARE = 20
# A damaged index is thrown away at most so often.
_REBUILD_SECONDS = 5.0
# Key presses are passed on at most so often; see indexer._TYPING_SECONDS.
_TYPING_SECONDS = 1.0


class Launch(NamedTuple):
    """What the command line decided, and nothing else can.

    index_dir, bundle: None for the defaults.  exit: the deepest exit to use, None for all of the bundle's.
    """

    index_dir: Path | None = None
    bundle: Path | None = None
    exit: int | None = None


class Work(NamedTuple):
    """What the child is doing: `done` of `total`, the last was `path`."""

    job: str
    done: int
    total: int
    path: str


class Look(NamedTuple):
    """What the index held when it was last looked at."""

    generation: int = -1
    indexed: int = 0
    share: float = 0.0
    chunks: int = 0
    exits: tuple[tuple[int, int], ...] = ()  # (exit, chunks)
    bytes: int = 0


class Found(NamedTuple):
    """What one folder answers."""

    hits: tuple[Hit, ...] = ()
    closest: Hit | None = None
    message: str = ""


Ask = Callable[["View", "Encoder", "Options"], "Results"]


class Root:
    """A folder. Its methods belong to the event loop's thread, but for those said to be for any thread.

    changed: called whenever what `coverage`, `work` or `message` say may have changed.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        folder: Path,
        launch: Launch,
        documents: Documents,
        encoder: Callable[[], Encoder],
        changed: Callable[[Root], None],
        in_pool: Callable[..., asyncio.Future[Any]],
    ) -> None:
        self.uri = uri
        self.name = name
        self.folder = folder
        self.launch = launch
        self.message = ""
        self.work: Work | None = None
        self.paused = False
        self.overlay: Overlay | None = None
        self.texts = Texts(folder)
        self._documents = documents
        self._encoder = encoder
        self._changed = changed
        self._in_pool = in_pool
        self._state = "starting"
        self._child: Child | None = None
        self._settings: Settings | None = None
        self._watch = False
        self._deaths: list[float] = []
        self._indexed_once = False
        self._news = False
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._changes: set[str] = set()
        self._typed = 0.0
        # For any thread:
        self.question_exit = 0
        self._clearing = False
        self._workspace: Workspace | None = None
        self._index: Index | None = None
        self._open_lock = Lock()
        self._look = Look()
        self._looking = False
        self._look_due = False
        self._ready_due = False
        self._loading_exit = 0
        self._look_again_at = 0.0
        self._rebuilt = -_REBUILD_SECONDS

    # -- life

    @property
    def is_started(self) -> bool:
        return self._child is not None

    @property
    def exits(self) -> list[int]:
        """The exits that the index is deepened to, in order."""
        depths = [exit.depth for exit in self._encoder().bundle.exits]
        return [
            depth for depth in depths if depth and (self.launch.exit is None or depth <= self.launch.exit)
        ]

    def take_news(self) -> bool:
        """Whether a refresh changed something since this was last asked."""
        news, self._news = self._news, False
        return news

    def refuse(self, message: str, state: str = "off") -> None:
        """This folder is not indexed, and `message` says why."""
        self._state, self.message = state, message
        self._changed(self)

    def start(self, child: Child | None, settings: Settings, *, watch: bool) -> None:
        """Have the folder indexed by `child`, or a new one. watch: whether it looks for changes itself."""
        self._settings, self._watch = settings, watch
        self._state, self.message = "starting", ""
        self._child, self._clearing = child or Child(), False
        loop = asyncio.get_running_loop()
        mine = self._child

        def hear(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._hear, mine, event)

        mine.listen(hear)
        base, bundle = self.launch.index_dir, self.launch.bundle
        mine.send(
            "open",
            root=os.fspath(self.folder),
            index_dir=os.fspath(base) if base else None,
            bundle=os.fspath(bundle) if bundle else None,
            watch=watch,
            **self._child_settings(),
        )
        if self.paused:
            mine.send("pause")
        self._changed(self)

    def _child_settings(self) -> dict[str, Any]:
        assert self._settings is not None
        return {
            "include": list(self._settings.index_include),
            "exclude": list(self._settings.index_exclude),
            "share": self._settings.background_share,
            "deepen": self._settings.background_deepen,
            "exit": self.launch.exit,
            "on_battery": self._settings.background_on_battery,
        }

    def _globs(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        settings = self._settings
        return (settings.index_include, settings.index_exclude) if settings is not None else ((), ())

    def follow(self, settings: Settings) -> None:
        """Take new settings."""
        before = self._child_settings() if self._settings is not None else None
        self._settings = settings
        if self._child is not None and self._child_settings() != before:
            self._child.send("settings", **self._child_settings())
            if self.overlay is not None:
                self.overlay.reconsider()

    def pause(self) -> None:
        """Stop indexing until `resume`; questions are answered from what is known."""
        self.paused = True
        self._send("pause")
        self._changed(self)

    def resume(self) -> None:
        self.paused = False
        self._send("resume")
        self._changed(self)

    def reindex(self) -> None:
        """Index everything anew."""
        self._forget()
        self._send("clear")
        self.resume()
        self._send("refresh")

    def clear(self) -> None:
        """Empty the index, and leave it so until `resume` or `reindex`."""
        self._forget()
        self.pause()
        self._send("clear")

    def _forget(self) -> None:
        """Nothing is known any more, whatever the index holds until the child has emptied it."""
        self._clearing = self._child is not None
        self._indexed_once = self._ready_due = False
        self._look = Look()
        if self._state not in ("off", "failed", "starting"):
            self._state = "indexing"

    def files_changed(self, paths: Iterable[str]) -> None:
        """Files at these paths were made, changed or deleted: refresh once the burst is over."""
        self._changes.update(paths)
        if self._refresh_timer is None:
            loop = asyncio.get_running_loop()
            self._refresh_timer = loop.call_later(_SETTLE_SECONDS, self._refresh)

    def _refresh(self) -> None:
        self._refresh_timer = None
        paths, self._changes = self._changes, set()
        self._send("refresh", paths=sorted(paths) if len(paths) <= _NAMED_FILES else None)

    def in_use(self) -> None:
        """Somebody types in a file of this folder, or asks: deepening can wait."""
        now = time.monotonic()
        if now - self._typed > _TYPING_SECONDS:
            self._typed = now
            self._send("typing")

    def _send(self, deed: str, **details: Any) -> None:
        if self._child is not None:
            self._child.send(deed, **details)

    def close(self) -> Child | None:
        """Let go of everything at once; the child, which may take a moment to be gone."""
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
            self._refresh_timer = None
        child, self._child = self._child, None
        if child is not None:
            child.close()
        self._state = "off"
        return child

    # -- what the child says

    def _hear(self, child: Child, event: Event) -> None:
        if child is not self._child:
            return  # an earlier one
        kind, job = event["event"], event.get("job", "")
        if kind == "opened":
            self.message = event["notice"]
            self._state = "indexing"
        elif kind == "started":
            if not self._indexed_once:
                self._state = "indexing"
        elif kind == "progress":
            self.work = Work(job, event["done"], event["total"], event["path"])
            if job == "refresh" and (not self._indexed_once or event["total"] >= _MANY_FILES):
                self._state = "indexing"
        elif kind == "finished":
            self.work = None
            if job == "refresh":
                self.message = event["notice"]
                if event["complete"]:
                    self._news |= not self._indexed_once or event["changed"] > 0
                    self._indexed_once = True
                    self._ready_due = True
                    if self.overlay is not None:
                        self.overlay.reconsider()  # ignore rules may be among what changed
                elif not self.paused:
                    self._state = "indexing"
            elif job == "graph":
                self._in_pool(self._load_graph)
            elif job == "clear":
                self._forget()  # again: a refresh may have ended in between
                self._clearing = False
        elif kind == "failed":
            self.message = event["message"]
            self._clearing = False
            if job in _VITAL:
                self.work, self._state = None, "failed"
        elif kind == DIED:
            self._bury()
        self.look()
        self._changed(self)

    def _bury(self) -> None:
        """The child ended unasked, killed for its memory perhaps. That is no reason to give up at once."""
        self._child, self.work = None, None
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _DEATHS_SECONDS] + [now]
        if len(self._deaths) < _DEATHS and self._settings is not None:
            self.start(None, self._settings, watch=self._watch)
            return
        self._state = "failed"
        self.message = f"the indexing process ended {_DEATHS} times within a minute: restart the server"

    # -- reading

    def look(self) -> None:
        """Have the numbers of `coverage` brought up to date soon."""
        if self._looking:
            self._look_due = True
            return
        if self._state == "indexing" and not self._ready_due and time.monotonic() < self._look_again_at:
            return  # the end of the refresh brings another occasion
        self._looking, self._look_due = True, False
        self._in_pool(self._take_a_look).add_done_callback(self._looked)

    def _looked(self, future: asyncio.Future[Any]) -> None:
        self._looking = False
        if not future.cancelled() and future.exception() is None:
            took, differs = future.result()
            self._look_again_at = time.monotonic() + took * _LOOK_SHARE
            if differs:
                self._changed(self)
            if (exit := self._useful_exit()) != self._loading_exit:
                self._loading_exit = exit
                self._in_pool(self._load_exit, exit)
        if self._look_due:
            self.look()
        elif self._ready_due and self._child is not None:  # now that the numbers are those of the whole
            self._ready_due, self._state = False, "ready"
            self._changed(self)

    def _take_a_look(self) -> tuple[float, bool]:
        """(seconds it took, whether anything is new); for any thread."""
        begin, before = time.monotonic(), self._look
        workspace = None if self._clearing else self.workspace()
        if workspace is not None:
            try:
                with workspace.snapshot() as snapshot:
                    if snapshot.generation != before.generation:
                        snapshot.quantised()  # so that the next question need not read them
                        status = workspace.status()
                        self._look = Look(
                            snapshot.generation,
                            len(snapshot.paths),
                            snapshot.coverage,
                            snapshot.n,
                            tuple(sorted(status.coverage.items())),
                            status.bytes,
                        )
            except StoreError:
                self._look = Look()
        return time.monotonic() - begin, self._look != before

    def workspace(self) -> Workspace | None:
        """The index, opened to read; None as long as there is none. For any thread."""
        if self._workspace is not None or self._state == "off":
            return self._workspace
        from modstar_lsp.files import is_allowed
        from modstar_lsp.index import Index, index_folder
        from modstar_lsp.server.overlay import Overlay
        from modstar_lsp.workspace import Workspace

        with self._open_lock:
            if self._workspace is None:
                encoder = self._encoder()
                folder = self.folder.resolve()
                base = self.launch.index_dir
                try:
                    index = Index.open(index_folder(folder, base), folder, encoder.bundle, write=False)
                except StoreError:
                    return None
                self.overlay = Overlay(
                    self.folder,
                    self._documents,
                    encoder,
                    lambda path: is_allowed(folder, path, *self._globs()),
                )
                self._index = index
                self._workspace = Workspace(folder, index, encoder, base)
            return self._workspace

    def _load_graph(self) -> None:
        """Have the graph of a large index ready before the questions come. For any thread."""
        if self._index is not None:
            with suppress(StoreError):
                self._index.load_graph()

    @property
    def coverage(self) -> Coverage:
        """How much is known, as far as was last looked. For any thread."""
        look, work = self._look, self.work
        left = work.total - work.done if work is not None and work.job == "refresh" else 0
        state = self._state
        if self.paused and state not in ("off", "failed"):
            state = "paused"
        elif state == "ready" and work is not None and work.job == "deepen":
            state = "deepening"
        files, share = look.indexed, look.share
        if not self._indexed_once and not look.chunks:
            files, share = look.indexed + left, 0.0
        elif share < 1:
            files = round(look.indexed / share) if share else left
        if state == "ready":
            share = 1.0
        deepest = max((exit for exit, _ in look.exits), default=0)
        at_deepest = sum(chunks for exit, chunks in look.exits if exit == self._target())
        return Coverage(
            state=state,
            files=max(files, look.indexed),
            indexed=look.indexed,
            share=share,
            chunks=look.chunks,
            exit=deepest,
            deepened=at_deepest / look.chunks if look.chunks else 0.0,
        )

    def _useful_exit(self) -> int:
        """The deepest exit that half of the chunks have reached: there a question is embedded best, too."""
        reached = 0
        for exit, chunks in reversed(self._look.exits):
            reached += chunks
            if 2 * reached >= self._look.chunks:
                return exit if self.launch.exit is None else min(exit, self.launch.exit)
        return 0

    def _load_exit(self, exit: int) -> None:
        """Have an exit loaded before a question needs it, which takes 0.3 s. For any thread."""
        with suppress(ModstarError):
            self._encoder().encode(["warm up"], exit, "query")
            self.question_exit = exit

    def _target(self) -> int:
        """The exit that all chunks will have in the end."""
        return self.exits[-1] if self._workspace is not None and self.exits else 0

    @property
    def generation(self) -> int:
        return self._look.generation

    @property
    def bytes(self) -> int:
        return self._look.bytes

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def is_getting_better(self) -> bool:
        """Whether the same question may soon have a better answer."""
        return not self.paused and self._state in ("starting", "indexing")

    @property
    def is_new(self) -> bool:
        """Whether it is being indexed for the first time by this server: anything may still be missing."""
        return self.is_getting_better and not self._indexed_once

    @property
    def knows_nothing_yet(self) -> bool:
        return self.is_getting_better and not self._look.chunks

    def ask(self, ask: Ask, options: Options, describe: Callable[[View, Overlay, Results], Found]) -> Found:
        """Puts a question to the index and the documents over it. For any thread."""
        from modstar_lsp.index import DamagedIndex

        workspace = self.workspace()
        overlay = self.overlay
        if workspace is None or overlay is None or self._clearing:
            return Found(message=self.message)
        try:
            with workspace.snapshot() as snapshot:
                if snapshot.generation != self._look.generation:  # the answer says how much it knew
                    self._look = self._look._replace(
                        indexed=len(snapshot.paths), share=snapshot.coverage, chunks=snapshot.n
                    )
                view = overlay.over(snapshot)
                return describe(view, overlay, ask(view, workspace.encoder, options))
        except DamagedIndex as error:
            self._rebuild()
            return Found(message=str(error))
        except QueryError as error:
            return Found(message=str(error))
        except StoreError as error:
            return Found(message=str(error))

    def _rebuild(self) -> None:
        now = time.monotonic()
        if now - self._rebuilt > _REBUILD_SECONDS:
            self._rebuilt = now
            self._send("clear")
            self._send("refresh")


def exits_of(view: View) -> Callable[[str, int], int]:
    """Tells at which exit the chunk that starts at a line of a file was embedded."""
    exits = view.exits
    if not len(exits) or exits.min() == exits.max():
        only = int(exits[0]) if len(exits) else 0
        return lambda path, line: only

    def exit_at(path: str, line: int) -> int:
        file = bisect_left(view.paths, path)
        rows = range(bisect_left(view.file_of, file), bisect_right(view.file_of, file))
        inside = exits[rows.start : rows.stop]
        if len(inside) and inside.min() == inside.max():
            return int(inside[0])
        starts = [chunk.start_line for chunk in view.chunks(rows)]
        return int(inside[starts.index(line)]) if line in starts else 0

    return exit_at


def resident_bytes(pid: int | None) -> int:
    """The memory that a process holds, 0 where nobody can tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    if pid != os.getpid():
        return 0
    try:
        import resource
        import sys
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
