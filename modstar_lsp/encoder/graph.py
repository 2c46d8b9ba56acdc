"""The deeper exits: ONNX graphs in onnxruntime.

On a CPU texts go through the graph one at a time from several threads: as fast as batches once nothing is
padded, and an int8 vector then never depends on what else happened to be in its batch. `gpu/` has batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.allowance import usable_cores
from modstar_lsp.encoder.bundle import Bundle, Exit
from modstar_lsp.encoder.runtime import expect_inputs, in_a_line, open_session
from modstar_lsp.encoder.runtime import onnxruntime as ort
from modstar_lsp.encoder.tokens import open_tokenizer
from modstar_lsp.errors import BundleError

# Longer texts are cut before they reach the tokenizer: no text of code spends this many characters on a
# token, and tokenising a megabyte to keep 512 tokens would cost a second.
CHARS_PER_TOKEN = 48


class GraphExit:
    """One deeper exit of a bundle, on the CPU. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, entry: Exit, *, threads: int | None = None) -> None:
        self.dimension = bundle.dimension
        self._threads = threads or usable_cores()
        self._max_tokens = bundle.max_tokens
        self._max_chars = bundle.max_tokens * CHARS_PER_TOKEN
        self._session = self._open(bundle, entry)
        self._tokenizer = open_tokenizer(bundle.verified(bundle.tokenizer))
        self._paired = bundle.paired_prompts

    def encode(
        self, texts: Sequence[str], prompt: str = "", bags: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Unit rows for `texts`; an empty text gives a zero row. bags: exit 0's rows, for a residual exit."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        wanted = [index for index, text in enumerate(texts) if text and not text.isspace()]
        tokens = self._tokenize([texts[index][: self._max_chars] for index in wanted], prompt)
        # Longest first: the memory arena grows once, and the threads end together.
        order = sorted((number for number, ids in enumerate(tokens) if ids), key=lambda n: -len(tokens[n]))

        def run(batch: Sequence[int]) -> None:
            at = [wanted[number] for number in batch]
            rows[at] = self._run([tokens[number] for number in batch], None if bags is None else bags[at])

        self._run_all(order, list(map(len, tokens)), run)
        return rows

    def _run_all(
        self, order: Sequence[int], lengths: Sequence[int], run: Callable[[Sequence[int]], None]
    ) -> None:
        """Has `run` take the texts `order`, by number, in batches; each has so many tokens (`lengths`)."""
        batches = [[number] for number in order]
        if self._threads == 1 or len(batches) < 2:
            for batch in batches:
                run(batch)
        else:
            with ThreadPoolExecutor(min(self._threads, len(batches))) as pool:
                for _ in pool.map(run, batches):
                    pass

    def _width(self, longest: int) -> int:
        """Columns of a batch whose longest text has so many tokens."""
        return longest

    def _open(self, bundle: Bundle, entry: Exit) -> ort.InferenceSession:
        path: Path = bundle.verified(entry.file)
        bundle.verified(entry.data)
        try:
            session = open_session(path, optimised=entry.precision == "int8")
            expect_inputs(session, self._inputs(entry))
            return session
        except Exception as error:  # onnxruntime raises a dozen classes of its own, none of them public
            refused = f"onnxruntime {ort.__version__} refuses {entry.file}: {in_a_line(error)}"
            raise BundleError(f"bundle {bundle.folder}: {refused}") from None

    @staticmethod
    def _inputs(entry: Exit) -> set[str]:
        return {"input_ids", "attention_mask", *(["bag"] if entry.residual else [])}

    def _tokenize(self, texts: list[str], prompt: str) -> list[Sequence[int]]:
        before, beginning = (prompt, "") if self._paired else ("", prompt)
        return [self._tokenizer.encode(beginning + text, self._max_tokens, before).ids for text in texts]

    def _run(self, batch: list[Sequence[int]], bags: NDArray[np.float32] | None) -> NDArray[np.float32]:
        width = self._width(max(map(len, batch)))
        ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        inputs: dict[str, NDArray[Any]] = {"input_ids": ids, "attention_mask": mask}
        if bags is not None:
            inputs["bag"] = bags
        vectors: NDArray[np.float32] = self._session.run(None, inputs)[0]
        return unit_rows(vectors)  # fp16 leaves their lengths off by some 3e-4


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row made of unit length; a zero row stays one."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    norms[norms == 0.0] = 1.0
    unit: NDArray[np.float32] = rows / norms
    return unit
