"""How scores are made of vectors and words, the same wherever a model is measured."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float32]

# One part of BM25 to this: best of .1 to 1 for every encoder measured on (docstring, function) pairs.
BM25_WEIGHT = 0.3


def standardised(scores: Scores) -> Scores:
    """z-scores of each row; a row that is the same throughout says nothing and becomes 0."""
    spread = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


def fused(exit_scores: Scores, bm25_scores: Scores, weight: float = BM25_WEIGHT) -> Scores:
    """Weighted sum of z-scores: 1 for the exit, `weight` for BM25."""
    return standardised(exit_scores) + weight * standardised(bm25_scores)


def cut(rows: Scores, width: int) -> Scores:
    """The first `width` values of every row, of unit length again; the rows themselves when it is 0."""
    short = rows[:, :width]
    return short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-9) if width else rows
