"""The one object that turns text into vectors, at any exit of a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from modstar_lsp.encoder.bundle import Bundle
from modstar_lsp.encoder.dictionary import in_english
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import BundleError, QueryError
from modstar_lsp.startup import require_room

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modstar_lsp.encoder.gpu.use import Gpu
    from modstar_lsp.encoder.graph import GraphExit
    from modstar_lsp.encoder.reranker import Reranker
    from modstar_lsp.encoder.static import StaticExit

Role = Literal["code", "query"]

# So many texts are the CPU's: a second's work of a core, which a GPU needs to start. So a question never
# waits for one, and of a server's processes the one that indexes holds its memory alone.
FEW_TEXTS = 64
# Texts for one call of `encode` by who has many: enough for each core, and some batches of a GPU.
TEXTS_A_CALL, TEXTS_A_CALL_ON_GPU = 32, 1024


class Encoder:
    """Encodes texts at the exits of `bundle`; all exits share one space. Safe to use from several threads.

    Exit 0 reads the whole text as a bag of words (no length limit, no prompt). A deeper exit reads its first
    `bundle.max_tokens` tokens behind the prompt of its role, and adds to exit 0 where it is residual.
    `threads` bounds the cores that the deeper exits use (None: all that the process may use). At the deepest
    exit many texts go to a GPU where there is one that works; `notice` says when it fails. `dimension` is
    how many values its rows have, the first ones of unit length again (None: as many as an index keeps).
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, dimension: int | None = None) -> None:
        self.bundle = bundle
        self.dimension = dimension or bundle.indexed
        self._threads = threads
        self._static: StaticExit | None = None
        self._check: Thread | None = None
        self._graphs: dict[int, GraphExit] = {}
        self._gpu: Gpu | None = None
        self._reranker: Reranker | None = None
        self._lock = Lock()

    def prepare(self) -> None:
        """Starts checking the table of exit 0 beside whatever comes next; if it is bad, its first use raises.

        The digest is computed without holding the interpreter: on a second core that hides 5 ms of a query.
        """
        self._check = Thread(target=self._check_table, name="modstar-check", daemon=True)
        self._check.start()

    def _check_table(self) -> None:
        with suppress(BundleError):
            self.bundle.verified(self.bundle.static.table)

    def encode(self, texts: Sequence[str], depth: int = 0, role: Role = "code") -> NDArray[np.float32]:
        """Unit rows [len(texts), dimension] at depth `depth`; an empty text gives a zero row.

        Questions (role "query") in a language that there is a dictionary for are read in English.
        """
        if depth not in (candidate.depth for candidate in self.bundle.exits):
            have = ", ".join(str(candidate.depth) for candidate in self.bundle.exits)
            raise QueryError(f"this model has no exit {depth}; choose one of {have}")
        if role == "query":
            texts = [in_english(text) for text in texts]
        if depth == 0:
            return self.encode_words(_counted(texts))
        entry = self.bundle.exit(depth)
        bags = self._exit_0().encode_words(_counted(texts)) if entry.residual else None
        if bags is not None and role == "query":
            bags *= entry.query_ground
        rows = self._rows(depth, texts, self.bundle.prompts[role], bags)
        if rows.shape[1] == self.dimension:
            return rows
        from modstar_lsp.encoder.graph import unit_rows

        return unit_rows(rows[:, : self.dimension])

    def texts_a_call(self, depth: int, texts: int) -> int:
        """How many of so many texts are best encoded in one call."""
        return TEXTS_A_CALL if self._gpu_for(depth, texts) is None else TEXTS_A_CALL_ON_GPU

    @property
    def notice(self) -> str:
        """One line for the user once a GPU could not be used, else ""."""
        return "" if self._gpu is None else self._gpu.notice

    def try_provider(self) -> str:
        """What encodes many texts at the deepest exit, as `MODSTAR_PROVIDER` names it: "cuda", "cpu".

        A GPU is tried, which takes seconds; `notice` says what is wrong with it. Raises ProviderError.
        """
        depth, texts = self.bundle.exits[-1].depth, ["def read_json(path): ..."] * (FEW_TEXTS + 1)
        if depth == 0:
            return "cpu"
        if self._gpu_for(depth, len(texts)) is not None:
            self.encode(texts, depth)
        assert self._gpu is not None
        return self._gpu.provider.name

    def release_gpu(self) -> None:
        """Lets go of a GPU's memory, for who has nothing more to encode; the next use starts it again."""
        if self._gpu is not None:
            self._gpu.release()

    def encode_words(self, counts: Sequence[Mapping[str, int]]) -> NDArray[np.float32]:
        """Exit 0 straight from word counts: equal to `encode(texts, 0)` for the counts of `split_words`."""
        return self._exit_0().encode_words(counts, self.dimension)

    def pieces(self, counts: Sequence[Mapping[str, int]]) -> list[NDArray[np.uint16]]:
        """The distinct pieces of the words of each text, ascending: what `directions` takes."""
        return self._exit_0().pieces(counts)

    def word_pieces(self, word: str) -> list[int]:
        """The pieces of one lower-case word; none when exit 0 cannot compose it."""
        return self._exit_0().split(word)

    def directions(self, pieces: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Exit 0's rows of `pieces`: whole numbers [n, dimension], and [n] that scale them to unit length."""
        return self._exit_0().directions(pieces, self.dimension)

    def reranker(self) -> Reranker | None:
        """The encoder of the last stage, loaded at its first use; None where the bundle has none.

        Raises BundleError when its files are damaged, ModstarError when there is too little memory for it.
        """
        with self._lock:
            if self._reranker is None and self.bundle.reranker is not None:
                require_room()
                from modstar_lsp.encoder.reranker import Reranker

                self._reranker = Reranker.of_bundle(self.bundle)
            return self._reranker

    def _exit_0(self) -> StaticExit:
        with self._lock:
            if self._static is None:
                from modstar_lsp.encoder.static import StaticExit

                if self._check is not None:
                    self._check.join()
                self._static = StaticExit(self.bundle)
            return self._static

    def _rows(
        self, depth: int, texts: Sequence[str], prompt: str, bags: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        gpu = self._gpu_for(depth, len(texts))
        if gpu is None:
            return self._graph(depth).encode(texts, prompt, bags)
        return gpu.encode(
            texts, prompt, bags, lambda some, theirs: self._graph(depth).encode(some, prompt, theirs)
        )

    def _gpu_for(self, depth: int, texts: int) -> Gpu | None:
        """The GPU when so many texts are worth its start, and there is one that works."""
        if texts <= FEW_TEXTS or depth == 0 or depth != self.bundle.exits[-1].depth:
            return None
        with self._lock:
            if self._gpu is None:
                from modstar_lsp.encoder.gpu.use import Gpu

                self._gpu = Gpu(self.bundle)
        return self._gpu if self._gpu.is_there else None

    def _graph(self, depth: int) -> GraphExit:
        with self._lock:
            if depth not in self._graphs:
                require_room()
                from modstar_lsp.encoder.graph import GraphExit

                self._graphs[depth] = GraphExit(self.bundle, self.bundle.exit(depth), threads=self._threads)
            return self._graphs[depth]


def _counted(texts: Sequence[str]) -> list[Counter[str]]:
    return [Counter(split_words(text)) for text in texts]
