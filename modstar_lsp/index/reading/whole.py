"""What a view whose rows are all that there is knows of its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.reading.view import Corpus, Held
from modstar_lsp.index.vectors.quantised import Floats, Rows

# Below this share of all, rows are sorted quicker than marked among the others.
_FEW_ROWS = 1 / 16


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
            in_files = self.file_of.take(rows)  # ascending, like the rows
            starts = np.flatnonzero(np.concatenate(([True], in_files[1:] != in_files[:-1])))
            files = in_files[starts]
            file_counts = np.add.reduceat(counts, starts, dtype=np.float64).astype(np.float32)
            yield word, Held(rows, counts, files, file_counts, rows.size, files.size)


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
        rows = self._union([some for some, _ in parts])
        totals = self._totals[rows]
        self._totals[rows] = 0
        return rows, totals

    def _union(self, parts: Sequence[Rows]) -> NDArray[np.integer]:
        """The rows in any of `parts`, ascending."""
        if sum(map(len, parts)) < _FEW_ROWS * len(self._touched):
            rows = np.sort(np.concatenate(parts))
            return rows[np.concatenate(([True], rows[1:] != rows[:-1]))]
        for some in parts:
            self._touched[some] = True
        found = np.flatnonzero(self._touched)
        self._touched[found] = False
        return found


def _mean(lengths: Floats) -> float:
    return max(float(lengths.mean()), 1e-6) if lengths.size else 1e-6
