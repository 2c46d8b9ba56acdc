"""All vectors of one generation of the index, made from those of an earlier one by reading what changed.

After a file is saved nearly all vectors are the same, and reading 100,000 of them takes longer than answering
a question. What stands at a number never changes within a numbering, unless it is embedded at a deeper exit;
so the exits, which are small, tell what to read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats
from modstar_lsp.index.store.database import Unsound, check_of
from modstar_lsp.index.vectors.quantised import BLOCK, Codes, Quantised
from modstar_lsp.index.vectors.signs import Signs, signs_of

# Room for further vectors, as a share of those that are there, when they have to be copied: after that, many
# commits of saved files cost no copy.
_ROOM_SHARE = 1 / 16
# When more than this share has changed, all are read: that goes in one statement.
_FEW = 0.25
# Blocks that are in memory several times while all are read. Read at once, all were in memory twice: 100,000
# vectors of 256 values, 26 MB, took 53 MB.
_PORTION = 64

# Of a block, what reading its vectors takes.
_COLUMNS = 'block, scales, codes, "check"'
# Odd, so that no change of a bit is lost in the product.
_SCALES_FACTOR, _BLOCK_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

Exits = NDArray[np.uint8]


class Matrix:
    """The vectors by number, those that no living chunk refers to any more included.

    numbering: changes when vectors get other numbers. Nobody may write to `vectors`.
    """

    def __init__(
        self, vectors: Quantised, numbering: str, room: _Room | None = None, signs: Signs | None = None
    ) -> None:
        self.vectors = vectors
        self.numbering = numbering
        self._room = room
        self._signs = signs

    @property
    def signs(self) -> Signs:
        """The signs of the vectors, made when they are asked for first: 1.3 million take .3 s."""
        if self._signs is None:
            self._signs = signs_of(self.vectors.codes)
        return self._signs

    @classmethod
    def load(cls, connection: sqlite3.Connection, dimension: int, numbering: str, total: int) -> Matrix:
        """All that is in the database, `total` vectors. Raises Unsound."""
        return cls(read_vectors(connection, dimension, total), numbering)

    def renewed(
        self, connection: sqlite3.Connection, numbering: str, before: Exits, exits: Exits
    ) -> Matrix | None:
        """The vectors of a later generation; None when all of them have to be read. Raises Unsound.

        before: the exits of the vectors of this one.  exits: of those in the database.
        """
        old, total = len(before), len(exits)
        if numbering != self.numbering or not old == len(self.vectors.scales) <= total:
            return None
        deeper = np.flatnonzero(before != exits[:old])
        numbers = np.concatenate((deeper, np.arange(old, total)))
        blocks = np.unique(numbers // BLOCK)
        if len(blocks) * BLOCK > _FEW * total:
            return None
        rows = [
            row
            for block in blocks.tolist()
            for row in connection.execute(f"SELECT {_COLUMNS} FROM vectors WHERE block = ?", (block,))
        ]
        if len(rows) < len(blocks):
            raise Unsound("vectors are missing")
        read = _vectors(rows, self.vectors.codes.shape[1])
        at = np.searchsorted(blocks, numbers // BLOCK) * BLOCK + numbers % BLOCK
        new = Quantised(read.codes[at], read.scales[at])
        room = self._room
        if room is None or len(deeper) or not room.append(old, new):
            room = _Room(self.vectors, total + int(_ROOM_SHARE * total))
            room.codes[numbers], room.scales[numbers] = new
            room.used = total
        signs = None if self._signs is None else _replaced(self._signs, numbers, signs_of(new.codes), total)
        return Matrix(room.first(total), numbering, room, signs)


def _replaced(signs: Signs, numbers: NDArray[np.int64], new: Signs, total: int) -> Signs:
    """`signs` of `total` vectors, with the `new` ones at `numbers`."""
    out = np.empty((len(signs), total), np.uint64)
    out[:, : signs.shape[1]] = signs
    out[:, numbers] = new
    return out


class _Room:
    """Vectors with room for more. What was put in stays as it is, since matrices share it."""

    def __init__(self, vectors: Quantised, size: int) -> None:
        self.codes: Codes = np.empty((size, vectors.codes.shape[1]), np.int8)
        self.scales: Floats = np.empty(size, np.float32)
        self.used = len(vectors.scales)
        self.codes[: self.used], self.scales[: self.used] = vectors
        self._lock = Lock()

    def append(self, at: int, vectors: Quantised) -> bool:
        """Puts `vectors` in, the first at number `at`; False when another's are there, or too little room."""
        with self._lock:
            end = at + len(vectors.scales)
            if at != self.used or end > len(self.scales):
                return False
            self.codes[at:end], self.scales[at:end] = vectors
            self.used = end
            return True

    def first(self, count: int) -> Quantised:
        return Quantised(self.codes[:count], self.scales[:count])


def read_exits(connection: sqlite3.Connection, total: int) -> Exits:
    """The exit at which each of the `total` vectors in the database was made, by number. Raises Unsound."""
    rows = connection.execute("SELECT block, exits, exits_check FROM vectors ORDER BY block").fetchall()
    exits = np.frombuffer(b"".join([row[1] for row in rows]), np.uint8)
    if len(exits) != total or any(check_of(row[:2]) != row[2] for row in rows):
        raise Unsound("the exits are not as they were written")
    return exits


def read_vectors(connection: sqlite3.Connection, dimension: int, total: int) -> Quantised:
    """All `total` vectors in the database by number. Raises Unsound."""
    vectors = Quantised(np.empty((total, dimension), np.int8), np.empty(total, np.float32))
    for part, at in _portions(connection, dimension, total):
        vectors.codes[at], vectors.scales[at] = part
    return vectors


def read_cosines(connection: sqlite3.Connection, dimension: int, query: Floats, total: int) -> Floats:
    """The cosine of `query` with each of the `total` vectors in the database, by number. Raises Unsound.

    It is what `read_vectors` and `Quantised.cosines` give, with a few blocks in memory at a time.
    """
    cosines = np.empty(total, np.float32)
    for part, at in _portions(connection, dimension, total):
        cosines[at] = part.cosines(query)
    return cosines


def _portions(
    connection: sqlite3.Connection, dimension: int, total: int
) -> Iterator[tuple[Quantised, slice]]:
    """All `total` vectors in the database, some at a time, and the numbers of those. Raises Unsound."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM vectors ORDER BY block")
    start = 0
    while some := rows.fetchmany(_PORTION):
        part = _vectors(some, dimension)
        end = start + len(part.scales)
        if start % BLOCK or end > total:
            raise Unsound("the vectors do not add up")
        yield part, slice(start, end)
        start = end
    if start != total:
        raise Unsound("vectors are missing")


def sums(blocks: NDArray[np.int64], sizes: NDArray[np.int64], vectors: Quantised) -> NDArray[np.int64]:
    """The check of each of some blocks, whose `sizes` vectors follow each other: int64 [blocks].

    It is linear, so that numpy makes all at once, at the pace of the memory: a seventh of what a CRC takes,
    which of a million vectors would be a tenth of a second. No change of some bits or zeroing of some bytes
    leaves it as it was, but for one in 2**64.
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    wide = np.uint64 if vectors.codes.shape[1] % 8 == 0 else np.uint8
    words = vectors.codes.reshape(-1).view(wide)
    per_vector = vectors.codes.shape[1] // np.dtype(wide).itemsize
    codes = np.add.reduceat(words, starts * per_vector, dtype=np.uint64)
    scales = np.add.reduceat(vectors.scales.view("<u4"), starts, dtype=np.uint64)
    numbers = blocks.astype(np.uint64)
    return (codes + _SCALES_FACTOR * scales + _BLOCK_FACTOR * numbers).view(np.int64)


def _vectors(rows: list[tuple[int, bytes, bytes, int]], dimension: int) -> Quantised:
    """The vectors of some rows of the table, _COLUMNS of each. Raises Unsound."""
    scales = np.frombuffer(b"".join([row[1] for row in rows]), "<f4")
    codes = np.frombuffer(b"".join([row[2] for row in rows]), np.int8).reshape(-1, dimension)
    vectors = Quantised(codes, scales)
    if rows:
        sizes = np.array([len(row[1]) // 4 for row in rows], np.int64)
        blocks, checks = np.array([(row[0], row[3]) for row in rows], np.int64).T
        # Only the last may be short.
        if len(codes) != len(scales) or not sizes.all() or (sizes[:-1] != BLOCK).any():
            raise Unsound("the vectors do not add up")
        if (sums(blocks, sizes, vectors) != checks).any():
            raise Unsound("the vectors are not as they were written")
    return vectors
