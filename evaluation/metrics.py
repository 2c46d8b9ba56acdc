"""Ranking metrics as the literature defines them, and bootstrap intervals around their means.

Every metric takes the *gains* of the ranked results, one row per query in rank order (0 = not relevant, 1 =
relevant, higher = graded), and gives one value per query, so that two systems can be compared query by query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# 2,000 resamples put the ends of a 95 % interval within about .001 of where 20,000 put them (n = 300).
RESAMPLES = 2_000
LEVEL = 0.95
SEED = 20_240
# The .975 quantile of Student's t with 1, 2, .. 9 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
# Resampling draws at most this many indices at once: 8 bytes each, so some 32 MB.
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def as_gap(self, digits: int = 3) -> str:
        """A difference with its sign, its mean to so many digits; a star where it excludes zero."""
        star = " *" if self.excludes_zero() else ""
        return f"{self.mean:+.{digits}f} [{self.low:+.3f}, {self.high:+.3f}]{star}"

    def excludes_zero(self) -> bool:
        """Whether a difference with this interval is told from none."""
        return self.low > 0 or self.high < 0


def reciprocal_rank(gains: Floats, k: int) -> Floats:
    """1 / rank of the first relevant result within the first `k`, else 0. The mean of it is MRR@k."""
    relevant = _first(gains, k) > 0
    if relevant.shape[1] == 0:
        return np.zeros(len(relevant))
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1.0), 0.0)


def ndcg(gains: Floats, ideal: Floats, k: int) -> Floats:
    """Discounted cumulative gain at `k` over that of the best possible order.

    `ideal` holds, per query, the gains of all its relevant items in falling order (padded with 0). Gains
    count as they are (trec_eval's form): give 0 and 1 for the binary metric, the grades for the graded one.
    """
    best = _dcg(ideal, k)
    return np.divide(_dcg(gains, k), best, out=np.zeros(len(best)), where=best > 0)


def recall(gains: Floats, relevant: Floats, k: int) -> Floats:
    """Share of a query's `relevant` items (their number, per query) found within the first `k`."""
    found = (_first(gains, k) > 0).sum(axis=1).astype(np.float64)
    return np.divide(found, relevant, out=np.zeros(len(found)), where=relevant > 0)


def accuracy(gains: Floats, k: int) -> Floats:
    """1 where a relevant result is within the first `k`, else 0 (also called success@k or hit@k)."""
    return np.asarray((_first(gains, k) > 0).any(axis=1), dtype=np.float64)


def average_precision_at_r(ranks: NDArray[np.int64]) -> float:
    """MAP@R of one query (Musgrave et al. 2020) by the ranks, from 1 and rising, of its R relevant items.

    1/R times the sum, over those within the first R, of the precision at their rank.
    """
    r = len(ranks)
    found = ranks[ranks <= r]
    return float((np.arange(1, len(found) + 1) / found).sum() / r) if r else 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """How well the positive pairs were told: precision, recall, and F1, their harmonic mean."""

    precision: float
    recall: float
    f1: float


def detection(told: NDArray[np.bool_], true: NDArray[np.bool_]) -> Detection:
    """Of what was told [n] and what is true [n]; 0 where nothing was told or nothing is true."""
    right = float(np.count_nonzero(told & true))
    precision = right / max(int(np.count_nonzero(told)), 1)
    found = right / max(int(np.count_nonzero(true)), 1)
    both = precision + found
    return Detection(precision, found, 2 * precision * found / both if both else 0.0)


def best_threshold(scores: Floats, true: NDArray[np.bool_]) -> float:
    """The score from which on a pair is called true so that F1 over `true` [n] is highest."""
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(true[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + np.count_nonzero(true))
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0  # equal scores cannot be told apart
    return float(ranked[f1.argmax()])


def first_ranks(gains: Floats) -> list[int | None]:
    """1-based rank of the first relevant result of each query, None where there is none."""
    relevant = np.atleast_2d(gains) > 0
    return [int(row.argmax()) + 1 if row.any() else None for row in relevant]


def bootstrap_means(values: Floats, *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Means of `resamples` samples of the queries, drawn with replacement; a seed always draws the same."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        return np.zeros(resamples)
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // len(values))
    means = [
        values[rng.integers(0, len(values), (min(rows, resamples - start), len(values)))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(means)


def interval(
    values: Floats, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> Interval:
    """Mean of `values` with its percentile bootstrap interval over queries."""
    values = np.asarray(values, dtype=np.float64)
    return _around(
        float(values.mean()) if len(values) else 0.0,
        bootstrap_means(values, resamples=resamples, seed=seed),
        level,
    )


def paired_interval(
    ours: Floats, theirs: Floats, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> Interval:
    """Mean of `ours - theirs` over the same queries, with its interval: narrower than the two apart."""
    if len(ours) != len(theirs):
        raise ValueError(f"paired values of {len(ours)} and {len(theirs)} queries")
    return interval(np.asarray(ours) - np.asarray(theirs), resamples=resamples, seed=seed, level=level)


def interval_of_means(
    sets: list[Floats], *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> Interval:
    """The mean over sets of their means (each set counts once), queries resampled within each set."""
    if not sets:
        return Interval(0.0, 0.0, 0.0)
    drawn = [bootstrap_means(values, resamples=resamples, seed=seed + i) for i, values in enumerate(sets)]
    return _around(float(np.mean([np.mean(values) for values in sets])), np.mean(drawn, axis=0), level)


def interval_of_runs(values: Floats) -> Interval:
    """Mean of what 2 to 10 runs with different seeds gave, with its 95 % interval by Student's t."""
    half = STUDENT[len(values) - 2] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    mean = float(np.mean(values))
    return Interval(mean, mean - half, mean + half)


def _around(mean: float, means: Floats, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def _first(gains: Floats, k: int) -> Floats:
    return np.atleast_2d(np.asarray(gains, dtype=np.float64))[:, :k]


def _dcg(gains: Floats, k: int) -> Floats:
    top = _first(gains, k)
    return top @ (1.0 / np.log2(np.arange(2, top.shape[1] + 2)))
