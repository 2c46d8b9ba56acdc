"""A plain BM25 over split words: the yardstick beside every result.

It knows nothing of the product's ranking and is not tuned with it, so that the row "BM25" means the same
thing in every dated result. Stop words are kept, and a word counts once however often the query repeats it:
so were the reference figures of the development sets made, and a query that is code is hurt by the other
way.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.encoder.words import split_words

# The textbook's values; the reference figures of the development sets were made with them.
K1 = 1.2
B = 0.75

_IDENTIFIER = re.compile(r"[^\W\d]\w*")


def words_and_identifiers(text: str) -> list[str]:
    """The split words of `text`, and each identifier of several words once more as a whole."""
    whole = [name.lower() for name in _IDENTIFIER.findall(text) if len(split_words(name)) > 1]
    return split_words(text) + whole


class PlainBM25:
    """BM25 (Robertson/Lucene form) over a fixed collection of texts."""

    def __init__(
        self,
        texts: Iterable[str],
        *,
        words: Callable[[str], list[str]] = split_words,
        k1: float = K1,
        b: float = B,
    ) -> None:
        self._words = words
        rows: dict[str, list[int]] = {}
        counts: dict[str, list[int]] = {}
        lengths: list[int] = []
        for row, text in enumerate(texts):
            terms = Counter(words(text))
            lengths.append(terms.total())
            for term, count in terms.items():
                rows.setdefault(term, []).append(row)
                counts.setdefault(term, []).append(count)
        self.n = len(lengths)
        length = np.asarray(lengths, dtype=np.float32)
        average = float(length.mean()) if self.n else 1.0
        damping = k1 * (1 - b + b * length / (average or 1.0))
        self._postings: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}
        for term, found in rows.items():
            at = np.asarray(found, dtype=np.int32)
            tf = np.asarray(counts[term], dtype=np.float32)
            rarity = math.log(1 + (self.n - len(at) + 0.5) / (len(at) + 0.5))
            self._postings[term] = (at, (rarity * (k1 + 1) * tf / (tf + damping[at])).astype(np.float32))

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every text for `query`; 0 where they share no word."""
        total = np.zeros(self.n, dtype=np.float32)
        for term in dict.fromkeys(self._words(query)):
            if term in self._postings:
                rows, weights = self._postings[term]
                total[rows] += weights
        return total

    def matrix(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Scores of all texts for all queries, [queries, texts]."""
        return (
            np.stack([self.scores(query) for query in queries])
            if queries
            else np.zeros((0, self.n), np.float32)
        )
