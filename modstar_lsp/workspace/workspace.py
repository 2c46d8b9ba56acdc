"""A folder of sources with its index and its model."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.errors import StoreError, WorkspaceError
from modstar_lsp.files.kinds import MAX_BYTES, MOST_BYTES
from modstar_lsp.files.lines import joined, lines_of
from modstar_lsp.files.reasons import summed_up
from modstar_lsp.index import DamagedIndex, Index, IndexStatus, RefreshReport, index_folder
from modstar_lsp.workspace.question import Question
from modstar_lsp.workspace.second_look import SecondLook

if TYPE_CHECKING:
    from modstar_lsp.files import Walk
    from modstar_lsp.index import Adoption, Snapshot, VectorFile, View
    from modstar_lsp.index.records import Cancelled, OnProgress
    from modstar_lsp.search import Hit, Options, Results
    from modstar_lsp.workspace.description import Description
    from modstar_lsp.workspace.second_look import CheckedResults

_PROJECT_MARKERS = (".git", ".hg", ".svn", ".jj")
# The note in the index of the bounds that it was made with.
_BOUNDS_NOTE = "filters"
# The note of the model's files as they were when their digests were found right. Computing those is a
# twentieth of what a query costs.
_MODEL_NOTE = "model"
# The note of the bounds in the settings of an editor that it was last opened with.
_SETTINGS_NOTE = "settings"

#: Is told of a damaged index; whether it has been made anew, so that asking again makes sense.
Recover = Callable[[DamagedIndex], bool]

T = TypeVar("T")


class Bounds(NamedTuple):
    """What of a folder belongs to the workspace, besides what ignore files and kinds of files say."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_file_bytes: int = MAX_BYTES

    @classmethod
    def read(cls, note: str) -> Bounds:
        """From a note, which may be "" where none was made."""
        if not note:
            return cls()
        include, exclude, max_file_bytes = json.loads(note)
        return cls(tuple(include), tuple(exclude), max_file_bytes)

    def given(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), max_file_bytes: int | None = None
    ) -> Bounds:
        """What counts when these are given: globs take the place of all globs. Raises WorkspaceError."""
        wanted = self
        if include or exclude:
            wanted = wanted._replace(include=tuple(include), exclude=tuple(exclude))
        if max_file_bytes is not None:
            wanted = wanted._replace(max_file_bytes=_checked(max_file_bytes))
        return wanted

    def for_walk(self) -> dict[str, Any]:
        """`include`, `exclude` and `max_bytes`, as `walk` and `is_allowed` take them."""
        return {"include": self.include, "exclude": self.exclude, "max_bytes": self.max_file_bytes}


def _checked(max_file_bytes: int) -> int:
    if not 0 < max_file_bytes <= MOST_BYTES:
        raise WorkspaceError(f"files of up to {max_file_bytes:,} bytes: give 1 to {MOST_BYTES:,}")
    return max_file_bytes


class Unsaved(Protocol):
    """The documents of a face that are open and not saved."""

    def over(self, snapshot: Snapshot) -> View:
        """`snapshot` with those documents over it."""
        ...

    def text(self, path: str) -> str | None:
        """The text of the document that is the file `path`, None when it is not open."""
        ...


def is_project(folder: Path) -> bool:
    """Whether a version control system calls `folder` its own."""
    return any((folder / marker).exists() for marker in _PROJECT_MARKERS)


def project_root(start: Path) -> Path:
    """The nearest folder at or above `start` that a version control system calls its own, else `start`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if is_project(folder):
            return folder
    return start


def is_a_lot(folder: Path) -> bool:
    """Whether `folder` is more than a project: all of somebody's files, or all of the machine's."""
    folder = folder.resolve()
    try:
        home = Path.home().resolve()
    except RuntimeError:  # none is known
        return folder == Path(folder.anchor)
    return folder in (home, Path(folder.anchor))


def useful_exit(chunks: Iterable[tuple[int, int]]) -> int:
    """The deepest exit that half of the chunks have reached: there a question is embedded best, too.

    chunks: (depth, number of chunks embedded there), in any order.
    """
    counts = sorted(chunks, reverse=True)
    total, reached = sum(count for _, count in counts), 0
    for depth, count in counts:
        reached += count
        if 2 * reached >= total:
            return depth
    return 0


class Workspace:
    """A folder of sources with its index and its model, and a face's unsaved documents over both.

    notice: one line the user should see after opening (an index that was damaged or foreign and is
    rebuilt), else "".
    """

    def __init__(
        self,
        root: Path,
        index: Index,
        encoder: Encoder,
        index_dir: Path | None,
        unsaved: Unsaved | None = None,
    ) -> None:
        self.root = root
        self._unsaved = unsaved
        self._index_dir = index_dir
        self.encoder = encoder
        self._index = index
        # The globs of the last walk, and what it found.
        self._walked: tuple[Bounds, Walk] | None = None
        self._second_look = SecondLook(root, encoder, self._is_open, lambda: self.max_file_bytes)
        #: What the last refresh left out, summed up: "12: 8 ignored, 4 too large".
        self.left_out = ""
        self._model_stamp = encoder.bundle.stamp()
        if self._model_stamp and index.remembered(_MODEL_NOTE) == self._model_stamp:
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
        encoder: Encoder | None = None,
        unsaved: Unsaved | None = None,
        write: bool = True,
    ) -> Workspace:
        """Opens or makes the index of `root`.

        index_dir: the folder that holds all indexes, the user's cache folder by default.  bundle: a model
        folder, the one in the package by default.  encoder: a model that is loaded already, in its place.
        unsaved: documents that every question is put to as well.  write: False never changes the index.
        Raises WorkspaceError, BundleError or StoreError, each with one line for the user.
        """
        folder = Path(root)
        if not folder.exists():
            raise WorkspaceError(f"{root}: no such folder")
        if not folder.is_dir():
            raise WorkspaceError(f"{root}: not a folder; name the folder that holds it")
        folder = folder.resolve()
        model = encoder or Encoder(open_bundle(bundle))
        index = Index.open(index_folder(folder, index_dir), folder, model.bundle, write=write)
        return cls(folder, index, model, index_dir, unsaved)

    @property
    def index_folder(self) -> Path:
        """Where its index lies."""
        return self._index.folder

    def index_bytes(self) -> int:
        """The size of its index on disk, with everything derived."""
        return self._index.bytes()

    @property
    def notice(self) -> str:
        """What opening, refreshing or encoding has to tell the user, "" when nothing."""
        return self._index.notice or self.encoder.notice

    def _walk(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        changed: Collection[str] | None = None,
        max_file_bytes: int | None = None,
    ) -> Walk:
        from modstar_lsp.files import walk, walk_again

        note = self._index.remembered(_BOUNDS_NOTE)
        bounds = Bounds.read(note)
        wanted = bounds.given(include, exclude, max_file_bytes)
        if wanted != bounds:
            self._index.remember(_BOUNDS_NOTE, json.dumps(wanted))
        found = None
        named = wanted.for_walk()
        if changed is not None and self._walked is not None and self._walked[0] == wanted:
            found = walk_again(self.root, self._walked[1], changed, **named)
        if found is None:
            found = walk(self.root, kept=self._index.listings, **named)
        self._walked = wanted, found
        return found

    def refresh(
        self,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        changed: Collection[str] | None = None,
        max_file_bytes: int | None = None,
    ) -> RefreshReport:
        """Brings the index up to date; only what changed since the last time is read.

        changed: paths outside which nothing changed since this object's last refresh; None looks everywhere.
        include, exclude: globs that bound the workspace; they are remembered until others are given or the
        index is cleared.  max_file_bytes: likewise, larger files do not belong to it.
        """
        report = self._index.refresh(
            self.encoder,
            self._walk(include, exclude, changed, max_file_bytes),
            progress=progress,
            cancelled=cancelled,
            borrow_from=self._other_indexes(),
        )
        self._remember_model()
        self.left_out = summed_up(entry.reason for entry in report.skipped)
        return report

    def _remember_model(self) -> None:
        """Notes that the files of exit 0 are sound, so that the next process need not check them again."""
        if self._model_stamp and self._index.remembered(_MODEL_NOTE) != self._model_stamp:
            for name in self.encoder.bundle.static.files:
                self.encoder.bundle.verified(name)
            self._index.remember(_MODEL_NOTE, self._model_stamp)

    def remembered_bounds(self) -> Bounds:
        """What bounds the workspace. Raises StoreError."""
        return Bounds.read(self._index.remembered(_BOUNDS_NOTE))

    def bounds(self) -> dict[str, Any]:
        """What bounds the workspace, as `walk` takes it; of an index that cannot be read, the widest."""
        try:
            return self.remembered_bounds().for_walk()
        except StoreError:
            return Bounds(max_file_bytes=MOST_BYTES).for_walk()

    @property
    def max_file_bytes(self) -> int:
        """The size of the largest file that belongs to the workspace."""
        return self.remembered_bounds().max_file_bytes

    def follow_settings(
        self, include: Sequence[str], exclude: Sequence[str], max_file_bytes: int = MAX_BYTES
    ) -> None:
        """Bounds the workspace by an editor's settings.

        What was given to `refresh` counts until the settings change. Raises StoreError.
        """
        given = json.dumps(Bounds(tuple(include), tuple(exclude), max_file_bytes))
        if given != (self._index.remembered(_SETTINGS_NOTE) or json.dumps(Bounds())):
            self._index.remember(_SETTINGS_NOTE, given)
            self._index.remember(_BOUNDS_NOTE, given)

    def _other_indexes(self) -> list[Path]:
        """Whose deeper vectors a new index takes over: an earlier version's, and other worktrees'."""
        if not self._index.is_new():
            return []
        from modstar_lsp.files.repository import other_worktrees

        folders = [self.root, *other_worktrees(self.root)]
        return [index_folder(folder, self._index_dir) for folder in folders]

    def deepen(
        self,
        depth: int,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
        order: Sequence[int] | None = None,
    ) -> int:
        """Embeds chunks again at a deeper exit, the number of chunks done. Searches go on meanwhile.

        order: the rows of the newest snapshot to embed, the most useful first; None: all.
        """
        return self._index.deepen(self.encoder, depth, order=order, progress=progress, cancelled=cancelled)

    def export_vectors(self, file: Path) -> int:
        """Writes the vectors deeper than exit 0 to `file`, for `adopt` elsewhere; how many there are."""
        return self._index.export_vectors(file)

    def open_vectors(self, file: Path) -> VectorFile:
        """A file that `export_vectors` made, to be closed. Raises StoreError when it is of another model."""
        return self._index.open_vectors(file)

    def adopt(
        self,
        file: VectorFile,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Adoption:
        """Takes the vectors of `file` that are deeper than the index's own for the same texts.

        Raises StoreError when the file is damaged or was altered; nothing of it is taken then.
        """
        return self._index.adopt(file, progress=progress, cancelled=cancelled)

    def build_graph(self, progress: OnProgress | None = None, cancelled: Cancelled | None = None) -> bool:
        """Builds the nearest-neighbour graph where it pays and hnswlib is installed; whether it was built."""
        return self._index.build_graph(progress=progress, cancelled=cancelled)

    def load_graph(self) -> bool:
        """Takes that graph into memory before a question needs it; whether there is one that fits."""
        return self._index.load_graph()

    def forget_graph(self) -> None:
        """Lets go of the graph's memory, for who builds it and asks nothing."""
        self._index.forget_graph()

    def snapshot(self) -> Snapshot:
        """The index as it is now, for reading: `with workspace.snapshot() as snapshot: ...`."""
        return self._index.snapshot()

    def view(self, snapshot: Snapshot) -> View:
        """`snapshot` with the unsaved documents over it; good as long as `snapshot` is held."""
        return snapshot if self._unsaved is None else self._unsaved.over(snapshot)

    def read(self, look: Callable[[Snapshot], T], recover: Recover | None = None) -> T:
        """What `look` makes of the index as it is now.

        recover: is told when the index turns out to be damaged; if it says that it was made anew, `look` is
        called once more. Raises DamagedIndex otherwise, StoreError, and whatever `look` raises.
        """

        def attempt() -> T:
            with self.snapshot() as snapshot:
                return look(snapshot)

        try:
            return attempt()
        except DamagedIndex as error:
            if recover is None or not recover(error):
                raise
        return attempt()

    def ask(
        self,
        question: Question,
        options: Options | None = None,
        *,
        recover: Recover | None = None,
        renew: Callable[[], object] | None = None,
        cancelled: Cancelled | None = None,
        as_indexed: bool = False,
    ) -> Results:
        """The places that answer best, in files as they are now. Raises ModstarError, and as `read`.

        renew: refreshes, and is called when what was found had changed; what is new is then found as well.
        cancelled: ends the reading that `options.budget` allows; the answer is then that of what was read.
        as_indexed: no file is looked at, so a hit may be in one that changed since it was indexed, or went.
        """
        if as_indexed:
            return self.read(lambda held: self.put(question, self.view(held), options, cancelled), recover)

        def answer(snapshot: Snapshot) -> CheckedResults:
            return self.check(question, snapshot, options, cancelled)

        checked = self.read(answer, recover)
        if checked.stale and renew is not None:
            with suppress(StoreError):  # what was found holds without
                renew()
                checked = self.read(answer)
        return checked.results

    def check(
        self,
        question: Question,
        snapshot: Snapshot,
        options: Options | None = None,
        cancelled: Cancelled | None = None,
    ) -> CheckedResults:
        """`ask` of a snapshot that is held already, for who describes the hits in that view."""
        return self._second_look.search(
            snapshot, self.view(snapshot), lambda view: self.put(question, view, options, cancelled)
        )

    def put(
        self,
        question: Question,
        view: View,
        options: Options | None = None,
        cancelled: Cancelled | None = None,
    ) -> Results:
        """What a view answers, whatever became of the files. Raises QueryError."""
        return question.put(view, self.encoder, options, self, cancelled)

    def search(self, text: str, options: Options | None = None) -> Results:
        """The places that answer a sentence or name best, from what is indexed now."""
        return self.ask(Question(text), options)

    def similar(
        self, code: str, options: Options | None = None, *, origin: tuple[str, int, int] | None = None
    ) -> Results:
        """The places most like a piece of code; `origin` (path, first, last line) itself is left out."""
        return self.ask(Question(code=code, origin=origin), options)

    def describe(self, hit: Hit, words: Collection[str]) -> Description:
        """`hit` as its file stands now, and what in it answers `words`."""
        from modstar_lsp.workspace.description import Description

        text = self.text(hit)
        return Description.of(hit, text.split("\n") if text else [], words)

    def text(self, hit: Hit) -> str:
        """The lines of a hit as the file stands now, "" when it is gone."""
        return self.lines(hit.path, hit.start_line, hit.end_line)

    def _is_open(self, path: str) -> bool:
        return self._unsaved is not None and self._unsaved.text(path) is not None

    def source(self, path: str) -> str:
        """The text of a file as it stands now, in the editor or else on disk; "" when it cannot be read."""
        unsaved = None if self._unsaved is None else self._unsaved.text(path)
        return self._saved(path) if unsaved is None else unsaved

    def modified(self, path: str) -> float:
        """When a file was last written, in seconds since 1970; 0 when it is gone."""
        try:
            return (self.root / path).lstat().st_mtime
        except OSError:
            return 0.0

    def _saved(self, path: str) -> str:
        from modstar_lsp.files import Unreadable, read_source

        try:
            return read_source(self.root, path)
        except Unreadable:
            return ""

    def lines(self, path: str, first: int, last: int) -> str:
        """Lines first..last (1-based, inclusive) of a file of the workspace, "" when it cannot be read."""
        return joined(lines_of(self._saved(path)), first, last)

    def status(self) -> IndexStatus:
        """What the index knows now. Raises StoreError."""
        return self._index.status()

    def pending(self) -> int:
        """How many files a refresh would add, read again or remove."""
        return self._index.pending(self._walk())

    def clear(self) -> None:
        """Removes this workspace's index."""
        self._index.clear()

    def close(self) -> None:
        """Lets go of the index; views and snapshots of it are no longer good."""
        self._index.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
