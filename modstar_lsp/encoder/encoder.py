"""The one object that turns text into vectors, at any exit of a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.encoder.bundle import Bundle
from modstar_lsp.encoder.static import StaticExit
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError

if TYPE_CHECKING:
    from modstar_lsp.encoder.graph import GraphExit

Role = Literal["code", "query"]


class Encoder:
    """Encodes texts at the exits of `bundle`; all exits share one space. Safe to use from several threads.

    Exit 0 reads the whole text as a bag of words (no length limit, no prompt). A deeper exit reads its first
    `bundle.max_tokens` tokens behind the prompt of its role. `threads` bounds the cores that the deeper exits
    use (None: all that the process may use).
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self.bundle = bundle
        self._threads = threads
        self._static: StaticExit | None = None
        self._graphs: dict[int, GraphExit] = {}
        self._lock = Lock()

    def encode(self, texts: Sequence[str], exit: int = 0, role: Role = "code") -> NDArray[np.float32]:
        """Unit rows [len(texts), dimension] at depth `exit`; an empty text gives a zero row."""
        if exit not in (candidate.depth for candidate in self.bundle.exits):
            have = ", ".join(str(candidate.depth) for candidate in self.bundle.exits)
            raise QueryError(f"this model has no exit {exit}; choose one of {have}")
        if exit == 0:
            return self.encode_words([Counter(split_words(text)) for text in texts])
        return self._graph(exit).encode(texts, self.bundle.prompts[role])

    def encode_words(self, counts: Sequence[Mapping[str, int]]) -> NDArray[np.float32]:
        """Exit 0 straight from word counts: equal to `encode(texts, 0)` for the counts of `split_words`."""
        with self._lock:
            if self._static is None:
                self._static = StaticExit(self.bundle)
        return self._static.encode_words(counts)

    def _graph(self, depth: int) -> GraphExit:
        with self._lock:
            if depth not in self._graphs:
                from modstar_lsp.encoder.graph import GraphExit

                self._graphs[depth] = GraphExit.at(self.bundle, depth, self._threads)
            return self._graphs[depth]
