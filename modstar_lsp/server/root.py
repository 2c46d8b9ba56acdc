"""One folder of the workspace: its index to read, the process that writes it, the open documents over it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from modstar_lsp.background.child import DIED, Child, Event
from modstar_lsp.errors import ModstarError, StoreError, WorkspaceError
from modstar_lsp.files.kinds import MAX_BYTES
from modstar_lsp.server.protocol import ClientHit, Coverage
from modstar_lsp.server.settings import Settings
from modstar_lsp.server.texts import Texts

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import DamagedIndex, Snapshot
    from modstar_lsp.search import Options
    from modstar_lsp.server.documents import Documents, UnsavedDocuments
    from modstar_lsp.workspace import Workspace
    from modstar_lsp.workspace.question import Question

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

    index_dir, bundle: None for the defaults.  deepest: the deepest exit to use, None for all of the bundle's.
    """

    index_dir: Path | None = None
    bundle: Path | None = None
    deepest: int | None = None


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
    exits: tuple[tuple[int, int], ...] = ()  # (depth, chunks)
    bytes: int = 0


class FolderAnswer(NamedTuple):
    """What one folder answers."""

    hits: tuple[ClientHit, ...] = ()
    closest: ClientHit | None = None
    message: str = ""
    did_you_mean: str = ""


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
        self.left_out = ""  # see Workspace.left_out
        self.work: Work | None = None
        self.paused = False
        self.unsaved: UnsavedDocuments | None = None
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
        """Whether a child indexes the folder."""
        return self._child is not None

    @property
    def exits(self) -> list[int]:
        """The exits that the index is deepened to, in order."""
        depths = [one.depth for one in self._encoder().bundle.exits]
        return [
            depth
            for depth in depths
            if depth and (self.launch.deepest is None or depth <= self.launch.deepest)
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

        def on_event(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._on_event, mine, event)

        mine.listen(on_event)
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
            "max_file_bytes": self._settings.index_max_file_bytes,
            "share": self._settings.background_share,
            "deepen": self._settings.background_deepen,
            "exit": self.launch.deepest,
            "on_battery": self._settings.background_on_battery,
        }

    def _bounds(self) -> tuple[tuple[str, ...], tuple[str, ...], int]:
        settings = self._settings or Settings()
        return settings.index_include, settings.index_exclude, self._max_file_bytes()

    def _max_file_bytes(self) -> int:
        """What the index was made with: by these settings, or by whoever was asked to let larger files in."""
        most = self._settings.index_max_file_bytes if self._settings is not None else MAX_BYTES
        try:
            return max(most, self._workspace.max_file_bytes) if self._workspace is not None else most
        except StoreError:
            return most

    def follow(self, settings: Settings) -> None:
        """Take new settings."""
        before = self._child_settings() if self._settings is not None else None
        self._settings = settings
        if self._child is not None and self._child_settings() != before:
            self._child.send("settings", **self._child_settings())
            if self.unsaved is not None:
                self.unsaved.reconsider()

    def pause(self) -> None:
        """Stop indexing until `resume`; questions are answered from what is known."""
        self.paused = True
        self._send("pause")
        self._changed(self)

    def resume(self) -> None:
        """Go on indexing after `pause`."""
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

    def _send(self, command: str, **details: Any) -> None:
        if self._child is not None:
            self._child.send(command, **details)

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

    def _on_event(self, child: Child, event: Event) -> None:
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
                self.left_out = event["left_out"]
                if event["complete"]:
                    self._news |= not self._indexed_once or event["changed"] > 0
                    self._indexed_once = True
                    self._ready_due = True
                    if self.unsaved is not None:
                        self.unsaved.reconsider()  # ignore rules may be among what changed
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
            self._child_died()
        self.look()
        self._changed(self)

    def _child_died(self) -> None:
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
            if (depth := self._useful_exit()) != self._loading_exit:
                self._loading_exit = depth
                self._in_pool(self._load_exit, depth)
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
                            snapshot.indexed_share,
                            snapshot.n,
                            tuple(sorted(status.depths.items())),
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
        from modstar_lsp.server.documents import UnsavedDocuments
        from modstar_lsp.workspace import Workspace

        with self._open_lock:
            if self._workspace is None:
                encoder = self._encoder()
                folder = self.folder.resolve()
                unsaved = UnsavedDocuments(
                    self.folder,
                    self._documents,
                    encoder,
                    self._max_file_bytes,
                    lambda path: is_allowed(folder, path, *self._bounds()),
                )
                try:
                    workspace = Workspace.open(
                        folder,
                        index_dir=self.launch.index_dir,
                        encoder=encoder,
                        unsaved=unsaved,
                        write=False,
                    )
                except (StoreError, WorkspaceError):
                    return None
                self.unsaved, self._workspace = unsaved, workspace
            return self._workspace

    def _load_graph(self) -> None:
        """Have the graph of a large index ready before the questions come. For any thread."""
        if self._workspace is not None:
            with suppress(StoreError):
                self._workspace.load_graph()

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
        deepest = max((depth for depth, _ in look.exits), default=0)
        at_deepest = sum(chunks for depth, chunks in look.exits if depth == self._target())
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
        from modstar_lsp.workspace import useful_exit

        depth = useful_exit(self._look.exits)
        return depth if self.launch.deepest is None else min(depth, self.launch.deepest)

    def _load_exit(self, depth: int) -> None:
        """Have an exit loaded before a question needs it, which takes 0.3 s. For any thread."""
        with suppress(ModstarError):
            self._encoder().encode(["warm up"], depth, "query")
            self.question_exit = depth

    def _target(self) -> int:
        """The exit that all chunks will have in the end."""
        return self.exits[-1] if self._workspace is not None and self.exits else 0

    @property
    def generation(self) -> int:
        """The generation of the index that was last looked at; it grows with every commit."""
        return self._look.generation

    @property
    def bytes(self) -> int:
        """How many bytes the index takes on disk, as far as was last looked."""
        return self._look.bytes

    @property
    def pid(self) -> int | None:
        """The number of the child's process, None without one."""
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
        """Whether no file is known so far, but some soon may be."""
        return self.is_getting_better and not self._look.chunks

    def ask(
        self,
        question: Question,
        options: Options,
        snippet_lines: int,
        cancelled: Callable[[], bool] | None = None,
    ) -> FolderAnswer:
        """Puts a question to the index and the documents over it. For any thread. Raises ModstarError.

        cancelled: ends the last stage's reading early.
        """
        from modstar_lsp.server.hits import Describer

        workspace, unsaved = self.workspace(), self.unsaved
        if workspace is None or unsaved is None or self._clearing:
            return FolderAnswer(message=self.message)

        def answer(snapshot: Snapshot) -> FolderAnswer:
            if snapshot.generation != self._look.generation:  # the answer says how much it knew
                self._look = self._look._replace(
                    indexed=len(snapshot.paths), share=snapshot.indexed_share, chunks=snapshot.n
                )
            view = workspace.view(snapshot)
            results = workspace.put(question, view, options, cancelled)
            describer = Describer(
                self.texts, self.uri, unsaved, self._documents.encoding, question.words(), snippet_lines
            )
            return FolderAnswer(*describer.hits(results, view), results.note, results.did_you_mean)

        return workspace.read(answer, self._rebuild)

    def _rebuild(self, error: DamagedIndex) -> bool:
        """Has the child make the index anew, which takes longer than a question waits."""
        now = time.monotonic()
        if now - self._rebuilt > _REBUILD_SECONDS:
            self._rebuilt = now
            self._send("clear")
            self._send("refresh")
        return False
