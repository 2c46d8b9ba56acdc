"""The one object that the command line and the language server hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.errors import WorkspaceError
from modstar_lsp.index import Index, IndexStatus, Progress, RefreshReport, index_folder

if TYPE_CHECKING:
    from modstar_lsp.files import Walk
    from modstar_lsp.index import Snapshot
    from modstar_lsp.search import Hit, Options, Results

_PROJECT_MARKERS = (".git", ".hg", ".svn", ".jj")
# The note in the index of the globs that it was made with.
_FILTERS = "filters"
# The note of the model's files as they were when their digests were found right. Computing those is a
# twentieth of what a query costs.
_MODEL = "model"
# The note of the globs in the settings of an editor that it was last opened with.
_SETTINGS = "settings"

OnProgress = Callable[[Progress], None]
Cancelled = Callable[[], bool]


def project_root(start: Path) -> Path:
    """The nearest folder at or above `start` that a version control system calls its own, else `start`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in _PROJECT_MARKERS):
            return folder
    return start


class Workspace:
    """A folder of sources with its index and its model.

    notice: one line the user should see after opening (an index that was damaged or foreign and is
    rebuilt), else "".
    """

    def __init__(self, root: Path, index: Index, encoder: Encoder, index_dir: Path | None) -> None:
        self.root = root
        self._index_dir = index_dir
        self.encoder = encoder
        self._index = index
        # The globs of the last walk, and what it found.
        self._walked: tuple[list[list[str]], Walk] | None = None
        self._model_stamp = encoder.bundle.stamp()
        if self._model_stamp and index.remembered(_MODEL) == self._model_stamp:
            encoder.bundle.checked.update(encoder.bundle.static.files)
        else:
            encoder.prepare()

    @classmethod
    def open(
        cls,
        root: Path | str,
        *,
        index_dir: Path | None = None,
        bundle: Path | None = None,
        write: bool = True,
    ) -> Workspace:
        """Opens or makes the index of `root`.

        index_dir: the folder that holds all indexes, the user's cache folder by default.  bundle: a model
        folder, the one in the package by default.  write: False never changes the index.
        Raises WorkspaceError, BundleError or StoreError, each with one line for the user.
        """
        folder = Path(root)
        if not folder.exists():
            raise WorkspaceError(f"{root}: no such folder")
        if not folder.is_dir():
            raise WorkspaceError(f"{root}: not a folder; name the folder that holds it")
        folder = folder.resolve()
        model = open_bundle(bundle)
        index = Index.open(index_folder(folder, index_dir), folder, model, write=write)
        return cls(folder, index, Encoder(model), index_dir)

    @property
    def notice(self) -> str:
        return self._index.notice

    def _walk(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        changed: Collection[str] | None = None,
    ) -> Walk:
        from modstar_lsp.files import walk, walk_again

        note = self._index.remembered(_FILTERS)
        given = [list(include), list(exclude)]
        remembered: list[list[str]] = json.loads(note) if note else [[], []]
        if any(given) and given != remembered:
            self._index.remember(_FILTERS, json.dumps(given))
            remembered = given
        found = None
        if changed is not None and self._walked is not None and self._walked[0] == remembered:
            found = walk_again(
                self.root, self._walked[1], changed, include=remembered[0], exclude=remembered[1]
            )
        if found is None:
            found = walk(self.root, include=remembered[0], exclude=remembered[1])
        self._walked = remembered, found
        return found

    def refresh(
        self,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        changed: Collection[str] | None = None,
    ) -> RefreshReport:
        """Brings the index up to date; only what changed since the last time is read.

        changed: paths outside which nothing changed since this object's last refresh; None looks everywhere.
        include, exclude: globs that bound the workspace; they are remembered until others are given or the
        index is cleared.
        """
        report = self._index.refresh(
            self.encoder,
            self._walk(include, exclude, changed),
            progress=progress,
            cancelled=cancelled,
            donors=self._donors(),
        )
        self._remember_model()
        return report

    def _remember_model(self) -> None:
        """Notes that the files of exit 0 are sound, so that the next process need not check them again."""
        if self._model_stamp and self._index.remembered(_MODEL) != self._model_stamp:
            for name in self.encoder.bundle.static.files:
                self.encoder.bundle.verified(name)
            self._index.remember(_MODEL, self._model_stamp)

    def follow_settings(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Bounds the workspace by the globs in an editor's settings.

        Globs that were given to `refresh` count until the settings change. Raises StoreError.
        """
        given = json.dumps([list(include), list(exclude)])
        if given != (self._index.remembered(_SETTINGS) or json.dumps([[], []])):
            self._index.remember(_SETTINGS, given)
            self._index.remember(_FILTERS, given)

    def _donors(self) -> list[Path]:
        """Indexes of the repository's other worktrees: a new one takes their deeper vectors over."""
        if not self._index.is_new():
            return []
        from modstar_lsp.files.repository import other_worktrees

        return [index_folder(folder, self._index_dir) for folder in other_worktrees(self.root)]

    def deepen(
        self,
        exit: int,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
        order: Sequence[int] | None = None,
    ) -> int:
        """Embeds chunks again at a deeper exit, the number of chunks done. Searches go on meanwhile.

        order: the rows of the newest snapshot to embed, the most useful first; None: all.
        """
        return self._index.deepen(self.encoder, exit, order=order, progress=progress, cancelled=cancelled)

    def build_graph(self, progress: OnProgress | None = None, cancelled: Cancelled | None = None) -> bool:
        """Builds the nearest-neighbour graph where it pays and hnswlib is installed; whether it was built."""
        return self._index.build_graph(progress=progress, cancelled=cancelled)

    def forget_graph(self) -> None:
        """Lets go of the graph's memory, for who builds it and asks nothing."""
        self._index.forget_graph()

    def snapshot(self) -> Snapshot:
        """The index as it is now, for reading: `with workspace.snapshot() as snapshot: ...`."""
        return self._index.snapshot()

    def search(self, text: str, options: Options | None = None) -> Results:
        """The places that answer a sentence or name best, from what is indexed now."""
        from modstar_lsp.search import search

        with self.snapshot() as snapshot:
            return search(snapshot, self.encoder, text, options)

    def similar(
        self, code: str, options: Options | None = None, *, origin: tuple[str, int, int] | None = None
    ) -> Results:
        """The places most like a piece of code; `origin` (path, first, last line) itself is left out."""
        from modstar_lsp.search import similar

        with self.snapshot() as snapshot:
            return similar(snapshot, self.encoder, code, options, origin=origin)

    def text(self, hit: Hit) -> str:
        """The lines of a hit as the file stands now, "" when it is gone."""
        return self.lines(hit.path, hit.start_line, hit.end_line)

    def lines(self, path: str, first: int, last: int) -> str:
        """Lines first..last (1-based, inclusive) of a file of the workspace, "" when it cannot be read."""
        from modstar_lsp.files import Unreadable, read_source

        try:
            text = read_source(self.root, path)
        except Unreadable:
            return ""
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return "\n".join(lines[first - 1 : last])

    def status(self) -> IndexStatus:
        return self._index.status()

    def pending(self) -> int:
        """How many files a refresh would add, read again or remove."""
        return self._index.pending(self._walk())

    def clear(self) -> None:
        """Removes this workspace's index."""
        self._index.clear()

    def close(self) -> None:
        self._index.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
