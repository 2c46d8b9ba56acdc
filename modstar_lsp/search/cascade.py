"""The last stage: the best candidates are read together with the question.

The ranking before it knows names and words; this reads each candidate's text with the reranker's encoder and
lets every word of the question look for its like (`encoder.reranker`). Reading is bounded by time: what could
not be read keeps its place among what was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.allowance import usable_cores
from modstar_lsp.arrays import Floats
from modstar_lsp.chunking.chunk import EMBEDDED_CHARS, PATH_TAIL
from modstar_lsp.files.lines import joined
from modstar_lsp.index import StoredChunk
from modstar_lsp.search.source_lines import SourceLines

if TYPE_CHECKING:
    from modstar_lsp.encoder.reranker import Reranker
    from modstar_lsp.index.records import Cancelled
    from modstar_lsp.search.filters import Sources

Places = NDArray[np.intp]

# Candidates that are read, at the deepest exit. Of 308 questions for functions 12, 20, 30, 40 and 60 of them
# gave .534, .552, .572, .573 and .569 (MRR@10, .480 before); of whole repositories .476, .511, .522, .520 and
# .521. Read to a shallower exit first, the best half on, the same time bought less (the first reranker).
READ = 30


class Stage(NamedTuple):
    """What the last stage did.

    addends: [m], what each candidate's score gains, in standard deviations of those read; 0 for the others.
    scores: [m], how well each that was read answers by itself; the least of them for the others.
    read, wanted: how many candidates were read, and were to be.  cut: the time was up before.
    order: the candidates that a reader of the user's own read, as it ordered them (`listwise`); None without.
    note: what became of that reader in one line, "" where none was asked.
    """

    addends: Floats
    scores: Floats
    read: int
    wanted: int
    cut: bool
    order: Places | None = None
    note: str = ""

    @property
    def failure(self) -> str:
        """Why the reader of the user's own gave no order, in one line; "" when it did, or none was asked."""
        return self.note if self.order is None else ""


def read_best(
    reranker: Reranker,
    question: str,
    chunks: Sequence[StoredChunk],
    sources: Sources,
    order: Places,
    budget: float,
    cancelled: Cancelled | None = None,
) -> Stage:
    """Reads the first of `chunks` in `order` for `budget` seconds, and says what each is worth.

    sources: of their texts; a chunk whose file is gone is not read.  cancelled: asked before each text.
    """
    end = time.perf_counter() + budget
    addends, scores = np.zeros(len(chunks), np.float32), np.zeros(len(chunks), np.float32)
    asked = reranker.read_question(question)
    files = SourceLines(sources)
    candidates = [int(place) for place in order[:READ]]

    def read(place: int) -> float | None:
        """What the candidate at `place` is worth; None when the time was up before, NaN without a text."""
        text = text_to_read(chunks[place], files.of(chunks[place].path))
        if not text:
            return float("nan")
        key = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        found = reranker.kept.get(key)
        if found is None:
            if time.perf_counter() > end or (cancelled is not None and cancelled()):
                return None
            found = reranker.read(text)
            reranker.kept.put(key, found)
        return reranker.score(asked, found)

    with ThreadPoolExecutor(usable_cores()) as pool:
        worth = list(pool.map(read, candidates))
    values = {
        place: one for place, one in zip(candidates, worth, strict=True) if one is not None and one == one
    }
    if values:
        places, found = list(values), np.array(list(values.values()), np.float32)
        addends[places] = (found - found.mean()) / max(float(found.std()), 1e-6)
        scores[:] = found.min()
        scores[places] = found
    return Stage(addends, scores, len(values), len(candidates), None in worth)


def text_to_read(chunk: StoredChunk, lines: Sequence[str]) -> str:
    """What is read of a chunk: its place, its name, and its lines; "" where there are none any more."""
    text = joined(lines, chunk.start_line, chunk.end_line)
    if not text.strip():
        return ""
    header = "/".join(chunk.path.split("/")[-PATH_TAIL:])
    qualified = ".".join(part for part in (chunk.scope, chunk.name) if part)
    return f"{header} {qualified}\n{text[:EMBEDDED_CHARS]}"
