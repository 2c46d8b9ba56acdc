"""Embeds chunks again at a deeper exit, a batch at a time, while everything else goes on.

The vectors of all exits share one space, so searches use each chunk's deepest vector so far at any moment.
The sources are read afresh: a file that changed meanwhile is left to the next refresh.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Rows
from modstar_lsp.index.records import Cancelled, OnProgress, Progress
from modstar_lsp.index.store.database import (
    DEEPEN_LOCK,
    WRITER_LOCK,
    Database,
    counters,
    transaction,
    write_meta,
)
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.index.vectors.quantised import Quantised, quantise
from modstar_lsp.index.vectors.table import number_and_exit, write_vectors
from modstar_lsp.index.writing.analysis import read_text, text_digest

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder

# Rows per commit: some seconds of work, lost if the process is killed.
COMMIT_ROWS = 128
# Files whose chunks are remembered, since rows in order of usefulness come back to a file.
_REMEMBERED_FILES = 64
# A deeper vector waits this long for a refresh to end, asking now and then whether it was cancelled.
_WRITER_WAIT = 600.0

# A row's file and its position among the file's chunks.
ChunkPlace = tuple[str, int]


class ChunkRows(Protocol):
    """What planning needs of a generation of the index; see `Snapshot`, which is one."""

    n: int
    paths: Sequence[str]
    file_of: Rows

    @property
    def exits(self) -> NDArray[np.uint8]:
        """uint8 [n]: the depth of the exit at which each row's vector was made."""


def plan(
    snapshot: ChunkRows, depth: int, order: Sequence[int] | NDArray[np.integer] | None
) -> list[ChunkPlace]:
    """The chunks of `snapshot` whose vectors are shallower than `depth`, in the order wished for."""
    rows = np.arange(snapshot.n) if order is None else np.asarray(order, np.int64)
    rows = rows[snapshot.exits[rows] < depth]
    first = np.searchsorted(snapshot.file_of, np.arange(len(snapshot.paths)))
    return [(snapshot.paths[snapshot.file_of[row]], int(row - first[snapshot.file_of[row]])) for row in rows]


def deepen(
    database: Database,
    root: Path,
    encoder: Encoder,
    depth: int,
    places: Sequence[ChunkPlace],
    *,
    progress: OnProgress | None,
    cancelled: Cancelled | None,
) -> int:
    """See Index.deepen."""
    done = 0
    reader = _Reader(database, root)
    with FileLock(database.folder / DEEPEN_LOCK) as lock:
        if not lock.acquire():
            return 0  # another window is at it, and its vectors are ours too
        start = 0
        while start < len(places) and not (cancelled is not None and cancelled()):
            # Between two calls of the encoder cancelling is heard; a GPU's is more than a commit's rows.
            at_once = encoder.texts_a_call(depth, len(places) - start)
            some = places[start : start + max(COMMIT_ROWS, at_once)]
            start += len(some)
            texts = reader.shallow_texts(some, depth)
            digests, vectors = _encode(encoder, depth, texts, at_once, cancelled)
            if digests:
                done += _store(database, depth, digests, quantise(vectors), cancelled)
            if progress is not None:
                progress(Progress("deepen", start, len(places), some[-1][0]))
    return done


class _Reader:
    """Gets the embedded texts of chunks from the files as they are now."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._texts: dict[str, list[str]] = {}

    def shallow_texts(self, places: Sequence[ChunkPlace], depth: int) -> dict[bytes, str]:
        """The embedded texts at `places` that the index has at less than `depth`, by digest."""
        found: dict[bytes, str] = {}
        with self._database.reading() as connection:
            for path, position in places:
                texts = self._texts_of(connection, path)
                if position < len(texts):
                    digest = text_digest(texts[position])
                    stored = number_and_exit(connection, digest)
                    if stored is not None and stored[1] < depth:
                        found[digest] = texts[position]
        return found

    def _texts_of(self, connection: sqlite3.Connection, path: str) -> list[str]:
        if path not in self._texts:
            if len(self._texts) >= _REMEMBERED_FILES:
                self._texts.pop(next(iter(self._texts)))
            self._texts[path] = list(self._read(connection, path))
        return self._texts[path]

    def _read(self, connection: sqlite3.Connection, path: str) -> Iterator[str]:
        from modstar_lsp.chunking import chunk_file, embedded_text
        from modstar_lsp.files import Unreadable

        row = connection.execute("SELECT digest FROM files WHERE path = ?", (path,)).fetchone()
        try:
            text = read_text(self._root, path)
        except Unreadable:
            return
        if row is not None and row[0] == text_digest(text):
            for chunk in chunk_file(path, text):
                yield embedded_text(path, chunk)


def _encode(
    encoder: Encoder, depth: int, texts: dict[bytes, str], at_once: int, cancelled: Cancelled | None
) -> tuple[list[bytes], NDArray[np.float32]]:
    """(digests, vectors), fewer than asked for when cancelled."""
    ordered = sorted(texts.items(), key=lambda item: len(item[1]))
    parts = []
    for start in range(0, len(ordered), at_once):
        if cancelled is not None and cancelled():
            break
        some = [text for _, text in ordered[start : start + at_once]]
        parts.append(encoder.encode(some, depth, "code"))
    digests = [digest for digest, _ in ordered[: sum(map(len, parts))]]
    return digests, np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def _store(
    database: Database, depth: int, digests: Sequence[bytes], vectors: Quantised, cancelled: Cancelled | None
) -> int:
    with FileLock(database.folder / WRITER_LOCK) as lock:
        if not lock.acquire(_WRITER_WAIT, cancelled):
            return 0
        with database.writing() as connection, transaction(connection):
            counts = counters(connection)
            numbers = []
            for position, digest in enumerate(digests):
                stored = number_and_exit(connection, digest)
                if stored is not None and stored[1] < depth:
                    numbers.append((stored[0], position))
            if not numbers:
                return 0
            numbers.sort()
            at = np.array([position for _, position in numbers])
            write_vectors(
                connection,
                counts["next_vector"],
                np.array([number for number, _ in numbers]),
                np.full(len(at), depth, np.uint8),
                Quantised(vectors.codes[at], vectors.scales[at]),
            )
            write_meta(connection, {"generation": counts["generation"] + 1})
    return len(numbers)
