"""Embeds chunks again at a deeper exit, a batch at a time, while everything else goes on.

The vectors of all exits share one space, so searches use each chunk's deepest vector so far at any moment.
The sources are read afresh: a file that changed meanwhile is left to the next refresh.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.analysis import read_text, text_digest
from modstar_lsp.index.database import COUNTERS, DEEPEN_LOCK, WRITER_LOCK, Database, counters, transaction
from modstar_lsp.index.lock import FileLock
from modstar_lsp.index.refresh import Cancelled, OnProgress, Progress
from modstar_lsp.index.vectors import BLOCK, Quantised, quantise
from modstar_lsp.index.writer import write_vectors

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index.snapshot import Snapshot

# Rows per commit: some seconds of work, lost if the process is killed.
COMMIT_ROWS = 128
# Texts per call of the encoder, between which cancelling is heard.
_ENCODED_TEXTS = 32
# Files whose chunks are remembered, since rows in order of usefulness come back to a file.
_REMEMBERED_FILES = 64
# A deeper vector waits this long for a refresh to end, asking now and then whether it was cancelled.
_WRITER_WAIT = 600.0

# A row's file and its position among the file's chunks.
Place = tuple[str, int]


def plan(snapshot: Snapshot, exit: int, order: Sequence[int] | NDArray[np.integer] | None) -> list[Place]:
    """The chunks of `snapshot` whose vectors are shallower than `exit`, in the order wished for."""
    rows = np.arange(snapshot.n) if order is None else np.asarray(order, np.int64)
    rows = rows[snapshot.exits[rows] < exit]
    first = np.searchsorted(snapshot.file_of, np.arange(len(snapshot.paths)))
    return [(snapshot.paths[snapshot.file_of[row]], int(row - first[snapshot.file_of[row]])) for row in rows]


def deepen(
    database: Database,
    root: Path,
    encoder: Encoder,
    exit: int,
    places: Sequence[Place],
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
        for start in range(0, len(places), COMMIT_ROWS):
            if cancelled is not None and cancelled():
                break
            some = places[start : start + COMMIT_ROWS]
            texts = reader.shallow_texts(some, exit)
            digests, vectors = _encode(encoder, exit, texts, cancelled)
            if digests:
                done += _store(database, exit, digests, quantise(vectors), cancelled)
            if progress is not None:
                progress(Progress("deepen", min(start + COMMIT_ROWS, len(places)), len(places), some[-1][0]))
    return done


class _Reader:
    """Gets the embedded texts of chunks from the files as they are now."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._texts: dict[str, list[str]] = {}

    def shallow_texts(self, places: Sequence[Place], exit: int) -> dict[bytes, str]:
        """The embedded texts at `places` that the index has at a shallower exit than `exit`, by digest."""
        found: dict[bytes, str] = {}
        with self._database.reading() as connection:
            for path, position in places:
                texts = self._texts_of(connection, path)
                if position < len(texts):
                    digest = text_digest(texts[position])
                    stored = _stored(connection, digest)
                    if stored is not None and stored[1] < exit:
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
    encoder: Encoder, exit: int, texts: dict[bytes, str], cancelled: Cancelled | None
) -> tuple[list[bytes], NDArray[np.float32]]:
    """(digests, vectors), fewer than asked for when cancelled."""
    ordered = sorted(texts.items(), key=lambda item: len(item[1]))
    parts = []
    for start in range(0, len(ordered), _ENCODED_TEXTS):
        if cancelled is not None and cancelled():
            break
        some = [text for _, text in ordered[start : start + _ENCODED_TEXTS]]
        parts.append(encoder.encode(some, exit, "code"))
    digests = [digest for digest, _ in ordered[: sum(map(len, parts))]]
    return digests, np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def _store(
    database: Database, exit: int, digests: Sequence[bytes], vectors: Quantised, cancelled: Cancelled | None
) -> int:
    with FileLock(database.folder / WRITER_LOCK) as lock:
        if not lock.acquire(_WRITER_WAIT, cancelled):
            return 0
        with database.writing() as connection, transaction(connection):
            numbers = []
            for position, digest in enumerate(digests):
                stored = _stored(connection, digest)
                if stored is not None and stored[1] < exit:
                    numbers.append((stored[0], position))
            if not numbers:
                return 0
            numbers.sort()
            at = np.array([position for _, position in numbers])
            write_vectors(
                connection,
                np.array([number for number, _ in numbers]),
                np.full(len(at), exit, np.uint8),
                Quantised(vectors.codes[at], vectors.scales[at]),
            )
            generation = counters(connection)[COUNTERS[0]] + 1
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (generation, COUNTERS[0]))
    return len(numbers)


def _stored(connection: sqlite3.Connection, digest: bytes) -> tuple[int, int] | None:
    """(number, exit) of the vector of an embedded text."""
    row = connection.execute(
        f"SELECT vector, exits FROM digests, vectors WHERE digest = ? AND block = vector / {BLOCK}", (digest,)
    ).fetchone()
    return None if row is None else (row[0], row[1][row[0] % BLOCK])
