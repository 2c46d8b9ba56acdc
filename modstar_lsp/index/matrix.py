"""All vectors of one generation of the index, made from those of an earlier one by reading what changed.

After a file is saved nearly all vectors are the same, and reading 100,000 of them takes longer than answering
a question. What stands at a number never changes within a numbering, unless it is embedded at a deeper exit;
so the exits, which are small, tell what to read.
"""

from __future__ import annotations

import sqlite3
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.database import DamagedIndex
from modstar_lsp.index.vectors import BLOCK, Codes, Floats, Quantised

# Room for further vectors, as a share of those that are there, when they have to be copied: after that, many
# commits of saved files cost no copy.
_ROOM_SHARE = 1 / 16
# When more than this share has changed, all are read: that goes in one statement.
_FEW = 0.25

Exits = NDArray[np.uint8]


class Matrix:
    """The vectors by number, those that no living chunk refers to any more included.

    numbering: changes when vectors get other numbers. Nobody may write to `vectors`.
    """

    def __init__(self, vectors: Quantised, numbering: str, room: _Room | None = None) -> None:
        self.vectors = vectors
        self.numbering = numbering
        self._room = room

    @classmethod
    def load(cls, connection: sqlite3.Connection, dimension: int, numbering: str) -> Matrix:
        """All that is in the database. Raises DamagedIndex."""
        rows = connection.execute("SELECT scales, codes FROM vectors ORDER BY block").fetchall()
        return cls(_vectors(rows, dimension), numbering)

    def renewed(
        self, connection: sqlite3.Connection, numbering: str, before: Exits, exits: Exits
    ) -> Matrix | None:
        """The vectors of a later generation; None when all of them have to be read. Raises DamagedIndex.

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
            for row in connection.execute("SELECT scales, codes FROM vectors WHERE block = ?", (block,))
        ]
        read = _vectors(rows, self.vectors.codes.shape[1])
        at = np.searchsorted(blocks, numbers // BLOCK) * BLOCK + numbers % BLOCK
        new = Quantised(read.codes[at], read.scales[at])
        room = self._room
        if room is None or len(deeper) or not room.append(old, new):
            room = _Room(self.vectors, total + int(_ROOM_SHARE * total))
            room.codes[numbers], room.scales[numbers] = new
            room.used = total
        return Matrix(room.first(total), numbering, room)


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


def _vectors(rows: list[tuple[bytes, bytes]], dimension: int) -> Quantised:
    scales = np.frombuffer(b"".join([row[0] for row in rows]), "<f4")
    codes = np.frombuffer(b"".join([row[1] for row in rows]), np.int8).reshape(-1, dimension)
    if len(codes) != len(scales):
        raise DamagedIndex("the vectors of the index do not add up")
    return Quantised(codes, scales)
