"""The segments of the postings: every commit adds one, and merging keeps them few and free of the dead."""

from __future__ import annotations

import sqlite3
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.store.database import Unsound, check_of
from modstar_lsp.index.words.postings import (
    SEGMENT_CHUNKS,
    Block,
    Packed,
    decode_block,
    encode,
    pack,
    renumber,
)

# A segment joins the next newer ones when it is less than this many times as large as they are together. So
# sizes grow by this factor at least: at 50,000 chunks a term is looked up in 8 places at most.
_GROWTH = 4
# A segment of which a greater share is dead is written again.
_DEAD_SHARE = 0.5
# Terms at hand while merging, of all segments together, to bound the memory that it takes.
_MERGED_TERMS = 16_384
# zlib's effort for a segment that will soon be merged, and for one that will stay.
_FRESH_LEVEL, _MERGED_LEVEL = 1, 6
# A segment has at most 262,144 chunks of at most some 10,000 terms.
_MAX_BLOCKS = 1 << 24


class Segment(NamedTuple):
    """id: its number in the database.  chunks: its chunk ids, ascending.  alive: which of them live.
    first_terms: of each block.
    """

    id: int
    chunks: NDArray[np.int32]
    alive: NDArray[np.bool_]
    first_terms: list[str]

    @property
    def living(self) -> int:
        """How many of its chunks live."""
        return int(self.alive.sum())


def write(
    connection: sqlite3.Connection,
    segment: int,
    chunks: NDArray[np.int32],
    terms: Sequence[str],
    packed: Packed,
) -> None:
    """Adds a segment. `terms` in any order; `packed` has their numbers and the chunks' in the segment."""
    order = sorted(range(len(terms)), key=terms.__getitem__)
    rank = np.empty(len(terms), np.int64)
    rank[order] = np.arange(len(terms))
    blocks = encode([terms[number] for number in order], renumber(packed, rank), _FRESH_LEVEL)
    _write(connection, segment, chunks, blocks)


def _write(
    connection: sqlite3.Connection,
    segment: int,
    chunks: NDArray[np.int32],
    blocks: Iterable[tuple[str, bytes]],
) -> None:
    first_terms = []
    for position, (first, data) in enumerate(blocks):
        connection.execute("INSERT INTO postings VALUES (?, ?)", (block_id(segment, position), data))
        first_terms.append(first)
    directory = zlib.compress("\n".join(first_terms).encode())
    row = (segment, chunks.astype("<i4").tobytes(), directory)
    connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (*row, check_of(row)))


def block_id(segment: int, position: int) -> int:
    """Where the block at `position` of `segment` is in the table of postings."""
    return segment * _MAX_BLOCKS + position


def first_terms(directory: bytes) -> list[str]:
    """The first term of each block of a segment, from what `segments` holds."""
    text = zlib.decompress(directory).decode()
    return text.split("\n") if text else []


def read_segments(connection: sqlite3.Connection) -> list[tuple[int, bytes, bytes]]:
    """(id, chunks, directory) of all segments. Raises Unsound."""
    rows = connection.execute('SELECT id, chunks, directory, "check" FROM segments ORDER BY id').fetchall()
    if any(check_of(row[:3]) != row[3] for row in rows):
        raise Unsound("a segment is not as it was written")
    return [row[:3] for row in rows]


def load_segments(connection: sqlite3.Connection, living: NDArray[np.int64]) -> list[Segment]:
    """All segments, oldest first. `living`: the ids of all living chunks, ascending. Raises Unsound."""
    segments = []
    for number, blob, directory in read_segments(connection):
        chunks = np.frombuffer(blob, "<i4")
        at = np.searchsorted(living, chunks)
        at[at == len(living)] = 0
        alive = living[at] == chunks if len(living) else np.zeros(len(chunks), bool)
        segments.append(Segment(number, chunks, alive, first_terms(directory)))
    if sum(segment.living for segment in segments) != len(living):
        raise Unsound("the segments do not add up")
    return sorted(segments, key=lambda segment: int(segment.chunks[0]) if len(segment.chunks) else 0)


def plan_merges(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Which segments, given as (living, total) from the oldest, to make into one: groups of positions."""
    groups: list[list[int]] = []
    group: list[int] = []
    total = 0
    for position in reversed(range(len(sizes))):
        living, _ = sizes[position]
        if group and (living >= _GROWTH * max(total, 1) or total + living > SEGMENT_CHUNKS):
            groups.append(group[::-1])
            group, total = [], 0
        group.append(position)
        total += living
    if group:
        groups.append(group[::-1])
    return [
        group
        for group in groups
        if len(group) > 1 or sizes[group[0]][1] - sizes[group[0]][0] > _DEAD_SHARE * sizes[group[0]][1]
    ]


def merge(connection: sqlite3.Connection, group: Sequence[Segment], target: int) -> None:
    """Replaces the segments of `group`, oldest first, by one without dead chunks, numbered `target`."""
    chunks = np.concatenate([segment.chunks[segment.alive] for segment in group])
    renumbered = []
    before = 0
    for segment in group:
        numbers = np.full(len(segment.chunks), -1, np.int64)
        numbers[segment.alive] = np.arange(before, before + segment.living)
        before += segment.living
        renumbered.append(numbers)
    if len(chunks):
        merged = _merged(connection, group, renumbered)
        _write(connection, target, chunks, _encoded(merged))
    for segment in group:
        ids = block_id(segment.id, 0), block_id(segment.id + 1, 0)
        connection.execute("DELETE FROM postings WHERE id >= ? AND id < ?", ids)
        connection.execute("DELETE FROM segments WHERE id = ?", (segment.id,))


def _encoded(ranges: Iterable[tuple[list[str], Packed]]) -> Iterator[tuple[str, bytes]]:
    for terms, packed in ranges:
        yield from encode(terms, packed, _MERGED_LEVEL)


def _merged(
    connection: sqlite3.Connection, group: Sequence[Segment], renumbered: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[list[str], Packed]]:
    """The living postings of the group for one range of terms after another."""
    sources = [_Source(connection, segment, _MERGED_TERMS // len(group)) for segment in group]
    while True:
        full = [source.terms[-1] for source in sources if source.fill()]
        if not any(source.terms for source in sources):
            return
        border = min(full) if full else None
        taken = [source.take(border) for source in sources]
        terms = sorted({term for some in taken for term in some.terms})
        number = {term: position for position, term in enumerate(terms)}
        parts = []
        for some, chunk_numbers in zip(taken, renumbered, strict=True):
            of_term = np.array([number[term] for term in some.terms], np.int64)
            chunks = chunk_numbers[some.chunks]
            alive = chunks >= 0
            of_term = np.repeat(of_term, np.diff(some.starts))
            parts.append(pack(of_term[alive], chunks[alive], some.counts[alive]))
        yield terms, np.concatenate(parts)


class _Source:
    """The blocks of one segment in order, some at a time."""

    def __init__(self, connection: sqlite3.Connection, segment: Segment, at_hand: int) -> None:
        self._at_hand = at_hand
        self._first_terms = iter(segment.first_terms)
        ids = block_id(segment.id, 0), block_id(segment.id + 1, 0)
        self._cursor = connection.execute(
            "SELECT data FROM postings WHERE id >= ? AND id < ? ORDER BY id", ids
        )
        self._more = True
        self._blocks: list[Block] = []

    @property
    def terms(self) -> list[str]:
        """The last terms at hand."""
        return self._blocks[-1].terms if self._blocks else []

    def fill(self) -> bool:
        """Has some terms at hand; whether there may be more behind them."""
        while self._more and sum(len(block.terms) for block in self._blocks) <= self._at_hand:
            row = self._cursor.fetchone()
            self._more = row is not None
            block = None if row is None else decode_block(row[0])
            if next(self._first_terms, None) != (None if block is None else block.terms[0]):
                raise Unsound("the postings are not where they were written")
            if block is not None:
                self._blocks.append(block)
        return self._more

    def take(self, border: str | None) -> Block:
        """What is at hand up to the term `border`, which then no longer is."""
        taken = []
        while self._blocks and (border is None or self._blocks[0].terms[-1] <= border):
            taken.append(self._blocks.pop(0))
        if self._blocks and border is not None:
            head, self._blocks[0] = _split(self._blocks[0], bisect_right(self._blocks[0].terms, border))
            taken.append(head)
        sizes = [np.diff(block.starts) for block in taken]
        return Block(
            [term for block in taken for term in block.terms],
            np.concatenate(([0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes])))),
            np.concatenate([np.zeros(0, np.int64), *(block.chunks for block in taken)]),
            np.concatenate([np.zeros(0, np.uint8), *(block.counts for block in taken)]),
        )


def _split(block: Block, end: int) -> tuple[Block, Block]:
    """The terms of `block` before `end`, and the others."""
    at = int(block.starts[end])
    return (
        Block(block.terms[:end], block.starts[: end + 1], block.chunks[:at], block.counts[:at]),
        Block(block.terms[end:], block.starts[end:] - at, block.chunks[at:], block.counts[at:]),
    )
