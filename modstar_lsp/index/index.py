"""The index of one workspace, as the layers above see it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, RLock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.errors import StoreError
from modstar_lsp.index.store.database import (
    WRITER_LOCK,
    DamagedIndex,
    Database,
    Unsound,
    read_meta,
    transaction,
    write_meta,
)
from modstar_lsp.index.store.lock import FileLock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modstar_lsp.encoder import Bundle, Encoder
    from modstar_lsp.files import Walk
    from modstar_lsp.index.reading.snapshot import Snapshot
    from modstar_lsp.index.records import Cancelled, OnProgress, RefreshReport
    from modstar_lsp.index.vectors.exchange import VectorFile
    from modstar_lsp.index.vectors.neighbours import NeighbourGraph
    from modstar_lsp.index.writing.adopt import Adoption

# Seconds to wait for a writer before a damaged index is thrown away.
_DAMAGE_WAIT = 10.0
# Seconds to wait for another process that is refreshing the same index; its result is then ours.
LOCK_WAIT = 5.0
# Up to here scanning every vector takes 1 ms; a graph pays only above.
EXACT_SCAN_LIMIT = 20_000
# Of more the signs (vectors/signs.py) find more, with nothing to build: of 98,875 chunks .999 of the nearest
# 120 to a question in 17 ms where the graph found .976 in 14, after 14 s and a kilobyte a vector to build it.
GRAPH_LIMIT = 50_000
# A process that has asked this often is no single query, and reading the graph pays. At 50,000 chunks a scan
# takes 3 ms, the graph 2 ms at a recall of .98, and reading it 250 ms.
_QUESTIONS_BEFORE_GRAPH = 50


def graph_pays(chunks: int) -> bool:
    """Whether a neighbour graph of so many chunks would be of use."""
    return EXACT_SCAN_LIMIT < chunks <= GRAPH_LIMIT


class IndexStatus(NamedTuple):
    """files, chunks: in the index.  languages: files of each.  bytes: on disk, everything derived included.

    generation: grows with every commit.  depths: how many chunks have a vector of which depth.
    """

    files: int
    chunks: int
    languages: dict[str, int]
    bytes: int
    generation: int
    depths: dict[int, int]


class Index:
    """What is known about a workspace. Safe to use from several threads and processes: one writes, all read.

    notice: one line for the user when an index was foreign, newer or damaged and is rebuilt, else "".
    """

    def __init__(self, database: Database, root: Path, bundle: Bundle) -> None:
        self.root = root
        self.bundle = bundle
        self.notice = database.notice
        self._database = database
        self._lock = RLock()
        self._loading = Lock()  # of the graph; taken before the other, so that questions go on
        self._snapshot: Snapshot | None = None
        self._graph: NeighbourGraph | None = None
        self._questions = 0
        self._watch: sqlite3.Connection | None = None
        # Of the file that `_watch` reads. As long as that is open, no other file can get the same.
        self._inode: tuple[int, int] | None = None
        self._closed = False
        self._generation()

    @classmethod
    def open(cls, folder: Path, root: Path, bundle: Bundle, *, write: bool = True) -> Index:
        """Opens the index of `root` in `folder`, which is made if need be.

        write: False answers from what is there and changes nothing. An index that is damaged, or of another
        workspace or bundle, is replaced by an empty one, and `notice` says so. Raises StoreError.
        """
        database = Database(Path(folder), Path(root).resolve(), bundle.digest, bundle.indexed, write=write)
        database.open()
        database.in_use()
        return cls(database, Path(root).resolve(), bundle)

    @property
    def folder(self) -> Path:
        """Where the database and what belongs to it lie."""
        return self._database.folder

    @property
    def listings(self) -> Path | None:
        """Where a walk may keep what it listed; None of an index that is only read."""
        return self._database.listings if self._database.write else None

    def bytes(self) -> int:
        """Its size on disk, with everything derived."""
        return self._database.bytes()

    # -- reading

    def snapshot(self) -> Snapshot:
        """The newest generation. Use it in a `with` statement, which lets go of it.

        Raises DamagedIndex when the database turns out to be damaged: it has been emptied then, so refresh
        and ask again.
        """
        from modstar_lsp.index.reading.snapshot import Snapshot

        with self._lock:
            self._check_open()
            generation = self._generation()
            before = self._snapshot
            if before is not None:
                if before.pin(generation):
                    return before
                before.retire()
                self._snapshot = None
            self._snapshot = Snapshot(self._database, self._discard, self._graph_for, before)
            return self._snapshot

    def _graph_for(self, snapshot: Snapshot) -> NeighbourGraph | None:
        """The graph that may answer a question to `snapshot`, None for the exact scan."""
        if not graph_pays(snapshot.n):
            return None
        with self._lock:
            self._questions += 1
            if self._graph is not None or self._questions % _QUESTIONS_BEFORE_GRAPH:
                return self._graph
        self.load_graph()
        return self._graph

    def load_graph(self) -> bool:
        """Takes the graph that `build_graph` made into memory; whether there is one that fits.

        A process that asks often gets there by itself: the first questions are answered by scanning, and so
        are those that are asked while this takes its time.
        """
        from modstar_lsp.index.vectors import neighbours

        with self._loading, self.snapshot() as snapshot:
            if not graph_pays(snapshot.n):
                self.forget_graph()
                return False
            known = self._graph
            if known is None or known.stale_share(snapshot) > neighbours.STALE_SHARE:
                known = neighbours.load_graph(snapshot, self._database)
                with self._lock:
                    self._graph = known
            return known is not None

    def _generation(self) -> int:
        """The newest generation, -1 when the file had to be opened again."""
        inode = self._database.inode()
        if self._watch is None or self._inode != inode:
            self._let_go()
            if inode == (0, 0) and self._database.write:
                self._database.open()  # somebody emptied the cache
            self._inode = self._database.inode()
            # Open as long as the index is: SQLite folds its log into the database, and waits for the disk,
            # whenever the last connection goes.
            self._watch = self._database.connect()
            return -1
        try:
            return int(read_meta(self._watch, ["generation"])["generation"])
        except Unsound as error:
            self._discard()
            raise self._database.damaged(str(error)) from error
        except sqlite3.Error as error:
            raised = self._database.explain(error)
            if isinstance(raised, DamagedIndex):
                self._discard()
            raise raised from error

    def status(self) -> IndexStatus:
        """What the index holds."""
        import numpy as np

        with self.snapshot() as snapshot:
            exits, counts = np.unique(snapshot.exits, return_counts=True)
            return IndexStatus(
                files=len(snapshot.paths),
                chunks=snapshot.n,
                languages=dict(Counter(snapshot.languages).most_common()),
                bytes=self.bytes(),
                generation=snapshot.generation,
                depths=dict(zip(exits.tolist(), counts.tolist(), strict=True)),
            )

    def is_new(self) -> bool:
        """Whether nothing was ever written to it."""
        with self._lock:
            self._generation()  # -1 at first
            return self._generation() <= 0

    def pending(self, walk: Walk) -> int:
        """How many files a refresh with `walk` would add, read again or remove."""
        from modstar_lsp.index.writing.refresh import pending

        return pending(self._database, walk)

    def remembered(self, key: str) -> str:
        """What `remember` was told under `key`, "" when nothing."""
        with self._lock:
            self._generation()
            assert self._watch is not None
            try:
                notes = read_meta(self._watch)
            except Unsound as error:
                self._discard()
                raise self._database.damaged(str(error)) from error
        return str(notes.get(f"note.{key}", ""))

    # -- writing

    def remember(self, key: str, text: str) -> None:
        """Keeps a note beside the index until the index is cleared or rebuilt. Raises StoreError."""
        self._check_writable()
        with self._database.writing() as connection, transaction(connection):
            write_meta(connection, {f"note.{key}": text})

    def refresh(
        self,
        encoder: Encoder,
        walk: Walk,
        *,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
        borrow_from: Sequence[Path] = (),
        wait: float = LOCK_WAIT,
        workers: int | None = None,
    ) -> RefreshReport:
        """Brings the index up to date with `walk`: reads what is new or changed, forgets what is gone.

        It commits now and then, so that a search meanwhile finds what is done.  borrow_from: index folders of
        other worktrees of the same repository, whose vectors are taken over.  wait: seconds for another
        process that is refreshing; if it takes longer, the report is not complete.  workers: processes beside
        this one, by default as many as pay.  Raises StoreError.
        """
        from modstar_lsp.index.writing.refresh import refresh

        self._check_writable()

        def attempt() -> RefreshReport:
            return refresh(
                self._database,
                self.root,
                encoder,
                walk,
                progress=progress,
                cancelled=cancelled,
                borrow_from=borrow_from,
                wait=wait,
                workers=workers,
            )

        try:
            self._reopen_if_replaced()
            return attempt()
        except DamagedIndex:
            self._discard()
            self._reopen_if_replaced()
            return attempt()

    def deepen(
        self,
        encoder: Encoder,
        depth: int,
        *,
        order: Sequence[int] | NDArray[np.integer] | None = None,
        limit: int | None = None,
        progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> int:
        """Embeds chunks again whose vectors are shallower than `depth`; how many vectors got deeper.

        order: rows of the newest snapshot, the most useful first, by default all.  limit: rows at most.  It
        commits every hundred or so and goes on where it left off when called again. Raises StoreError.
        """
        from modstar_lsp.index.writing import deepen

        self._check_writable()
        with self.snapshot() as snapshot:
            places = deepen.plan(snapshot, depth, order)[:limit]
        if not places:
            return 0
        try:
            return deepen.deepen(
                self._database, self.root, encoder, depth, places, progress=progress, cancelled=cancelled
            )
        except DamagedIndex:
            self._discard()
            raise

    def export_vectors(self, file: Path) -> int:
        """Writes the vectors deeper than exit 0 to `file`, for `adopt` elsewhere; how many there are.

        The file is written whole or not at all, and not without any. Raises StoreError.
        """
        from modstar_lsp.index.vectors import exchange

        self._check_open()
        try:
            return exchange.write_exchange(self._database, file)
        except DamagedIndex:
            self._discard()
            raise

    def open_vectors(self, file: Path) -> VectorFile:
        """A file that `export_vectors` made, to be closed. Raises StoreError when it is of another model."""
        from modstar_lsp.index.vectors.exchange import VectorFile

        return VectorFile(file, self.bundle.digest, self._database.dimension)

    def adopt(
        self, file: VectorFile, *, progress: OnProgress | None = None, cancelled: Cancelled | None = None
    ) -> Adoption:
        """Takes the vectors of `file` that are deeper than the index's own for the same texts.

        Raises StoreError when the file is damaged or was altered; nothing of it is taken then.
        """
        from modstar_lsp.index.writing.adopt import adopt

        self._check_writable()
        depths = frozenset(candidate.depth for candidate in self.bundle.exits)
        try:
            return adopt(self._database, file, depths, wait=LOCK_WAIT, progress=progress, cancelled=cancelled)
        except DamagedIndex:
            self._discard()
            raise

    def build_graph(self, *, progress: OnProgress | None = None, cancelled: Cancelled | None = None) -> bool:
        """Makes or renews the nearest-neighbour graph where it pays; whether there is a good one at the end.

        It pays from some 20,000 chunks to 50,000, needs hnswlib, and takes some 7 seconds for 50,000 chunks;
        no question waits for it. Raises StoreError.
        """
        from modstar_lsp.index.vectors import neighbours

        self._check_writable()
        with self.snapshot() as snapshot:
            if not graph_pays(snapshot.n):
                neighbours.remove(self._database)  # of what was larger or smaller
                return False
            if not neighbours.can_build():
                return False
            self.load_graph()
            if self._graph is not None and self._graph.stale_share(snapshot) <= neighbours.STALE_SHARE:
                return True
            if neighbours.is_hopeless(snapshot, self._database):
                return False
            vectors = neighbours.GraphVectors.of(snapshot)
        built = neighbours.build(vectors, progress=progress, cancelled=cancelled)
        if built is None:
            return False
        try:
            neighbours.save(built, self._database)
        except OSError as error:
            raise StoreError(
                f"cannot write the graph in {self.folder} ({error.strerror}): free some space on that disk"
            ) from None
        with self._lock:
            self._graph = built if built.is_good else None
        return built.is_good

    def forget_graph(self) -> None:
        """Lets go of the graph's memory, for who builds it and asks nothing."""
        with self._lock:
            self._graph = None

    def clear(self) -> None:
        """Empties the index, and removes what other models and earlier versions made of the workspace."""
        self._check_writable()
        with self._lock, FileLock(self._database.folder / WRITER_LOCK) as lock:
            if not lock.acquire(LOCK_WAIT):
                raise StoreError(f"the index in {self.folder} is being written: try again when that is done")
            self._let_go()
            self._database.recreate()
            self._database.remove_others()

    def close(self) -> None:
        """Lets go of the database; nothing more can be done with this index."""
        with self._lock:
            self._closed = True
            self._let_go()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reopen_if_replaced(self) -> None:
        with self._lock:
            self._generation()

    def _discard(self) -> None:
        """Throws a damaged database away, unless that has been done, here or by another process."""
        if not self._database.write:
            return
        with self._lock, FileLock(self._database.folder / WRITER_LOCK) as lock:
            if not lock.acquire(_DAMAGE_WAIT):
                raise StoreError(
                    f"the index in {self.folder} is damaged and in use elsewhere: try again later"
                )
            damaged = self._inode is not None and self._inode == self._database.inode()
            self._let_go()
            if damaged:
                self._database.recreate()
                self.notice = f"the index in {self.folder} was damaged and is rebuilt"

    def _let_go(self) -> None:
        self._graph = None
        self._inode = None
        if self._snapshot is not None:
            self._snapshot.retire()
            self._snapshot = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this index was closed")

    def _check_writable(self) -> None:
        self._check_open()
        if not self._database.write:
            raise StoreError(f"the index in {self.folder} was opened for reading only")
