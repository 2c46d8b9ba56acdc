"""What shares text with an evaluation set stays out of training.

Two texts share what has SHARED_SHINGLES runs of SHINGLE words in common.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from modstar_lsp.encoder.words import split_words
from train.data.lines import read_lines

SHINGLE = 20
SHARED_SHINGLES = 3
# Words whose values are kept at hand; then the memory is given back (about 60 MB).
_MOST_WORDS = 500_000


class Shingles:
    """Sixty-four-bit fingerprints of every run of SHINGLE words."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._rng = np.random.default_rng(20)
        self._powers = self._rng.integers(1, 2**63, SHINGLE, dtype=np.uint64) | np.uint64(1)

    def words(self, text: str) -> np.ndarray:
        """A 64-bit value for each word of a text, in order."""
        if len(self._values) > _MOST_WORDS:
            self._values.clear()
        return np.asarray([self._value(word) for word in split_words(text)], dtype=np.uint64)

    def of(self, text: str) -> np.ndarray:
        """The distinct fingerprints of one text."""
        return self.of_words(self.words(text))

    def of_words(self, values: np.ndarray) -> np.ndarray:
        """The distinct fingerprints of a sequence of word values."""
        if len(values) < SHINGLE:
            return np.empty(0, dtype=np.uint64)
        windows = np.lib.stride_tricks.sliding_window_view(values, SHINGLE)
        return np.unique((windows * self._powers).sum(axis=1, dtype=np.uint64))

    def _value(self, word: str) -> int:
        value = self._values.get(word)
        if value is None:
            value = self._values[word] = int.from_bytes(
                hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big"
            )
        return value


class EvaluationTexts:
    """The shingles of every query and document of some evaluation sets."""

    def __init__(self, shingles: Shingles, known: np.ndarray) -> None:
        self.shingles = shingles
        self._known = known

    @classmethod
    def read(cls, root: Path) -> EvaluationTexts:
        """The sets are the folders under `root` that hold queries.jsonl and corpus.jsonl."""
        shingles = Shingles()
        seen: list[np.ndarray] = []
        for file in sorted([*root.glob("*/queries.jsonl"), *root.glob("*/corpus.jsonl")]):
            for line in read_lines(file):
                row = json.loads(line)
                seen.extend(shingles.of(row[key]) for key in ("text", "code") if row.get(key))
        return cls(shingles, np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.uint64))

    def shares(self, *texts: str) -> bool:
        """Whether the texts of one pair together share too much with the sets."""
        return self.shares_words(*(self.shingles.words(text) for text in texts))

    def shares_words(self, *texts: np.ndarray) -> bool:
        """The same for the word values of the texts."""
        return sum(self._shared(self.shingles.of_words(words)) for words in texts) >= SHARED_SHINGLES

    def _shared(self, found: np.ndarray) -> int:
        if not len(found) or not len(self._known):
            return 0
        at = np.minimum(np.searchsorted(self._known, found), len(self._known) - 1)
        return int((self._known[at] == found).sum())
