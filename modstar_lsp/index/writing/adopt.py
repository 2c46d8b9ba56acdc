"""Takes deeper vectors out of a file that somebody else's index wrote. Nobody is trusted with what they mean.

The text stays one's own: a vector is taken for the digest of a text that this index has read itself, when it
is deeper than the one that is there and near it. All exits share one space, so a text's vectors at two exits
are near each other, and a vector that was put there to lead astray is far off, or can do little.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.errors import StoreError
from modstar_lsp.index.records import Cancelled, OnProgress, Progress
from modstar_lsp.index.store.database import WRITER_LOCK, Database, counters, transaction, write_meta
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.index.vectors import table
from modstar_lsp.index.vectors.exchange import VectorFile
from modstar_lsp.index.vectors.matrix import read_exits
from modstar_lsp.index.vectors.quantised import Quantised

# The least cosine between a text's vectors at two exits. Of 120 chunks of this project exits 0 and 6 had .74
# at least, 0 and 4 .80; exit 0 of one chunk and exit 6 of another had .15 in the middle, .43 in 95 of 100.
_NEAR = 0.5
# Vectors per commit: 4 MB.
_COMMIT = 16_384


class Adoption(NamedTuple):
    """taken: vectors that got deeper.  refused: deeper ones that were not near what they would replace."""

    taken: int
    refused: int


def adopt(
    database: Database,
    file: VectorFile,
    depths: frozenset[int],
    *,
    wait: float,
    progress: OnProgress | None,
    cancelled: Cancelled | None,
) -> Adoption:
    """See Index.adopt. Nothing is written before all of the file was read and found whole."""
    with FileLock(database.folder / WRITER_LOCK) as lock:  # until the end: numbers stay what they are
        if not lock.acquire(wait, cancelled):
            raise StoreError(f"the index in {database.folder} is being written: try again when that is done")
        with database.writing() as connection:
            positions, numbers = _matches(connection, file, depths)
            taken = refused = 0
            for start in range(0, len(numbers), _COMMIT):
                if cancelled is not None and cancelled():
                    break
                part = slice(start, start + _COMMIT)
                better = _take(connection, database, file, positions[part], numbers[part])
                taken += better
                refused += len(numbers[part]) - better
                if progress is not None:
                    progress(Progress("import", min(part.stop, len(numbers)), len(numbers), ""))
    return Adoption(taken, refused)


def _matches(
    connection: sqlite3.Connection, file: VectorFile, depths: frozenset[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(positions in the file, numbers here) of what is deeper there than here, by number."""
    exits = read_exits(connection, counters(connection)["next_vector"])
    found: list[tuple[int, int]] = []  # number, position
    first = 0
    for records in file.records():
        if not depths.issuperset(records.exits.tolist()):
            raise file.refused("holds vectors of an exit that this model lacks: it was altered")
        known = table.numbers_of(connection, records.digests)
        for position, (digest, depth) in enumerate(zip(records.digests, records.exits.tolist(), strict=True)):
            number = known.get(digest)
            if number is not None and depth > exits[number]:
                found.append((number, first + position))
        first += len(records.digests)
    unique = dict(sorted(found))
    return np.fromiter(unique.values(), np.int64), np.fromiter(unique, np.int64)


def _take(
    connection: sqlite3.Connection,
    database: Database,
    file: VectorFile,
    positions: NDArray[np.int64],
    numbers: NDArray[np.int64],
) -> int:
    """Writes those of the vectors at `positions` that are near what stands at `numbers`; how many."""
    found = file.at(positions)
    before = table.vectors_at(connection, numbers, database.dimension)
    dots = np.einsum("ij,ij->i", found.vectors.codes, before.codes, dtype=np.int32)
    near = dots * found.vectors.scales * before.scales >= _NEAR
    if not near.any():
        return 0
    with transaction(connection):
        counts = counters(connection)
        vectors = Quantised(found.vectors.codes[near], found.vectors.scales[near])
        table.write_vectors(connection, counts["next_vector"], numbers[near], found.exits[near], vectors)
        write_meta(connection, {"generation": counts["generation"] + 1})
    return int(near.sum())
