"""The functions of a tree that are like a given one, for the writer to tell apart or to name as well."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from modstar_lsp.encoder.words import split_words
from train.data.questions.packages import Function

# Rarest words of a function by which its rivals are looked for.
_WORDS = 40
# A name says more than a word of the body.
_NAME_WEIGHT = 3
# Shorter ones hand on or only declare.
_FEWEST_LINES = 3


class Rivals:
    """All functions of one tree by their words, rare ones weighed more (cosine of idf)."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self._functions = functions
        bags = [_bag(function) for function in functions]
        frequency = Counter(word for bag in bags for word in bag)
        self._idf = {word: math.log(1 + len(bags) / count) for word, count in frequency.items()}
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, bag in enumerate(bags):
            weights = {word: count * self._idf[word] for word, count in bag.items()}
            norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
            for word, weight in weights.items():
                self._postings[word].append((number, weight / norm))

    def of(self, function: Function, most: int = 3) -> list[Function]:
        """The `most` functions most alike, itself left out, best first."""
        bag = {word: count * self._idf.get(word, 0.0) for word, count in _bag(function).items()}
        scores: defaultdict[int, float] = defaultdict(float)
        for word in sorted(bag, key=lambda word: (-bag[word], word))[:_WORDS]:
            for number, weight in self._postings.get(word, ()):
                scores[number] += bag[word] * weight
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        alike = (self._functions[number] for number in ranked)
        others = (
            one for one in alike if one.place != function.place and one.end - one.start >= _FEWEST_LINES
        )
        return list(islice(others, most))


def _bag(function: Function) -> dict[str, float]:
    """1 + log of how often each word stands in the code; those of the name count more."""
    counts = Counter(word for word in split_words(function.code) if len(word) > 1)
    for word in split_words(function.name.rpartition(".")[2]):
        counts[word] += _NAME_WEIGHT
    return {word: 1 + math.log(count) for word, count in counts.items()}
