"""One generation of the index, as numbers: what searching needs, loaded in milliseconds.

A snapshot holds a read transaction while it is pinned, so that what it loads later (postings, vectors, names)
belongs to the same generation whatever is committed meanwhile. Pins should be short, since SQLite's log
cannot be folded into the database past the oldest reader:

    with index.snapshot() as snapshot:
        ...

Rows are numbered by path, then line: two indexes of the same files have the same rows, however they came
about, and give the same numbers to the last bit.
"""

from __future__ import annotations

import sqlite3
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Lock, RLock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.errors import StoreError
from modstar_lsp.index.reading.whole import Whole
from modstar_lsp.index.records import Detail, Stat, StoredChunk
from modstar_lsp.index.store.database import (
    MAX_PARAMETERS,
    DamagedIndex,
    Database,
    Unsound,
    check_of,
    read_meta,
)
from modstar_lsp.index.store.file_blocks import read_files
from modstar_lsp.index.vectors import signs
from modstar_lsp.index.vectors.matrix import Matrix, read_cosines, read_exits
from modstar_lsp.index.vectors.quantised import Quantised, top
from modstar_lsp.index.words.postings import decode_holding, decode_terms
from modstar_lsp.index.words.segments import block_id, first_terms, read_segments
from modstar_lsp.index.words.terms import DEFINES

if TYPE_CHECKING:
    from modstar_lsp.index.vectors.neighbours import NeighbourGraph

# Postings kept decoded, in all: 8 bytes each.
_CACHED_POSTINGS = 1_000_000
# Filtered rows above this share of all are cheaper to scan with all the others than to gather.
_GATHER_SHARE = 0.25


class _Segment(NamedTuple):
    id: int
    rows: Rows  # of each chunk number, -1 for the dead
    first_terms: list[str]  # of each block


class _Decoded:
    """The postings of some terms in some segments. They never change, so later generations share them."""

    def __init__(self, store: str) -> None:
        self.store = store
        self._lock = Lock()
        self._parts: dict[tuple[int, str], tuple[Rows, Floats] | None] = {}
        self._size = 0

    def of(
        self, connection: sqlite3.Connection, segment: _Segment, terms: Sequence[str]
    ) -> dict[str, tuple[Rows, Floats]]:
        """For each of `terms` in `segment`: the numbers of the chunks there, and how often each holds it."""
        with self._lock:
            parts = self._parts
            known = {term: parts[segment.id, term] for term in terms if (segment.id, term) in parts}
        missing = [term for term in terms if term not in known]
        if missing:
            read = _read_postings(connection, segment, missing)
            known.update((term, read.get(term)) for term in missing)
            self._keep({(segment.id, term): known[term] for term in missing})
        return {term: part for term, part in known.items() if part is not None}

    def _keep(self, parts: dict[tuple[int, str], tuple[Rows, Floats] | None]) -> None:
        size = sum(1 if part is None else len(part[0]) for part in parts.values())
        with self._lock:
            if self._size + size > _CACHED_POSTINGS:
                self._parts, self._size = {}, 0
            self._parts.update(parts)
            self._size += size


class Snapshot(Whole):
    """The living chunks as rows 0..n-1, immutable.

    lengths: terms per row.  file_of: number of the file of each row.  paths, languages, file_lengths: per
    file, by path.
    generation: grows with every commit.  vector_of: number of the vector of each row; rows may share one.
    numbering: changes when vectors get other numbers.
    """

    def __init__(
        self,
        database: Database,
        on_damage: Callable[[], None] = lambda: None,
        neighbours: Callable[[Snapshot], NeighbourGraph | None] = lambda snapshot: None,
        before: Snapshot | None = None,
    ) -> None:
        """before: a snapshot of an earlier generation; what is the same in this one is not read again."""
        self._database = database
        self._on_damage = on_damage
        self._neighbours = neighbours
        self._lock = RLock()
        self._pins = 1
        self._retired = False
        self._connection = database.connect()
        self._decoded: _Decoded = _Decoded("") if before is None else before._decoded
        self._postings: dict[str, tuple[Rows, Floats] | None] = {}
        self._cached = 0
        self._matrix: Matrix | None = None
        self._earlier = None if before is None else before._known_vectors()
        self._lives_on = before is not None
        self._scanned: tuple[bytes, Floats] | None = None
        self._vector_exits: NDArray[np.uint8] | None = None
        self._exits: NDArray[np.uint8] | None = None
        try:
            with self._reading():
                self._connection.execute("BEGIN")
                self._load()
        except BaseException:
            self._connection.close()
            raise

    def _load(self) -> None:
        connection = self._connection
        meta = read_meta(connection, ("generation", "store", "sweeps", "pending", "files", "next_vector"))
        self.generation = int(meta["generation"])
        self._pending, self._vector_count = meta["pending"], meta["next_vector"]
        store = meta["store"]
        self.numbering = f"{store}.{meta['sweeps']}"
        if self._decoded.store != store:
            self._decoded = _Decoded(store)
        files = read_files(connection, meta["files"])
        self.paths: Sequence[str] = files.paths
        self.languages: Sequence[str] = files.languages
        counts = files.counts
        self.lengths: Floats = files.lengths.astype(np.float32)
        self.vector_of: Rows = files.vectors.astype(np.int32, copy=False)
        self.n = int(counts.sum())
        self.file_of: Rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        if len(self.lengths) != self.n or len(self.vector_of) != self.n:
            raise Unsound("the files do not add up")
        starts = np.cumsum(counts) - counts
        filled = counts > 0
        totals = np.zeros(len(counts), np.int64)
        totals[filled] = np.add.reduceat(files.lengths, starts[filled], dtype=np.int64)
        self.file_lengths: Floats = totals.astype(np.float32)
        # Rows and ids of a file's chunks follow each other.
        self._id_less_row = files.firsts - starts
        self._segments = self._load_segments(counts)

    def _load_segments(self, counts: NDArray[np.int64]) -> list[_Segment]:
        """counts: the chunks of each file."""
        rows_after = np.arange(1, self.n + 1, dtype=np.int32)
        ids = np.repeat(self._id_less_row.astype(np.int32), counts)
        ids += rows_after
        ids -= 1
        first = int(ids.min(initial=0))
        ids -= first
        # By id; those of dead chunks, 0 here, take no memory, since the system gives pages only when written.
        row_after = np.zeros(int(ids.max(initial=0)) + 1, np.int32)
        row_after[ids] = rows_after
        segments = []
        for number, blob, directory in read_segments(self._connection):
            at = np.frombuffer(blob, "<i4") - np.int64(first)
            rows = np.full(len(at), -1, np.int32)
            within = (at >= 0) & (at < len(row_after))
            rows[within] = row_after[at[within]] - 1
            segments.append(_Segment(number, rows, first_terms(directory)))
        # Each living chunk is in one segment.
        if sum(int((segment.rows >= 0).sum()) for segment in segments) != self.n:
            raise Unsound("the segments do not add up")
        return segments

    # -- pins

    @property
    def indexed_share(self) -> float:
        """The share of the workspace's files that had been read: below 1 during the first indexing."""
        wanted = len(self.paths) + self._pending
        return len(self.paths) / wanted if wanted else 1.0

    def pin(self, generation: int) -> bool:
        """Whether this still is `generation`, the newest; if so, one more `release` is due."""
        with self._lock:
            if self._retired or self.generation != generation:
                return False
            self._pins += 1
            if self._pins == 1:
                with self._reading():
                    self._connection.execute("BEGIN")
                    if _generation(self._connection) != generation:
                        self.release()
                        return False
            return True

    def release(self) -> None:
        """Ends a use of the snapshot; after the last one nothing more can be loaded from it."""
        with self._lock:
            if self._pins:
                self._pins -= 1
                if not self._pins:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    if self._retired:
                        self._connection.close()

    def retire(self) -> None:
        """There is a newer one: close when the last use ends."""
        with self._lock:
            self._retired = True
            if not self._pins:
                self._connection.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for one thread; whatever shows that the database is damaged raises DamagedIndex."""
        with self._lock:
            if not self._pins:
                raise StoreError("this snapshot of the index was released: take another")
            try:
                yield self._connection
            except (
                sqlite3.Error,
                zlib.error,
                ValueError,
                IndexError,
                TypeError,
                OverflowError,
                Unsound,
            ) as error:
                reason = error
            else:
                return
        if isinstance(reason, sqlite3.Error):
            raised = self._database.explain(reason)
        else:
            raised = self._database.damaged(str(reason))
        if isinstance(raised, DamagedIndex):
            self._on_damage()
        raise raised from reason

    # -- words

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
        """For each of `terms` that a living chunk holds: its rows, ascending, and how often each holds it."""
        wanted = [term for term in dict.fromkeys(terms) if term.isascii() or _is_unicode(term)]
        with self._reading() as connection:
            missing = [term for term in wanted if term not in self._postings]
            loaded = self._load_postings(connection, missing) if missing else {}
            found = {}
            for term in wanted:
                entry = loaded[term] if term in loaded else self._postings[term]
                if entry is not None:
                    found[term] = entry
            self._remember(loaded)
        return found

    def _load_postings(
        self, connection: sqlite3.Connection, terms: Sequence[str]
    ) -> dict[str, tuple[Rows, Floats] | None]:
        parts: dict[str, list[tuple[Rows, Floats]]] = {}
        for segment in self._segments:
            for term, (chunks, tf) in self._decoded.of(connection, segment, terms).items():
                rows = segment.rows[chunks]
                alive = rows >= 0
                if not alive.all():
                    rows, tf = rows[alive], tf[alive]
                if rows.size:
                    parts.setdefault(term, []).append((rows, tf))
        return {term: _joined(parts[term]) if term in parts else None for term in terms}

    def _remember(self, loaded: dict[str, tuple[Rows, Floats] | None]) -> None:
        self._postings.update(loaded)
        self._cached += sum(1 if entry is None else len(entry[0]) for entry in loaded.values())
        while self._cached > _CACHED_POSTINGS:
            oldest = next(iter(self._postings))
            entry = self._postings.pop(oldest)
            self._cached -= 1 if entry is None else len(entry[0])

    def defining(self, names: Iterable[str]) -> dict[str, Rows]:
        """The rows that define each of `names`, whole or as the last component; the keys are lower case."""
        found = self.postings(DEFINES + name.lower() for name in names)
        return {term.removeprefix(DEFINES): rows for term, (rows, _) in found.items()}

    def names(self, least: int, most: int) -> list[str]:
        """The names of `least` to `most` characters that chunks define, lower case.

        Some may be of chunks that are gone, some may come twice. A million take 0.2 s.
        """
        found: list[str] = []
        with self._reading() as connection:
            for segment in self._segments:
                first = max(0, bisect_right(segment.first_terms, DEFINES) - 1)
                end = bisect_left(segment.first_terms, chr(ord(DEFINES) + 1))
                ids = block_id(segment.id, first), block_id(segment.id, end)
                rows = connection.execute(
                    "SELECT data FROM postings WHERE id >= ? AND id < ? ORDER BY id", ids
                )
                blocks = [decode_terms(row[0]) for row in rows]
                if [terms[0] for terms in blocks] != segment.first_terms[first:end]:
                    raise Unsound("the postings are not where they were written")
                found += [
                    term[len(DEFINES) :]
                    for terms in blocks
                    for term in terms
                    if least < len(term) <= most + 1 and term.startswith(DEFINES)
                ]
        return found

    # -- vectors

    @property
    def exits(self) -> NDArray[np.uint8]:
        """The exit at which the vector of each row was made."""
        if self._exits is None:
            exits = self._exits_by_number()
            with self._reading():
                self._exits = exits[self.vector_of]
        return self._exits

    def _exits_by_number(self) -> NDArray[np.uint8]:
        with self._reading() as connection:
            if self._vector_exits is None:
                self._vector_exits = read_exits(connection, self._vector_count)
            return self._vector_exits

    def quantised(self) -> Quantised:
        """All vectors by number, those that no living chunk refers to any more included."""
        return self._loaded().vectors

    def _loaded(self) -> Matrix:
        if self._matrix is None:
            exits = self._exits_by_number() if self._earlier else None
            with self._reading() as connection:
                matrix = None
                if exits is not None and self._earlier is not None:
                    older, before = self._earlier
                    matrix = older.renewed(connection, self.numbering, before, exits)
                if matrix is None:
                    matrix = Matrix.load(
                        connection, self._database.dimension, self.numbering, self._vector_count
                    )
                self._matrix, self._earlier, self._scanned = matrix, None, None
        return self._matrix

    def _known_vectors(self) -> tuple[Matrix, NDArray[np.uint8]] | None:
        """What a later snapshot can begin with: vectors, and the exits at which they were made."""
        matrix, exits = self._matrix, self._vector_exits
        return self._earlier if matrix is None or exits is None else (matrix, exits)

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """The `k` rows, of `rows` if given, with the greatest cosines to `query`, best first.

        Of many rows, some in a hundred of these may be others that are nearly as near.
        """
        if rows is None:
            neighbours = self._neighbours(self)
            found = None if neighbours is None else neighbours.nearest(self, _float32(query), k)
            if found is not None:
                return found
        else:
            rows = np.asarray(rows, np.int32)
        if k <= signs.MOST_NEAREST:
            rows = self._likely(query, rows)
        if rows is None:
            cosines = self._all_cosines(query)
            best = top(cosines, k)
            return best, cosines[best]
        cosines = self.cosines(query, rows)
        best = top(cosines, k)
        return rows[best], cosines[best]

    def _likely(self, query: Floats, rows: Rows | None) -> Rows | None:
        """Those of `rows`, None for all, that may be the nearest; all where that is as quick."""
        total = self.n if rows is None else len(rows)
        if total <= signs.PAYS_ABOVE or not signs.COUNTS_BITS or self._scan_once(query) is not None:
            return rows
        numbers = self.vector_of if rows is None else self.vector_of[rows]
        likely = signs.likely(self._loaded().signs, query, numbers)
        return likely if rows is None else rows[likely]

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """The cosine of `query` with each of `rows`."""
        scanned = self._scan_once(query)
        if scanned is not None:
            return scanned[self.vector_of[rows]]
        if len(rows) > _GATHER_SHARE * self.n:
            return self._all_cosines(query)[rows]
        return self.quantised().cosines(query, self.vector_of[rows])

    def _all_cosines(self, query: Floats) -> Floats:
        scanned = self._scan_once(query)
        return (self.quantised().cosines(query) if scanned is None else scanned)[self.vector_of]

    def _scan_once(self, query: Floats) -> Floats | None:
        """The cosine of the first question with each vector, by number; None for any further question.

        A process that asks once needs each vector once, so none is kept; at the second question all are.
        """
        with self._reading() as connection:
            if not self._lives_on and self._matrix is None:
                cosines = read_cosines(connection, self._database.dimension, query, self._vector_count)
                self._lives_on, self._scanned = True, (query.tobytes(), cosines)
            known = self._scanned
            return known[1] if known is not None and known[0] == query.tobytes() else None

    def vectors(self, rows: Rows) -> Floats:
        """The vectors of `rows`, of unit length (or zero for a chunk without words)."""
        return self.quantised().decode(self.vector_of[rows])

    def vector_numbers(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """The numbers of the vectors that stand for texts with these digests, of those that there are."""
        from modstar_lsp.index.vectors.table import numbers_of  # only unsaved documents ask for them

        with self._reading() as connection:
            return numbers_of(connection, digests)

    # -- files and chunks

    def digest(self, path: str) -> bytes:
        """The digest of the text that the file `path` had when it was read, b"" when it is not indexed."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT digest FROM files WHERE path = ? AND skipped IS NULL", (path,)
            ).fetchone()
        return b"" if row is None else row[0]

    def stats(self, paths: Iterable[str]) -> dict[str, Stat]:
        """What tells whether these files, of those that are indexed, are still as they were read."""
        found: dict[str, Stat] = {}
        with self._reading() as connection:
            pending = iter(paths)
            while some := list(islice(pending, MAX_PARAMETERS)):
                marks = ",".join("?" * len(some))
                for path, *stat in connection.execute(
                    "SELECT path, size, mtime_ns, ctime_ns FROM files "
                    f"WHERE path IN ({marks}) AND skipped IS NULL",
                    some,
                ):
                    found[path] = tuple(stat)
        return found

    def chunks(self, rows: Iterable[int]) -> list[StoredChunk]:
        """What is known about each of `rows`, in their order."""
        wanted = [int(row) for row in rows]
        of_row = self.file_of[wanted]
        ids, files = (self._id_less_row[of_row] + wanted).tolist(), of_row.tolist()
        details: dict[int, Detail] = {}
        pending = iter(dict.fromkeys(ids))
        with self._reading() as connection:
            while some := list(islice(pending, MAX_PARAMETERS)):
                marks = ",".join("?" * len(some))
                for detail in connection.execute(
                    "SELECT id, start_line, end_line, kind, name, scope, symbols, symbol_lines, pieces, "
                    f'"check" FROM chunks WHERE id IN ({marks})',
                    some,
                ):
                    if check_of(detail[:-1]) != detail[-1]:
                        raise Unsound("a chunk is not as it was written")
                    details[detail[0]] = detail[1:-1]
            if len(details) < len(set(ids)):
                raise Unsound("chunks are missing")
        names = {file: (self.paths[file], self.languages[file]) for file in set(files)}
        return [
            StoredChunk.of_detail(*names[file], details[identity])
            for identity, file in zip(ids, files, strict=True)
        ]


def _read_postings(
    connection: sqlite3.Connection, segment: _Segment, terms: Sequence[str]
) -> dict[str, tuple[Rows, Floats]]:
    by_block: dict[int, list[str]] = {}
    for term in terms:
        position = bisect_right(segment.first_terms, term) - 1
        if position >= 0:
            by_block.setdefault(position, []).append(term)
    found = {}
    for position, some in by_block.items():
        (data,) = connection.execute(
            "SELECT data FROM postings WHERE id = ?", (block_id(segment.id, position),)
        ).fetchone()
        first, block = decode_holding(data, some)
        if first != segment.first_terms[position]:
            raise Unsound("the postings are not where they were written")
        if block is None:
            continue
        for term in some:
            at = bisect_left(block.terms, term)
            if at < len(block.terms) and block.terms[at] == term:
                part = slice(int(block.starts[at]), int(block.starts[at + 1]))
                found[term] = block.chunks[part].astype(np.int32), block.counts[part].astype(np.float32)
    return found


def _joined(parts: list[tuple[Rows, Floats]]) -> tuple[Rows, Floats]:
    rows = np.concatenate([part[0] for part in parts]) if len(parts) > 1 else parts[0][0]
    tf = np.concatenate([part[1] for part in parts]) if len(parts) > 1 else parts[0][1]
    if not (rows[1:] > rows[:-1]).all():
        order = np.argsort(rows, kind="stable")
        rows, tf = rows[order], tf[order]
    return rows, tf


def _is_unicode(term: str) -> bool:
    """False for what a terminal or an editor could not decode; SQLite takes none of it."""
    try:
        term.encode()
    except UnicodeEncodeError:
        return False
    return True


def _float32(query: Floats) -> Floats:
    return np.ascontiguousarray(query, np.float32)


def _generation(connection: sqlite3.Connection) -> int:
    return int(read_meta(connection, ["generation"])["generation"])
