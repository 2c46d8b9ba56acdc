"""Blocks of postings give back what was put in, however many chunks a segment has."""

from __future__ import annotations

import numpy as np
import pytest

from modstar_lsp.index.words.postings import MAX_COUNT, SEGMENT_CHUNKS, decode_block, encode, pack


@pytest.mark.parametrize("seed", range(4))
def test_blocks_hold_what_was_put_in(seed: int) -> None:
    random = np.random.default_rng(seed)
    terms = [f"term{number:03}" for number in range(40)]
    expected = {}
    for term in terms:
        size = int(random.choice([1, 2, 254, 255, 256, 3_000]))
        chunks = np.sort(random.choice(SEGMENT_CHUNKS, size, replace=False))
        expected[term] = chunks, random.integers(1, 2 * MAX_COUNT, size)
    # In nearly all chunks, and in the first and the last alone.
    expected[terms[3]] = np.arange(1, SEGMENT_CHUNKS), np.ones(SEGMENT_CHUNKS - 1, np.int64)
    expected[terms[4]] = np.array([0, SEGMENT_CHUNKS - 1]), np.array([3, 4])
    for size, term in zip((65_535, 65_536, 65_537), terms[5:], strict=False):
        expected[term] = np.arange(size) + 65_535, np.full(size, 2)
    numbers = np.repeat(np.arange(len(terms)), [len(expected[term][0]) for term in terms])
    chunks, counts = (np.concatenate([expected[term][part] for term in terms]) for part in (0, 1))
    shuffled = random.permutation(len(numbers))
    found = {}
    for first, data in encode(terms, pack(numbers[shuffled], chunks[shuffled], counts[shuffled]), 1):
        block = decode_block(data)
        assert block.terms[0] == first
        for at, term in enumerate(block.terms):
            part = slice(int(block.starts[at]), int(block.starts[at + 1]))
            found[term] = block.chunks[part].tolist(), block.counts[part].tolist()
    assert found == {
        term: (of.tolist(), np.minimum(count, MAX_COUNT).tolist()) for term, (of, count) in expected.items()
    }
