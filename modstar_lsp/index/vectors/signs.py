"""Binary quantisation: one bit a value, to find which of many vectors are worth an exact look.

The bits of a question and of a vector differ in the more places the further they are apart; numpy counts them
eight bytes at a time. Of the nearest by that count the exact cosines decide, so what is lost is only a vector
whose bits mislead. (Yamada et al., "Efficient passage retrieval with hashing", 2021, do it so too.)

Of the 120 exact nearest to 60 plain-words questions .981 are found among 100,000 vectors, .984 among 300,000
and .990 among 655,000, in a quarter of the processor time of the exact scan. An HNSW graph of the 100,000
found .977 as wide as its search may get (1,024), and one of a million takes minutes to build.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.index.vectors.quantised import Codes

#: Below this the exact scan takes some 3 ms.
PAYS_ABOVE = 50_000
#: Who wants more than this gets them from the exact scan: the bits tell the nearest from the rest, no more.
MOST_NEAREST = 1_000
# How many are looked at exactly: this many times the root of how many there are.
_LOOKED_AT = 45
# Of the counts every so manieth tells where the border of those lies.
_EVERY = 16
_WORD_BITS = 64
# Vectors whose bits are set, and compared, at a time: what that takes stays in the second-level cache.
_PART, _COMPARED = 4096, 1 << 16

#: uint64 [dimension / 64, n]: of all vectors the first 64 bits, then the next.
Signs = NDArray[np.uint64]

#: numpy counts bits from 2.0 on.
COUNTS_BITS = hasattr(np, "bitwise_count")


def signs_of(codes: Codes | Floats) -> Signs:
    """The signs of vectors [n, dimension]: a bit for each value, set where it is positive."""
    n, dimension = codes.shape
    signs = np.empty((-(-dimension // _WORD_BITS), n), np.uint64)
    bits = np.zeros((min(n, _PART), 8 * len(signs)), np.uint8)
    for start in range(0, n, _PART):
        part = codes[start : start + _PART]
        bits[: len(part), : -(-dimension // 8)] = np.packbits(part > 0, axis=1)
        signs[:, start : start + _PART] = bits[: len(part)].view(np.uint64).T
    return signs


def likely(signs: Signs, query: Floats, numbers: Rows) -> Rows:
    """The positions in `numbers` of the vectors that may be among the nearest to `query`, ascending."""
    differing = _differing(signs, signs_of(query[None, :])[:, 0])
    wanted = _LOOKED_AT * len(numbers) ** 0.5
    here = differing.take(numbers)
    reached = np.cumsum(np.bincount(here[::_EVERY])) * _EVERY
    border = int(np.searchsorted(reached, wanted))
    return np.flatnonzero(here <= border).astype(np.int32)


def _differing(signs: Signs, asked: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """In how many signs each vector differs from `asked`."""
    differing = np.zeros(signs.shape[1], np.uint16)
    for start in range(0, len(differing), _COMPARED):
        part = slice(start, start + _COMPARED)
        for word, of_query in zip(signs, asked, strict=True):
            differing[part] += np.bitwise_count(word[part] ^ of_query)
    return differing
