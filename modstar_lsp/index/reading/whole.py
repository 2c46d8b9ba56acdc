"""What a view whose rows are all that there is knows of its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.reading.view import Corpus, Held
from modstar_lsp.index.vectors.quantised import Floats, Rows


class Whole:
    """The part of a `View` that follows from the others where no chunk is left out."""

    n: int
    paths: Sequence[str]
    lengths: Floats
    file_lengths: Floats
    file_of: Rows

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
        """See `View`."""
        raise NotImplementedError

    @property
    def corpus(self) -> Corpus:
        """See `View`."""
        return Corpus(self.n, len(self.paths), _mean(self.lengths), _mean(self.file_lengths))

    def held(self, words: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Held]]:
        """See `View`."""
        found = self.postings(dict.fromkeys(form for forms in words.values() for form in forms))
        sums = _Sums(self.n)
        for word, forms in words.items():
            parts = [
                (found[form][0], weight * found[form][1]) for form, weight in forms.items() if form in found
            ]
            if not parts:
                continue
            rows, counts = sums.of(parts)
            in_files = np.bincount(self.file_of[rows], counts, len(self.paths)).astype(np.float32)
            files = np.flatnonzero(in_files)
            yield word, Held(rows, counts, files, in_files[files], rows.size, files.size)


class _Sums:
    """Adds up some rows' numbers in columns that are used again: most rows hold none of a word's forms."""

    def __init__(self, n: int) -> None:
        self._totals = np.zeros(n, np.float32)
        self._touched = np.zeros(n, bool)

    def of(self, parts: Sequence[tuple[Rows, Floats]]) -> tuple[NDArray[np.integer], Floats]:
        """(the rows in `parts`, ascending, the total of each)."""
        if len(parts) == 1:
            return parts[0]
        for some, values in parts:
            self._totals[some] += values
            self._touched[some] = True
        rows = np.flatnonzero(self._touched)
        totals = self._totals[rows]
        self._totals[rows] = 0
        self._touched[rows] = False
        return rows, totals


def _mean(lengths: Floats) -> float:
    return max(float(lengths.mean()), 1e-6) if lengths.size else 1e-6
