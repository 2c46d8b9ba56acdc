"""What searching reads: a `Snapshot`, one with unsaved documents over it, or what a shared store found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modstar_lsp.arrays import Floats, Rows
    from modstar_lsp.index.records import StoredChunk


class Corpus(NamedTuple):
    """All of what a view may hold only a part. chunks, files: how many.  chunk_terms, file_terms: terms
    of one, on average.
    """

    chunks: int
    files: int
    chunk_terms: float
    file_terms: float


class Held(NamedTuple):
    """Where a word stands. rows, files: of the view, ascending.  counts, file_counts: how often in each.

    in_chunks, in_files: in how many it stands in all.
    """

    rows: NDArray[np.integer]
    counts: Floats
    files: NDArray[np.integer]
    file_counts: Floats
    in_chunks: int
    in_files: int


class View(Protocol):
    """Chunks as rows 0..n-1, by path, then line. See `Snapshot` for what each part promises."""

    n: int
    paths: Sequence[str]
    languages: Sequence[str]
    lengths: Floats
    file_lengths: Floats
    file_of: Rows

    @property
    def indexed_share(self) -> float:
        """The share of the workspace's files that had been read: below 1 during the first indexing."""

    @property
    def exits(self) -> NDArray[np.uint8]:
        """uint8 [n]: the depth of the exit at which each row's vector was made."""

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
        """For each of `terms` that a chunk holds: its rows, ascending, and how often each holds it."""

    @property
    def corpus(self) -> Corpus:
        """What the rows are a part of, or all of."""

    def held(self, words: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Held]]:
        """Where each of `words` stands, but for those that stand nowhere.

        They are given by their forms, with what one of each counts.
        """

    def defining(self, names: Iterable[str]) -> dict[str, Rows]:
        """The rows that define each of `names`, whole or as the last component; keys in lower case."""

    def names(self, least: int, most: int) -> list[str]:
        """The names that are defined, in lower case, of `least` to `most` characters."""

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """The `k` rows, of `rows` if given, with the greatest cosines to `query`, best first."""

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """float32 [len(rows)]: the cosine of `query`, a unit vector, with each of `rows`."""

    def chunks(self, rows: Iterable[int]) -> Sequence[StoredChunk]:
        """What is known about each of `rows`, in their order."""
