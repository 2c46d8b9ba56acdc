"""A folder's index as questions read it: opened when there is one, looked at, asked; never written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.background.child import Launch
from modstar_lsp.errors import ModstarError, StoreError, WorkspaceError
from modstar_lsp.server.protocol import ClientHit
from modstar_lsp.server.settings import Settings
from modstar_lsp.server.texts import Texts

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import DamagedIndex, Snapshot
    from modstar_lsp.search import Options
    from modstar_lsp.server.documents import Documents, UnsavedDocuments
    from modstar_lsp.workspace import Workspace
    from modstar_lsp.workspace.question import Question


class Look(NamedTuple):
    """What the index held when it was last looked at.

    generation: grows with every commit.  indexed: files.  share: of the files that belong to it, 0 to 1.
    exits: (depth, chunks embedded there).  bytes: on disk.
    """

    generation: int = -1
    indexed: int = 0
    share: float = 0.0
    chunks: int = 0
    exits: tuple[tuple[int, int], ...] = ()
    bytes: int = 0


class FolderAnswer(NamedTuple):
    """What one folder answers."""

    hits: tuple[ClientHit, ...] = ()
    closest: ClientHit | None = None
    message: str = ""
    did_you_mean: str = ""


class IndexReader:
    """One folder's index and the open documents over it. For any thread.

    rebuild: called when the index turns out to be damaged.
    """

    def __init__(
        self,
        uri: str,
        folder: Path,
        launch: Launch,
        documents: Documents,
        encoder: Callable[[], Encoder],
        rebuild: Callable[[], None],
    ) -> None:
        self.launch = launch
        self.settings = Settings()
        #: Whether an index that was not opened so far may be.
        self.may_open = True
        #: Whether what the index holds is about to go.
        self.clearing = False
        self.last_look = Look()
        #: The exit at which questions are embedded.
        self.question_exit = 0
        self._uri = uri
        self._folder = folder
        self._documents = documents
        self._encoder = encoder
        self._rebuild = rebuild
        self._texts = Texts(folder)
        self._workspace: Workspace | None = None
        self._unsaved: UnsavedDocuments | None = None
        self._open_lock = Lock()

    # -- opening

    @property
    def is_open(self) -> bool:
        """Whether there is an index to ask."""
        return self._workspace is not None

    @property
    def exits(self) -> list[int]:
        """The exits that the index is deepened to, in order. Raises BundleError."""
        deepest = self.launch.deepest
        depths = [one.depth for one in self._encoder().bundle.exits]
        return [depth for depth in depths if depth and (deepest is None or depth <= deepest)]

    def _opened(self) -> Workspace | None:
        """The index; None as long as there is none."""
        if self._workspace is None and self.may_open:
            with self._open_lock:
                if self._workspace is None:
                    self._open()
        return self._workspace

    def _open(self) -> None:
        from modstar_lsp.files import is_allowed
        from modstar_lsp.server.documents import UnsavedDocuments
        from modstar_lsp.workspace import Workspace

        encoder, folder = self._encoder(), self._folder.resolve()

        def allowed(path: str) -> bool:
            settings = self.settings
            most = self._max_file_bytes()
            return is_allowed(folder, path, settings.index_include, settings.index_exclude, most)

        unsaved = UnsavedDocuments(self._folder, self._documents, encoder, self._max_file_bytes, allowed)
        with suppress(StoreError, WorkspaceError):
            workspace = Workspace.open(
                folder, index_dir=self.launch.index_dir, encoder=encoder, unsaved=unsaved, write=False
            )
            self._unsaved, self._workspace = unsaved, workspace

    def _max_file_bytes(self) -> int:
        """What the index was made with: by these settings, or by whoever was asked to let larger files in."""
        most = self.settings.index_max_file_bytes
        with suppress(StoreError):
            most = max(most, self._workspace.max_file_bytes) if self._workspace is not None else most
        return most

    def reconsider(self) -> None:
        """Which files belong to the workspace may have changed: ask again for the open documents."""
        if self._unsaved is not None:
            self._unsaved.reconsider()

    # -- ahead of questions

    def look(self) -> bool:
        """See what the index holds now; whether that is anything new."""
        before = self.last_look
        workspace = None if self.clearing else self._opened()
        if workspace is not None:
            try:
                with workspace.snapshot() as snapshot:
                    if snapshot.generation != before.generation:
                        snapshot.quantised()  # so that the next question need not read them
                        self.last_look = _look_at(workspace, snapshot)
            except StoreError:
                self.last_look = Look()
        return self.last_look != before

    def forget(self) -> None:
        """Whatever the index holds counts no longer."""
        self.last_look = Look()

    def load_graph(self) -> None:
        """Have the graph of a large index ready before the questions come."""
        if self._workspace is not None:
            with suppress(StoreError):
                self._workspace.load_graph()

    def useful_exit(self) -> int:
        """The exit at which questions should be embedded, by what was last seen."""
        from modstar_lsp.workspace import useful_exit

        depth, deepest = useful_exit(self.last_look.exits), self.launch.deepest
        return depth if deepest is None else min(depth, deepest)

    def load_exit(self, depth: int) -> None:
        """Have an exit loaded before a question needs it, which takes 0.3 s."""
        with suppress(ModstarError):
            self._encoder().encode(["warm up"], depth, "query")
            self.question_exit = depth

    # -- questions

    def ask(
        self,
        question: Question,
        options: Options,
        snippet_lines: int,
        cancelled: Callable[[], bool] | None = None,
    ) -> FolderAnswer | None:
        """Put a question to the index and the documents over it; None when there is nothing to ask.

        cancelled: ends the last stage's reading early.  Raises ModstarError.
        """
        from modstar_lsp.server.hits import Describer

        workspace, unsaved = self._opened(), self._unsaved
        if workspace is None or unsaved is None or self.clearing:
            return None

        def answer(snapshot: Snapshot) -> FolderAnswer:
            self._note(snapshot)
            checked = workspace.check(question, snapshot, options, cancelled)
            results, words = checked.results, question.words()
            describer = Describer(
                self._texts, checked.stats, self._uri, unsaved, self._documents.encoding, words, snippet_lines
            )
            said = [results.note, results.stage.note if results.stage is not None else ""]
            message = "; ".join(filter(None, said))
            return FolderAnswer(*describer.hits(results, checked.view), message, results.did_you_mean)

        return workspace.read(answer, self._recover)

    def _note(self, snapshot: Snapshot) -> None:
        """The answer says how much it knew."""
        if snapshot.generation != self.last_look.generation:
            self.last_look = self.last_look._replace(
                indexed=len(snapshot.paths), share=snapshot.indexed_share, chunks=snapshot.n
            )

    def _recover(self, error: DamagedIndex) -> bool:
        """Making the index anew takes longer than a question waits."""
        self._rebuild()
        return False


def _look_at(workspace: Workspace, snapshot: Snapshot) -> Look:
    status = workspace.status()
    return Look(
        snapshot.generation,
        len(snapshot.paths),
        snapshot.indexed_share,
        snapshot.n,
        tuple(sorted(status.depths.items())),
        status.bytes,
    )
