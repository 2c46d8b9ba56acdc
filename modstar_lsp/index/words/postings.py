"""How postings are kept: blocks of neighbouring terms, compressed, that numpy takes apart without a loop.

A segment numbers its chunks from 0. Its terms are sorted and cut into blocks of up to a thousand postings; a
term with more has a block of its own. A block is, in columns that zlib then packs,

    length of the next column (uint32)
    the terms, one a line
    chunks per term, less one: uint8, where that is 255 a uint16 in the next column, and where that is 65,535
        a uint32 in the one after
    distance of each chunk to the previous one of its term, less one: likewise
    how often each chunk holds the term (uint8)

On 12,700 chunks this takes 60 bytes a chunk; a database row for each term and segment took 216.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Each segment is looked at for every form of a word: a question among 1.4 million chunks took 54 ms of the
# processor with 22 segments, 46 with 6. To merge one of this size takes 4 s; of four times that 14, for 2 ms.
SEGMENT_CHUNKS = 1 << 18
MAX_COUNT = 255  # BM25 has long saturated there

# Postings to a block: some 900 bytes. 2,000 pack 2 % better, but left a fifth of pages of 4,096 bytes empty.
_BLOCK_POSTINGS = 1_000
_WIDE, _WIDEST = 0xFF, 0xFFFF

# One posting in 64 bits, so that sorting the numbers sorts by term, then by chunk.
_TERM_SHIFT, _CHUNK_SHIFT = 32, 8
_CHUNK_MASK, _COUNT_MASK = 0xFFFFFF, 0xFF

Packed = NDArray[np.int64]


def pack(terms: NDArray[np.integer], chunks: NDArray[np.integer], counts: NDArray[np.integer]) -> Packed:
    """Postings given as three columns (term number, chunk number in the segment, count)."""
    packed: Packed = terms.astype(np.int64) << _TERM_SHIFT
    packed |= chunks.astype(np.int64) << _CHUNK_SHIFT
    packed |= np.minimum(counts, MAX_COUNT).astype(np.int64)
    return packed


def unpack(packed: Packed, terms: Sequence[str]) -> dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """What `pack` put together, by term: the chunks that hold it, ascending, and how often each does."""
    packed = np.sort(packed)
    numbers = packed >> _TERM_SHIFT
    starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))[: len(packed)]
    chunks = ((packed >> _CHUNK_SHIFT) & _CHUNK_MASK).astype(np.int32)
    counts = (packed & _COUNT_MASK).astype(np.float32)
    ends = [*starts[1:].tolist(), len(packed)]
    return {
        terms[numbers[start]]: (chunks[start:end], counts[start:end])
        for start, end in zip(starts.tolist(), ends, strict=False)
    }


def renumber(packed: Packed, terms: NDArray[np.int64], first_chunk: int = 0) -> Packed:
    """`packed` with term t as `terms[t]` and every chunk number `first_chunk` higher."""
    return (terms[packed >> _TERM_SHIFT] << _TERM_SHIFT) | (
        (packed & ((1 << _TERM_SHIFT) - 1)) + (first_chunk << _CHUNK_SHIFT)
    )


class Block(NamedTuple):
    """Some terms in order; the postings of term t are `starts[t]:starts[t + 1]` of `chunks` and `counts`."""

    terms: list[str]
    starts: NDArray[np.int64]
    chunks: NDArray[np.int32]
    counts: NDArray[np.uint8]


def encode(terms: Sequence[str], packed: Packed, level: int) -> Iterator[tuple[str, bytes]]:
    """Blocks with their first terms. `terms` ascend and `packed` has their numbers; it gets sorted.

    level: how hard zlib tries, 1 to 9.
    """
    if not packed.size:
        return
    packed.sort()
    numbers = packed >> _TERM_SHIFT
    starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))
    present = numbers[starts].tolist()
    chunks = (packed >> _CHUNK_SHIFT) & _CHUNK_MASK
    distances = chunks.copy()
    distances[1:] -= chunks[:-1] + 1
    distances[starts] = chunks[starts]
    counts = (packed & _COUNT_MASK).astype(np.uint8)
    borders = np.append(starts, len(packed))
    for first, end in _cut(np.diff(borders).tolist()):
        part = slice(int(borders[first]), int(borders[end]))
        text = "\n".join([terms[number] for number in present[first:end]]).encode()
        columns = (
            len(text).to_bytes(4, "little"),
            text,
            *_narrow(np.diff(borders[first : end + 1]) - 1),
            *_narrow(distances[part]),
            counts[part].tobytes(),
        )
        yield terms[present[first]], zlib.compress(b"".join(columns), level)


def _cut(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of terms that make a block, given the postings of each."""
    first = total = 0
    for position, size in enumerate(sizes):
        if position > first and total + size > _BLOCK_POSTINGS:
            yield first, position
            first, total = position, 0
        total += size
    yield first, len(sizes)


def _narrow(numbers: NDArray[np.int64]) -> tuple[bytes, bytes, bytes]:
    wide = numbers[numbers >= _WIDE]
    return (
        np.minimum(numbers, _WIDE).astype(np.uint8).tobytes(),
        np.minimum(wide, _WIDEST).astype("<u2").tobytes(),
        wide[wide >= _WIDEST].astype("<u4").tobytes(),
    )


def decode_block(data: bytes) -> Block:
    """The block that `encode` made. Raises ValueError or zlib.error when it is damaged."""
    return _decoded(zlib.decompress(data))


def decode_holding(data: bytes, wanted: Iterable[str]) -> tuple[str, Block | None]:
    """The first term of the block that `encode` made, and the block if it holds any of `wanted`.

    Many inflections of a word are nowhere, and saying so takes two fifths of decoding a block. Raises
    ValueError or zlib.error when it is damaged.
    """
    raw = zlib.decompress(data)
    lines = b"\n%b\n" % _text(raw)
    first = lines[1 : lines.index(b"\n", 1)].decode()
    holds = any(b"\n%b\n" % term.encode() in lines for term in wanted)
    return first, _decoded(raw) if holds else None


def _text(raw: bytes) -> bytes:
    return raw[4 : 4 + int.from_bytes(raw[:4], "little")]


def _decoded(raw: bytes) -> Block:
    text = _text(raw)
    at = 4 + len(text)
    terms = text.decode().split("\n")
    sizes, at = _widen(raw, at, len(terms))
    starts = np.concatenate(([0], np.cumsum(sizes + 1)))
    total = int(starts[-1])
    distances, at = _widen(raw, at, total)
    counts = np.frombuffer(raw, np.uint8, total, at)
    distances += 1
    # At most _BLOCK_POSTINGS of SEGMENT_CHUNKS each, or those of one term.
    chunks = np.cumsum(distances, dtype=np.int32)
    if len(terms) > 1:
        # What the sum had reached before each term is not the term's own.
        before = np.concatenate(([0], chunks[starts[1:-1] - 1]))
        chunks -= np.repeat(before.astype(np.int32), np.diff(starts))
    chunks -= 1
    return Block(terms, starts, chunks, counts)


def decode_terms(data: bytes) -> list[str]:
    """The terms alone of the block that `encode` made, in a third of the time."""
    return _text(zlib.decompress(data)).decode().split("\n")


def _widen(raw: bytes, at: int, size: int) -> tuple[NDArray[np.int32], int]:
    """(`size` numbers that `_narrow` wrote at `at`, where they end)."""
    numbers = np.frombuffer(raw, np.uint8, size, at).astype(np.int32)
    at += size
    wide = np.flatnonzero(numbers == _WIDE)
    if wide.size:
        values = np.frombuffer(raw, "<u2", wide.size, at).astype(np.int32)
        at += 2 * wide.size
        widest = np.flatnonzero(values == _WIDEST)
        values[widest] = np.frombuffer(raw, "<u4", widest.size, at)
        at += 4 * widest.size
        numbers[wide] = values
    return numbers, at
