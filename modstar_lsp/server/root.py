"""One folder of the workspace: a reader of its index, a supervisor of what writes it, and its state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modstar_lsp.background.child import Child, Event, Launch
from modstar_lsp.server.index_state import Work, state_of
from modstar_lsp.server.protocol import IndexState
from modstar_lsp.server.reader import FolderAnswer, IndexReader
from modstar_lsp.server.settings import Settings
from modstar_lsp.server.supervisor import RESTARTED, Supervisor

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.search import Options
    from modstar_lsp.server.documents import Documents
    from modstar_lsp.workspace.question import Question

# Jobs of the child without which there is nothing to ask.
_VITAL = ("open", "refresh", "clear")
# A refresh of fewer files is over before anybody could read that it goes on.
_MANY_FILES = 50
# Looking at a large index costs: it is done again after so many times what it took.
_LOOK_SHARE = 20


class Root:
    """A folder. Its methods belong to the event loop's thread, but for those said to be for any thread.

    changed: called whenever what `index_state`, `work` or `message` say may have changed.
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
        self.message = ""
        self.left_out = ""  # see Workspace.left_out
        self.work: Work | None = None
        self.paused = False
        self._supervisor = Supervisor(folder, self._on_event)
        self._reader = IndexReader(uri, folder, launch, documents, encoder, self._supervisor.rebuild)
        self._changed = changed
        self._in_pool = in_pool
        self._state = "starting"
        self._indexed_once = False
        self._news = False
        self._looking = False
        self._look_due = False
        self._ready_due = False
        self._loading_exit = 0
        self._look_again_at = 0.0

    # -- life

    @property
    def launch(self) -> Launch:
        """Where its index lies, and what it is read with."""
        return self._reader.launch

    @property
    def is_started(self) -> bool:
        """Whether a child indexes the folder."""
        return self._supervisor.is_started

    @property
    def pid(self) -> int | None:
        """The number of the child's process, None without one."""
        return self._supervisor.pid

    def refuse(self, message: str, state: str = "off") -> None:
        """This folder is not indexed, and `message` says why."""
        self._state, self.message = state, message
        self._reader.may_open = state != "off"
        self._changed(self)

    def start(self, child: Child | None, launch: Launch, settings: Settings, *, watch: bool) -> None:
        """Have the folder indexed by `child`, or a new one. watch: whether it looks for changes itself."""
        self._reader.launch, self._reader.settings = launch, settings
        self._supervisor.start(child, launch, settings, watch=watch)
        self._begin()
        self._changed(self)

    def _begin(self) -> None:
        """A child that knows nothing yet is at it."""
        self.work = None
        self._state, self.message = "starting", ""
        self._reader.may_open, self._reader.clearing = True, False
        if self.paused:
            self._supervisor.send("pause")

    def close(self) -> Child | None:
        """Let go of everything at once; the child, which may take a moment to be gone."""
        self._state, self._reader.may_open = "off", False
        return self._supervisor.close()

    # -- what it is told

    def follow(self, settings: Settings) -> None:
        """Take new settings."""
        self._reader.settings = settings
        if self._supervisor.follow(settings):
            self._reader.reconsider()

    def pause(self) -> None:
        """Stop indexing until `resume`; questions are answered from what is known."""
        self.paused = True
        self._supervisor.send("pause")
        self._changed(self)

    def resume(self) -> None:
        """Go on indexing after `pause`."""
        self.paused = False
        self._supervisor.send("resume")
        self._changed(self)

    def reindex(self) -> None:
        """Index everything anew."""
        self._forget()
        self._supervisor.send("clear")
        self.resume()
        self._supervisor.send("refresh")

    def clear(self) -> None:
        """Empty the index, and leave it so until `resume` or `reindex`."""
        self._forget()
        self.pause()
        self._supervisor.send("clear")

    def _forget(self) -> None:
        """Nothing is known any more, whatever the index holds until the child has emptied it."""
        self._reader.clearing = self.is_started
        self._reader.forget()
        self._indexed_once = self._ready_due = False
        if self._state not in ("off", "failed", "starting"):
            self._state = "indexing"

    def files_changed(self, paths: Iterable[str]) -> None:
        """Files at these paths were made, changed or deleted: refresh once the burst is over."""
        self._supervisor.files_changed(paths)

    def in_use(self) -> None:
        """Somebody types in a file of this folder, or asks: deepening can wait."""
        self._supervisor.in_use()

    # -- what the child says

    def _on_event(self, event: Event) -> None:
        kind, job = event["event"], event.get("job", "")
        if kind == "opened":
            self._state, self.message = "indexing", event["notice"]
        elif kind == "started" and not self._indexed_once:
            self._state = "indexing"
        elif kind == "progress":
            self._on_progress(job, event)
        elif kind == "finished":
            self._on_finished(job, event)
        elif kind == "failed":
            self._on_failed(job, event["message"])
        elif kind == RESTARTED:
            self._begin()
        self.look()
        self._changed(self)

    def _on_progress(self, job: str, event: Event) -> None:
        self.work = Work(job, event["done"], event["total"], event["path"])
        if job == "refresh" and (not self._indexed_once or event["total"] >= _MANY_FILES):
            self._state = "indexing"

    def _on_finished(self, job: str, event: Event) -> None:
        self.work = None
        if job == "refresh":
            self._refreshed(event)
        elif job == "graph":
            self._in_pool(self._reader.load_graph)
        elif job == "clear":
            self._forget()  # again: a refresh may have ended in between
            self._reader.clearing = False

    def _refreshed(self, event: Event) -> None:
        self.message, self.left_out = event["notice"], event["left_out"]
        if event["complete"]:
            self._news |= not self._indexed_once or event["changed"] > 0
            self._indexed_once = self._ready_due = True
            self._reader.reconsider()  # ignore rules may be among what changed
        elif not self.paused:
            self._state = "indexing"

    def _on_failed(self, job: str, message: str) -> None:
        self.message = message
        self._reader.clearing = False
        if job in _VITAL:
            self.work, self._state = None, "failed"

    def take_news(self) -> bool:
        """Whether a refresh changed something since this was last asked."""
        news, self._news = self._news, False
        return news

    # -- looking at the index

    def look(self) -> None:
        """Have the numbers of `index_state` brought up to date soon."""
        if self._looking:
            self._look_due = True
            return
        if self._state == "indexing" and not self._ready_due and time.monotonic() < self._look_again_at:
            return  # the end of the refresh brings another occasion
        self._looking, self._look_due = True, False
        self._in_pool(self._timed_look).add_done_callback(self._looked)

    def _timed_look(self) -> tuple[float, bool]:
        """(seconds it took, whether anything is new); for any thread."""
        begin = time.monotonic()
        differs = self._reader.look()
        return time.monotonic() - begin, differs

    def _looked(self, future: asyncio.Future[Any]) -> None:
        self._looking = False
        if not future.cancelled() and future.exception() is None:
            took, differs = future.result()
            self._look_again_at = time.monotonic() + took * _LOOK_SHARE
            if differs:
                self._changed(self)
            if (depth := self._reader.useful_exit()) != self._loading_exit:
                self._loading_exit = depth
                self._in_pool(self._reader.load_exit, depth)
        if self._look_due:
            self.look()
        elif self._ready_due and self.is_started:  # now that the numbers are those of the whole
            self._ready_due, self._state = False, "ready"
            self._changed(self)

    # -- how much is known; for any thread

    @property
    def index_state(self) -> IndexState:
        """How much is known, as far as was last looked."""
        paused = self.paused and self._state not in ("off", "failed")
        return state_of(
            "paused" if paused else self._state,
            self._reader.last_look,
            self.work,
            indexed_once=self._indexed_once,
            target=self._target(),
        )

    def _target(self) -> int:
        """The exit that all chunks will have in the end."""
        exits = self._reader.exits if self._reader.is_open else []
        return exits[-1] if exits else 0

    @property
    def generation(self) -> int:
        """The generation of the index that was last looked at; it grows with every commit."""
        return self._reader.last_look.generation

    @property
    def bytes(self) -> int:
        """How many bytes the index takes on disk, as far as was last looked."""
        return self._reader.last_look.bytes

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
        return self.is_getting_better and not self._reader.last_look.chunks

    # -- questions; for any thread

    @property
    def question_exit(self) -> int:
        """The exit at which questions are embedded."""
        return self._reader.question_exit

    def ask(
        self,
        question: Question,
        options: Options,
        snippet_lines: int,
        cancelled: Callable[[], bool] | None = None,
    ) -> FolderAnswer:
        """Puts a question to the index and the documents over it. Raises ModstarError.

        cancelled: ends the last stage's reading early.
        """
        found = self._reader.ask(question, options, snippet_lines, cancelled)
        return FolderAnswer(message=self.message) if found is None else found
