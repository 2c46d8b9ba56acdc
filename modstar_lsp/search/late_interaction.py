"""Late interaction at exit 0: each word of a question meets its nearest word of a chunk.

Khattab and Zaharia, "ColBERT" (2020), with the rows of exit 0's table in place of a transformer's token
states. A sum of words says what a chunk is about; this says how much of the question it speaks of, whatever
words it takes. The chunk's words were kept when it was indexed (`StoredChunk.pieces`): nothing is read or
encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modstar_lsp.arrays import Floats

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder


def late_interaction(encoder: Encoder, idf: Mapping[str, float], chunks: Sequence[bytes]) -> Floats:
    """How near each chunk's words come to those of a question: float32 [len(chunks)], in -1..1.

    idf: the words of the question and their weights.  chunks: the pieces of each, uint16.
    It is the mean over the pieces of the question, weighed by `idf`, of the greatest cosine to a piece of the
    chunk. A word of several pieces divides its weight among them; one that cannot be composed counts nothing.
    """
    asked: list[int] = []
    weights: list[float] = []
    for word, weight in idf.items():
        if pieces := encoder.word_pieces(word):
            asked += pieces
            weights += [weight / len(pieces)] * len(pieces)
    held = np.frombuffer(b"".join(chunks), np.uint16)
    out = np.zeros(len(chunks), np.float32)
    if not asked or not held.size:
        return out
    distinct, column = np.unique(held, return_inverse=True)
    rows, scales = encoder.directions(distinct)
    asked_rows, asked_scales = encoder.directions(np.array(asked))
    share = np.array(weights, np.float32) / np.float32(sum(weights))
    # The products are whole numbers, so that a chunk's value does not depend on what stands beside it.
    cosines = (asked_rows @ rows.T) * scales
    sizes = np.array([len(pieces) // held.itemsize for pieces in chunks])
    filled = sizes > 0
    starts = (np.cumsum(sizes) - sizes)[filled]
    for row, weight in zip(cosines, share * asked_scales, strict=True):
        out[filled] += weight * np.maximum.reduceat(row[column], starts)
    return out
