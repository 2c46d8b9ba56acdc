"""Puts analysed files into the database, some thousand chunks per transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.store.database import (
    KnownFile,
    Unsound,
    check_of,
    counters,
    transaction,
    write_meta,
)
from modstar_lsp.index.store.file_blocks import FileRow, replace_files
from modstar_lsp.index.vectors import table
from modstar_lsp.index.vectors.borrowed import BorrowedVectors
from modstar_lsp.index.vectors.quantised import Quantised
from modstar_lsp.index.words import segments
from modstar_lsp.index.words.postings import SEGMENT_CHUNKS, renumber
from modstar_lsp.index.writing.analysis import Analysis

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
        self,
        connection: sqlite3.Connection,
        dimension: int,
        known: dict[str, KnownFile],
        borrowed: BorrowedVectors,
    ):
        self._connection = connection
        self._dimension = dimension
        self._borrowed = borrowed
        self.known = known
        self.chunks = 0  # pending
        self._gone: list[str] = []
        self._analyses: list[Analysis] = []

    def is_known(self, digest: bytes) -> bool:
        """Whether there is a vector for this embedded text."""
        return table.number_of(self._connection, digest) is not None or digest in self._borrowed

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
            before = {path: self.known[path] for path in gone if path in self.known}
            changes: dict[str, FileRow | None] = dict.fromkeys(before)
            self._forget(before)
            for some in _portions(analyses):
                self._write(some, counts, before, changes)
            self._replace(before, changes, counts["generation"])
            counts["files"] = sum(file.skipped is None for file in self.known.values())
            if last:
                self._tidy(counts)
            write_meta(connection, counts)
        if last:
            self._shrink()

    def _forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            del self.known[path]
            self._connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def _replace(
        self, before: Mapping[str, KnownFile], changes: Mapping[str, FileRow | None], generation: int
    ) -> None:
        """Puts what is searched of files in place of what was; the chunks and vectors of that go."""
        was = replace_files(self._connection, changes)
        expected = {(path, known.first, known.chunks) for path, known in before.items() if not known.skipped}
        if {(file.path, file.first, file.chunks) for file in was} != expected:
            raise Unsound("the files are not as they were written")  # chunks of others would go
        for file in was:
            table.drop(self._connection, np.unique(np.frombuffer(file.vectors, "<i4")).tolist(), generation)
            self._connection.execute(
                "DELETE FROM chunks WHERE id >= ? AND id < ?", (file.first, file.first + file.chunks)
            )

    def _write(
        self,
        analyses: Sequence[Analysis],
        counts: dict[str, int],
        was: dict[str, KnownFile],
        changes: dict[str, FileRow | None],
    ) -> None:
        """Adds one segment and the files, chunks and vectors that belong to it.

        was, changes: take what was known of the files that changed, and what is searched of them now.
        """
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
                stat = job.size, mtime_ns, job.ctime_ns
                known = self.known.get(job.path)
                if file.chunks is None and known is not None:
                    if stat != known.stat:
                        connection.execute(
                            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ? WHERE path = ?",
                            (*stat, job.path),
                        )
                        self.known[job.path] = known._replace(
                            size=job.size, mtime_ns=mtime_ns, ctime_ns=job.ctime_ns
                        )
                    continue
                if known is not None:
                    was[job.path] = known
                size = file.chunks or 0
                part = slice(start, start + size)
                start += size
                columns = lengths[part].tobytes(), vectors[part].tobytes()
                changes[job.path] = (
                    None if file.reason else FileRow(job.path, file.language, counts["next_chunk"], *columns)
                )
                row = KnownFile(job.path, *stat, file.digest, file.reason or None, counts["next_chunk"], size)
                rows.append(row)
                self.known[job.path] = row
                counts["next_chunk"] += size
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        last = counts["next_chunk"]
        if last == first:
            return
        details = (detail for analysis in analyses for detail in analysis.details)
        chunk_rows = ((number, *detail) for number, detail in zip(range(first, last), details, strict=True))
        connection.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, check_of(row)) for row in chunk_rows),
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
            number = table.number_of(connection, digest)
            if number is None:
                number = counts["next_vector"] + len(new)
                new.append(digest)
            numbers[digest] = number
        if new:
            exits = np.zeros(len(new), np.uint8)
            scales = np.zeros(len(new), np.float32)
            codes = np.zeros((len(new), self._dimension), np.int8)
            for position, digest in enumerate(new):
                lent = self._borrowed.get(digest)
                if lent is not None:
                    exits[position], scales[position], codes[position] = lent
                else:
                    at = embedded[digest]
                    scales[position] = analysis.vectors.scales[at]
                    codes[position] = analysis.vectors.codes[at]
            table.add(connection, counts["next_vector"], new, exits, Quantised(codes, scales))
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
        present = segments.load_segments(connection, living)
        for group in segments.plan_merges([(segment.living, len(segment.chunks)) for segment in present]):
            segments.merge(connection, [present[position] for position in group], counts["next_segment"])
            counts["next_segment"] += 1
        keep = max(_SPARE_LEAST, int(_SPARE_SHARE * len(living)))
        if table.dropped(connection) > 2 * keep:
            counts["next_vector"] = table.sweep(
                connection, counts["files"], counts["next_vector"], keep, self._dimension
            )
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
