"""The vectors in the database: which text each stands for, and the blocks that hold them.

`digests` names the vector of an embedded text by its number; `vectors` keeps them by number, BLOCK to a row;
`spare` remembers when a file last dropped one. What writes is called inside a transaction. Reading all of
them at once is in `matrix.py`. What reads raises Unsound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.store.database import MAX_PARAMETERS, Unsound, check_of
from modstar_lsp.index.store.file_blocks import read_files, renumber_vectors
from modstar_lsp.index.vectors.matrix import Exits, read_exits, read_vectors, sums
from modstar_lsp.index.vectors.quantised import BLOCK, Quantised

# Rounding moves the length of a vector by less.
UNIT_TOLERANCE = 1e-4


def number_of(connection: sqlite3.Connection, digest: bytes) -> int | None:
    """The number of the vector that stands for an embedded text, None when there is none."""
    row = connection.execute(
        'SELECT digest, vector, "check" FROM digests WHERE digest = ?', (digest,)
    ).fetchone()
    return None if row is None else _number(row)


def numbers_of(connection: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    """The numbers of the vectors that stand for texts with these digests, of those that there are."""
    found: dict[bytes, int] = {}
    pending = iter(dict.fromkeys(digests))
    while some := list(islice(pending, MAX_PARAMETERS)):
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f'SELECT digest, vector, "check" FROM digests WHERE digest IN ({marks})', some
        )
        found.update((row[0], _number(row)) for row in rows)
    return found


def _number(row: tuple[bytes, int, int]) -> int:
    """The number in a row of `digests`."""
    if check_of(row[:2]) != row[2]:
        raise Unsound("the number of a vector is not as it was written")
    return row[1]


def number_and_exit(connection: sqlite3.Connection, digest: bytes) -> tuple[int, int] | None:
    """(number, exit) of the vector of an embedded text, None when there is none."""
    number = number_of(connection, digest)
    if number is None:
        return None
    block = number // BLOCK
    row = connection.execute("SELECT exits, exits_check FROM vectors WHERE block = ?", (block,)).fetchone()
    if row is None or check_of((block, row[0])) != row[1] or number % BLOCK >= len(row[0]):
        raise Unsound("the exits are not as they were written")
    return number, row[0][number % BLOCK]


def find(
    connection: sqlite3.Connection, digest: bytes, dimension: int
) -> tuple[int, float, NDArray[np.int8]] | None:
    """(depth, scale, codes) of the vector of an embedded text, None when there is none."""
    number = number_of(connection, digest)
    if number is None:
        return None
    exits, vectors = read_block(connection, number // BLOCK, dimension)
    at = number % BLOCK
    return int(exits[at]), float(vectors.scales[at]), vectors.codes[at]


def find_unchecked(
    connection: sqlite3.Connection, digest: bytes, dimension: int
) -> tuple[int, float, NDArray[np.int8]] | None:
    """As `find` for an index of an earlier version, where only the unit length of a vector can be checked."""
    row = connection.execute(
        "SELECT vector, exits, scales, codes FROM digests, vectors "
        f"WHERE digest = ? AND block = vector / {BLOCK}",
        (digest,),
    ).fetchone()
    if row is None:
        return None
    at = row[0] % BLOCK
    codes = np.frombuffer(row[3], np.int8).reshape(-1, dimension)[at]
    scale = float(np.frombuffer(row[2], "<f4")[at])
    length = scale * float(np.linalg.norm(codes.astype(np.float32)))
    return (
        (row[1][at], scale, codes) if abs(length - 1) < UNIT_TOLERANCE or not (scale or codes.any()) else None
    )


def digests_by_number(connection: sqlite3.Connection, total: int) -> list[bytes | None]:
    """Of each of the `total` vectors the digest of the text that it stands for, None where none is known."""
    digests: list[bytes | None] = [None] * total
    for row in connection.execute('SELECT digest, vector, "check" FROM digests'):
        number = _number(row)
        if number >= total:
            raise Unsound("there are more digests than vectors")
        digests[number] = row[0]
    return digests


def vectors_at(connection: sqlite3.Connection, numbers: NDArray[np.integer], dimension: int) -> Quantised:
    """The vectors at `numbers`, which ascend: each block is read once."""
    codes = np.empty((len(numbers), dimension), np.int8)
    scales = np.empty(len(numbers), np.float32)
    for number, start, end in _runs(numbers):
        _, vectors = read_block(connection, number, dimension)
        at = numbers[start:end] - number * BLOCK
        codes[start:end], scales[start:end] = vectors.codes[at], vectors.scales[at]
    return Quantised(codes, scales)


def _runs(numbers: NDArray[np.integer]) -> Iterator[tuple[int, int, int]]:
    """(block, where it begins in `numbers`, where it ends) of each block that ascending `numbers` are in."""
    blocks = numbers // BLOCK
    starts = np.flatnonzero(np.concatenate(([True], blocks[1:] != blocks[:-1])))[: len(blocks)].tolist()
    for start, end in pairwise([*starts, len(blocks)]):
        yield int(blocks[start]), start, end


def read_block(connection: sqlite3.Connection, number: int, dimension: int) -> tuple[Exits, Quantised]:
    """The exits of block `number` and its vectors."""
    row = connection.execute(
        'SELECT exits, scales, codes, exits_check, "check" FROM vectors WHERE block = ?', (number,)
    ).fetchone()
    if row is None:
        raise Unsound("vectors are missing")
    exits, scales = np.frombuffer(row[0], np.uint8), np.frombuffer(row[1], "<f4")
    vectors = Quantised(np.frombuffer(row[2], np.int8).reshape(-1, dimension), scales)
    if (
        not len(exits) == len(scales) == len(vectors.codes)
        or check_of((number, row[0])) != row[3]
        or _sum(number, vectors) != row[4]
    ):
        raise Unsound("the vectors are not as they were written")
    return exits, vectors


def _sum(block: int, vectors: Quantised) -> int:
    return int(sums(np.array([block]), np.array([len(vectors.scales)]), vectors)[0])


def add(
    connection: sqlite3.Connection, first: int, digests: Sequence[bytes], exits: Exits, vectors: Quantised
) -> None:
    """Writes the vectors of embedded texts that had none, numbered from `first`, the next free number."""
    numbers = np.arange(first, first + len(digests))
    _write_digests(connection, zip(digests, numbers.tolist(), strict=True))
    write_vectors(connection, first, numbers, exits, vectors)


def write_vectors(
    connection: sqlite3.Connection,
    there: int,
    numbers: NDArray[np.integer],
    exits: NDArray[np.uint8],
    vectors: Quantised,
) -> None:
    """Writes vectors at `numbers`, ascending: over some of those that are there, or right behind them.

    there: how many vectors the table has before.
    """
    for number, start, end in _runs(numbers):
        at = numbers[start:end] - number * BLOCK
        dimension = vectors.codes.shape[1]
        # What is there is written again, with a new check: it has to be sound.
        before = read_block(connection, number, dimension) if number * BLOCK < there else None
        size = max(int(at[-1]) + 1, len(before[0]) if before else 0)
        block_exits = np.zeros(size, np.uint8)
        block_scales = np.zeros(size, "<f4")
        block_codes = np.zeros((size, dimension), np.int8)
        if before:
            old = slice(len(before[0]))
            block_exits[old], (block_codes[old], block_scales[old]) = before
        block_exits[at] = exits[start:end]
        block_scales[at] = vectors.scales[start:end]
        block_codes[at] = vectors.codes[start:end]
        exits_blob = block_exits.tobytes()
        connection.execute(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)",
            (
                number, exits_blob, block_scales.tobytes(), block_codes.tobytes(),
                check_of((number, exits_blob)), _sum(number, Quantised(block_codes, block_scales)),
            ),
        )  # fmt: skip


def _write_digests(connection: sqlite3.Connection, rows: Iterable[tuple[bytes, int]]) -> None:
    connection.executemany("INSERT INTO digests VALUES (?, ?, ?)", ((*row, check_of(row)) for row in rows))


def drop(connection: sqlite3.Connection, numbers: Iterable[int], generation: int) -> None:
    """Notes that a file refers to these vectors no more; another may, so they stay until the next sweep."""
    connection.executemany(
        "INSERT OR REPLACE INTO spare VALUES (?, ?)", ((number, generation) for number in numbers)
    )


def dropped(connection: sqlite3.Connection) -> int:
    """How many vectors were dropped and are still there."""
    (count,) = connection.execute("SELECT count(*) FROM spare").fetchone()
    return int(count)


def sweep(connection: sqlite3.Connection, files: int, total: int, keep: int, dimension: int) -> int:
    """Forgets all vectors that none of the `files` refers to, but for the `keep` that were dropped last.

    The others get new numbers, in the files too. total: the vectors there are. Returns how many there are
    then.
    """
    used = np.zeros(total, bool)
    used[read_files(connection, files).vectors] = True
    spare = connection.execute(
        "SELECT vector, generation FROM spare ORDER BY generation DESC, vector"
    ).fetchall()
    kept = [row for row in spare if 0 <= row[0] < total and not used[row[0]]][:keep]
    used[[vector for vector, _ in kept]] = True
    renumbered = (np.cumsum(used) - 1).astype(np.int32)
    renumber_vectors(connection, renumbered)
    digests = [
        (row[0], int(renumbered[row[1]]))
        for row in connection.execute('SELECT digest, vector, "check" FROM digests ORDER BY digest')
        if used[_number(row)]
    ]
    exits, all_vectors = read_exits(connection, total), read_vectors(connection, dimension, total)
    for name in ("digests", "vectors", "spare"):
        connection.execute(f"DELETE FROM {name}")
    _write_digests(connection, digests)
    connection.executemany(
        "INSERT INTO spare VALUES (?, ?)",
        [(int(renumbered[vector]), generation) for vector, generation in kept],
    )
    left = int(used.sum())
    write_vectors(
        connection,
        0,
        np.arange(left),
        exits[used],
        Quantised(all_vectors.codes[used], all_vectors.scales[used]),
    )
    return left
