"""Puts analysed files into the database, some thousand chunks per transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index import segments
from modstar_lsp.index.analysis import Analysis
from modstar_lsp.index.database import COUNTERS, KnownFile, counters, transaction
from modstar_lsp.index.donors import Donors
from modstar_lsp.index.postings import SEGMENT_CHUNKS, renumber
from modstar_lsp.index.vectors import BLOCK, Quantised

# Vectors that no chunk refers to are kept for a branch that comes back: after a sweep this share of the
# living ones, and the next sweep comes when as many again have been dropped.
_SPARE_SHARE = 1 / 8
_SPARE_LEAST = 1_000
# Above this share of free pages the database is made smaller.
_FREE_SHARE = 0.05
# Bytes of log that are folded into the database at the end of a refresh; SQLite does the rest when it closes.
_LOG_BYTES = 1_000_000


class Writer:
    """Collects changes to the files and commits them together. The caller holds the writer lock."""

    def __init__(
        self, connection: sqlite3.Connection, dimension: int, known: dict[str, KnownFile], donors: Donors
    ):
        self._connection = connection
        self._dimension = dimension
        self._donors = donors
        self.known = known
        self.chunks = 0  # pending
        self._gone: list[str] = []
        self._analyses: list[Analysis] = []

    def is_known(self, digest: bytes) -> bool:
        """Whether there is a vector for this embedded text."""
        row = self._connection.execute("SELECT 1 FROM digests WHERE digest = ?", (digest,)).fetchone()
        return row is not None or digest in self._donors

    def remove(self, paths: Iterable[str]) -> None:
        """These files are no longer part of the workspace."""
        self._gone.extend(paths)

    def add(self, analysis: Analysis) -> None:
        """These files are new or changed, or turned out not to be."""
        self._analyses.append(analysis)
        self.chunks += len(analysis.details)

    def commit(self, *, last: bool, unread: int = 0) -> None:
        """Writes what is pending in one transaction; the last one of a refresh also tidies up.

        unread: files still to be read, so that a search meanwhile can say how much it knows.
        """
        analyses, gone = self._analyses, self._gone
        self._analyses, self._gone, self.chunks = [], [], 0
        connection = self._connection
        with transaction(connection):
            counts = counters(connection)
            counts["generation"] += 1
            counts["pending"] = unread
            self._drop(gone, counts["generation"])
            for some in _portions(analyses):
                self._write(some, counts)
            if last:
                self._tidy(counts)
            connection.executemany(
                "UPDATE meta SET value = ? WHERE key = ?", [(counts[name], name) for name in COUNTERS]
            )
        if last:
            self._shrink()

    def _drop(self, paths: Iterable[str], generation: int) -> None:
        for path in paths:
            known = self.known.pop(path, None)
            if known is not None:
                self._drop_chunks(path, known, generation)
                self._connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def _drop_chunks(self, path: str, known: KnownFile, generation: int) -> None:
        if not known.chunks:
            return
        (blob,) = self._connection.execute("SELECT vectors FROM files WHERE path = ?", (path,)).fetchone()
        vectors = np.unique(np.frombuffer(blob, "<i4")).tolist()
        self._connection.executemany(
            "INSERT OR REPLACE INTO spare VALUES (?, ?)", ((vector, generation) for vector in vectors)
        )
        self._connection.execute(
            "DELETE FROM chunks WHERE id >= ? AND id < ?", (known.first, known.first + known.chunks)
        )

    def _write(self, analyses: Sequence[Analysis], counts: dict[str, int]) -> None:
        """Adds one segment and the files, chunks and vectors that belong to it."""
        connection = self._connection
        first = counts["next_chunk"]
        rows = []
        for analysis in analyses:
            vectors = self._vector_numbers(analysis, counts)
            lengths = analysis.lengths.astype("<u2")
            start = 0
            for file in analysis.files:
                job = file.job
                mtime_ns = job.mtime_ns if file.settled else -1
                known = self.known.get(job.path)
                if file.chunks is None and known is not None:
                    if mtime_ns != known.mtime_ns or job.size != known.size:
                        connection.execute(
                            "UPDATE files SET size = ?, mtime_ns = ? WHERE path = ?",
                            (job.size, mtime_ns, job.path),
                        )
                        self.known[job.path] = known._replace(size=job.size, mtime_ns=mtime_ns)
                    continue
                if known is not None:
                    self._drop_chunks(job.path, known, counts["generation"])
                size = file.chunks or 0
                part = slice(start, start + size)
                start += size
                rows.append(
                    (
                        job.path, job.size, mtime_ns, file.digest, file.language, file.reason or None,
                        counts["next_chunk"], lengths[part].tobytes(), vectors[part].tobytes(),
                    )
                )  # fmt: skip
                self.known[job.path] = KnownFile(
                    job.path, job.size, mtime_ns, file.digest, file.reason or None, counts["next_chunk"], size
                )
                counts["next_chunk"] += size
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        last = counts["next_chunk"]
        if last == first:
            return
        details = (detail for analysis in analyses for detail in analysis.details)
        connection.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((identity, *detail) for identity, detail in zip(range(first, last), details, strict=True)),
        )
        vocabulary: dict[str, int] = {}
        parts = []
        before = 0
        for analysis in analyses:
            numbers = np.array(
                [vocabulary.setdefault(term, len(vocabulary)) for term in analysis.terms], np.int64
            )
            packed = analysis.postings
            if packed.size:
                parts.append(renumber(packed, numbers, before))
            before += len(analysis.details)
        postings = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        chunks = np.arange(first, last, dtype=np.int32)
        segments.write(connection, counts["next_segment"], chunks, list(vocabulary), postings)
        counts["next_segment"] += 1

    def _vector_numbers(self, analysis: Analysis, counts: dict[str, int]) -> NDArray[np.int32]:
        """The number of each chunk's vector; the vectors that are new get theirs and are written."""
        connection = self._connection
        numbers: dict[bytes, int] = {}
        embedded = {digest: position for position, digest in enumerate(analysis.embedded)}
        new: list[bytes] = []
        for digest in analysis.digests:
            if digest in numbers:
                continue
            row = connection.execute("SELECT vector FROM digests WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                numbers[digest] = counts["next_vector"] + len(new)
                new.append(digest)
            else:
                numbers[digest] = row[0]
        if new:
            exits = np.zeros(len(new), np.uint8)
            scales = np.zeros(len(new), np.float32)
            codes = np.zeros((len(new), self._dimension), np.int8)
            for position, digest in enumerate(new):
                donated = self._donors.get(digest)
                if donated is not None:
                    exits[position], scales[position], codes[position] = donated
                else:
                    at = embedded[digest]
                    scales[position] = analysis.vectors.scales[at]
                    codes[position] = analysis.vectors.codes[at]
            at_numbers = np.arange(counts["next_vector"], counts["next_vector"] + len(new))
            connection.executemany(
                "INSERT INTO digests VALUES (?, ?)", zip(new, at_numbers.tolist(), strict=True)
            )
            write_vectors(connection, at_numbers, exits, Quantised(codes, scales))
            counts["next_vector"] += len(new)
        return np.array([numbers[digest] for digest in analysis.digests], "<i4")

    # -- tidying

    def _tidy(self, counts: dict[str, int]) -> None:
        connection = self._connection
        ranges = [(file.first, file.chunks) for file in self.known.values() if file.chunks]
        ranges.sort()
        firsts = np.array([first for first, _ in ranges], np.int64)
        sizes = np.array([size for _, size in ranges], np.int64)
        living = np.repeat(firsts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
        present = segments.load(connection, living)
        for group in segments.plan([(segment.living, len(segment.chunks)) for segment in present]):
            segments.merge(connection, [present[position] for position in group], counts["next_segment"])
            counts["next_segment"] += 1
        (spare,) = connection.execute("SELECT count(*) FROM spare").fetchone()
        if spare > 2 * max(_SPARE_LEAST, int(_SPARE_SHARE * len(living))):
            self._sweep(counts, max(_SPARE_LEAST, int(_SPARE_SHARE * len(living))))

    def _sweep(self, counts: dict[str, int], keep: int) -> None:
        """Forgets all vectors that no file refers to, but for the `keep` that were dropped last."""
        connection = self._connection
        files = connection.execute("SELECT path, vectors FROM files WHERE length(vectors)").fetchall()
        used = np.zeros(counts["next_vector"], bool)
        used[np.frombuffer(b"".join([vectors for _, vectors in files]), "<i4")] = True
        spare = connection.execute(
            "SELECT vector, generation FROM spare ORDER BY generation DESC, vector"
        ).fetchall()
        kept = [row for row in spare if not used[row[0]]][:keep]
        used[[vector for vector, _ in kept]] = True
        renumbered = (np.cumsum(used) - 1).astype("<i4")
        for path, vectors in files:
            blob = renumbered[np.frombuffer(vectors, "<i4")].tobytes()
            connection.execute("UPDATE files SET vectors = ? WHERE path = ?", (blob, path))
        digests = [
            (digest, int(renumbered[vector]))
            for digest, vector in connection.execute("SELECT digest, vector FROM digests ORDER BY digest")
            if used[vector]
        ]
        exits, vectors = read_vectors(connection, self._dimension)
        for table in ("digests", "vectors", "spare"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany("INSERT INTO digests VALUES (?, ?)", digests)
        connection.executemany(
            "INSERT INTO spare VALUES (?, ?)",
            [(int(renumbered[vector]), generation) for vector, generation in kept],
        )
        total = int(used.sum())
        write_vectors(
            connection, np.arange(total), exits[used], Quantised(vectors.codes[used], vectors.scales[used])
        )
        counts["next_vector"] = total
        counts["sweeps"] += 1

    def _shrink(self) -> None:
        """Gives free pages back to the file system and keeps the log short."""
        connection = self._connection
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if free > _FREE_SHARE * pages:
            # As a script, since `execute` stops after the first page.
            connection.executescript("PRAGMA incremental_vacuum")
        name = connection.execute("PRAGMA database_list").fetchone()[2]
        with suppress(OSError):
            if Path(f"{name}-wal").stat().st_size > _LOG_BYTES:
                # Readers in the middle of a query are not waited for.
                connection.execute("PRAGMA busy_timeout = 0")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _portions(analyses: Sequence[Analysis]) -> Iterable[list[Analysis]]:
    """`analyses` in lists of at most a segment's worth of chunks."""
    some: list[Analysis] = []
    total = 0
    for analysis in analyses:
        if some and total + len(analysis.details) > SEGMENT_CHUNKS:
            yield some
            some, total = [], 0
        some.append(analysis)
        total += len(analysis.details)
    if some:
        yield some


def write_vectors(
    connection: sqlite3.Connection, numbers: NDArray[np.integer], exits: NDArray[np.uint8], vectors: Quantised
) -> None:
    """Writes vectors at `numbers`, ascending: over those that are there, or right behind them."""
    blocks = numbers // BLOCK
    borders = [*np.flatnonzero(np.concatenate(([True], blocks[1:] != blocks[:-1]))).tolist(), len(blocks)]
    for start, end in pairwise(borders):
        block = int(blocks[start])
        at = numbers[start:end] - block * BLOCK
        row = connection.execute(
            "SELECT exits, scales, codes FROM vectors WHERE block = ?", (block,)
        ).fetchone()
        size = max(int(at[-1]) + 1, len(row[0]) if row else 0)
        block_exits = np.zeros(size, np.uint8)
        block_scales = np.zeros(size, "<f4")
        block_codes = np.zeros((size, vectors.codes.shape[1]), np.int8)
        if row:
            block_exits[: len(row[0])] = np.frombuffer(row[0], np.uint8)
            block_scales[: len(row[0])] = np.frombuffer(row[1], "<f4")
            block_codes[: len(row[0])] = np.frombuffer(row[2], np.int8).reshape(-1, block_codes.shape[1])
        block_exits[at] = exits[start:end]
        block_scales[at] = vectors.scales[start:end]
        block_codes[at] = vectors.codes[start:end]
        connection.execute(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
            (block, block_exits.tobytes(), block_scales.tobytes(), block_codes.tobytes()),
        )


def read_vectors(connection: sqlite3.Connection, dimension: int) -> tuple[NDArray[np.uint8], Quantised]:
    """(exits, vectors) of all vectors by number."""
    blocks = connection.execute("SELECT exits, scales, codes FROM vectors ORDER BY block").fetchall()
    exits = np.frombuffer(b"".join([block[0] for block in blocks]), np.uint8)
    scales = np.frombuffer(b"".join([block[1] for block in blocks]), "<f4")
    codes = np.frombuffer(b"".join([block[2] for block in blocks]), np.int8).reshape(-1, dimension)
    return exits, Quantised(codes, scales)
