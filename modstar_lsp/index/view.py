"""What searching reads: a `Snapshot`, or one with drafts laid over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modstar_lsp.index.snapshot import Floats, Rows, StoredChunk


class View(Protocol):
    """Chunks as rows 0..n-1, by path, then line. See `Snapshot` for what each part promises."""

    n: int
    paths: list[str]
    languages: list[str]
    lengths: Floats
    file_lengths: Floats
    file_of: Rows

    @property
    def coverage(self) -> float: ...

    @property
    def exits(self) -> NDArray[np.uint8]: ...

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]: ...

    def defining(self, names: Iterable[str]) -> dict[str, Rows]: ...

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]: ...

    def cosines(self, query: Floats, rows: Rows) -> Floats: ...

    def chunks(self, rows: Iterable[int]) -> Sequence[StoredChunk]: ...
