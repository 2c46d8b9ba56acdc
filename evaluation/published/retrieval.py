"""What all sets of questions and documents become, and how an answer to them is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evaluation import metrics
from evaluation.metrics import Floats
from evaluation.sets import SetError

# Scores of all documents for some queries: [len(queries), documents].
Scorer: TypeAlias = Callable[[Sequence[int]], NDArray[np.float32]]

# As in the code of GraphCodeBERT and UniXcoder: an answer that is not among so many counts as not found.
MRR_CUT = 1000
K = 10
# Queries scored at once: 64 rows of 50,000 documents are 13 MB.
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Questions, documents, and for each question {row of a document that answers it: grade}.

    language: of the code, "" where it is not told or there are several. code_asks: the questions are code.
    among_themselves: the questions are the documents, in the same order, and none finds itself, though
    `relevant` may name it.
    """

    name: str
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    relevant: tuple[Mapping[int, int], ...]
    language: str = ""
    code_asks: bool = False
    among_themselves: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> RetrievalSet:
        """This set; SetError when there is nothing to ask or to find."""
        if not self.queries or not self.documents:
            have = f"{len(self.queries)} questions that have an answer and {len(self.documents)} documents"
            raise SetError(f"{self.name}: {have}")
        return self


def score(retrieval: RetrievalSet, scorer: Scorer) -> dict[str, Floats]:
    """A value a question of MRR, MRR@10, nDCG@10, recall@1, recall@10; MAP@R where code asks among itself.

    Of documents with one score those that answer come last, so that a scorer that says nothing gets nothing
    (the order of CodeSearchNet's own evaluation).
    """
    n = len(retrieval.queries)
    first, precision = np.zeros(n), np.zeros(n)
    gains, ideal, count = np.zeros((n, K)), np.zeros((n, K)), np.zeros(n)
    for at in range(0, n, _BLOCK):
        asked = range(at, min(at + _BLOCK, n))
        for query, line in zip(asked, scorer(asked), strict=True):
            grades = retrieval.relevant[query]
            itself = query if retrieval.among_themselves else None
            rows, ranks = relevant_ranks(line, [row for row in grades if row != itself], itself)
            found = np.asarray([grades[row] for row in rows], dtype=np.float64)
            shown = ranks <= K
            first[query] = 1 / ranks[0] if ranks[0] <= MRR_CUT else 0.0
            precision[query] = metrics.average_precision_at_r(ranks)
            gains[query, ranks[shown] - 1] = found[shown]
            best = np.sort(found)[::-1][:K]
            ideal[query, : len(best)] = best
            count[query] = len(found)
    values = {
        "MRR": first,
        "MRR@10": metrics.reciprocal_rank(gains, K),
        "nDCG@10": metrics.ndcg(gains, ideal, K),
        "recall@1": metrics.recall(gains, np.minimum(count, 1), 1),
        "recall@10": metrics.recall(gains, count, K),
    }
    return {"MAP@R": precision} | values if retrieval.among_themselves else values


def relevant_ranks(
    scores: NDArray[np.float32], relevant: Sequence[int], itself: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the relevant rows, best first; their ranks from 1) among all rows but `itself`.

    A document that does not answer and has the same score stands before one that does.
    """
    rows = np.asarray(relevant, dtype=np.int64)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    rest = np.ones(len(scores), dtype=bool)
    rest[rows] = False
    if itself is not None:
        rest[itself] = False
    others = scores[rest]
    if len(rows) == 1:
        before = np.asarray([np.count_nonzero(others >= scores[rows[0]])])
    else:
        before = len(others) - np.searchsorted(np.sort(others), scores[rows], side="left")
    return rows, before + np.arange(1, len(rows) + 1)


def pools(retrieval: RetrievalSet, size: int, seed: int = 0) -> Iterator[RetrievalSet]:
    """The set in pools of `size` questions and their answers alone: each among `size` - 1 distractors.

    As CodeSearchNet's own evaluation draws them: shuffled by numpy's seed 0, in the order of the files; the
    last pool is left out when it is not full, and a smaller set is one pool. Every question has one answer.
    """
    order = np.arange(len(retrieval.queries))
    np.random.RandomState(seed).shuffle(order)
    size = min(size, len(order))
    for at in range(0, len(order) - size + 1, size):
        asked = order[at : at + size]
        yield replace(
            retrieval,
            queries=tuple(retrieval.queries[row] for row in asked),
            documents=tuple(retrieval.documents[next(iter(retrieval.relevant[row]))] for row in asked),
            relevant=tuple({place: 1} for place in range(size)),
        )
