"""What searching reads: a `Snapshot`, or one with unsaved documents over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modstar_lsp.arrays import Floats, Rows
    from modstar_lsp.index.records import StoredChunk


class View(Protocol):
    """Chunks as rows 0..n-1, by path, then line. See `Snapshot` for what each part promises."""

    n: int
    paths: list[str]
    languages: list[str]
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
