"""One exit on a GPU: texts of like length go in batches of so many tokens, fewer when memory is short."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from modstar_lsp.allowance import usable_cores
from modstar_lsp.arrays import Floats
from modstar_lsp.encoder.bundle import Bundle, Exit
from modstar_lsp.encoder.gpu.kept import kept_graph
from modstar_lsp.encoder.gpu.providers import Provider
from modstar_lsp.encoder.graph import GraphExit
from modstar_lsp.encoder.runtime import expect_inputs, in_a_line, onnxruntime, open_session
from modstar_lsp.installation import INSTALL_ONNX

# Of a batch, padding counted: 32 texts of 512. Not measured on a card yet; `python -m bench.gpu` does.
TOKENS_AT_ONCE = 1 << 14
# Rows are filled up to a multiple of this: cards like even sizes, and some providers compile for each width.
_WIDTH_STEP = 32
# What a session may take beside its weights, where it can be told: others draw on the card too.
_WORKING_BYTES = 2 << 30

_OUT_OF_MEMORY = re.compile(
    "out ?of ?memory|failed to allocate|alloc_failed|allocation.?fail|not enough memory|8007000e",
    re.IGNORECASE,
)


class GpuFailure(Exception):
    """Why the GPU cannot go on, in a line."""


class GpuExit(GraphExit):
    """An exit of a bundle, by default the deepest, in fp16. Raises GpuFailure when it cannot be.

    tokens_at_once: of a batch, padding counted.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider, entry: Exit | None = None, tokens_at_once: int = 0
    ) -> None:
        self._provider = provider
        self._tokens_at_once = tokens_at_once or TOKENS_AT_ONCE
        super().__init__(bundle, entry or bundle.gpu or bundle.exits[-1])

    def _open(self, bundle: Bundle, entry: Exit) -> onnxruntime.InferenceSession:
        provider = self._provider
        try:
            graph, size = _graph(bundle, entry)
            options = dict(provider.options)
            if provider.memory_option:
                options[provider.memory_option] = str(size + _WORKING_BYTES)
            onnxruntime.set_default_logger_severity(4)  # it would print a page where one line is due
            if provider.name == "cuda" and hasattr(onnxruntime, "preload_dlls"):
                with redirect_stdout(io.StringIO()):
                    onnxruntime.preload_dlls()  # those that pip installs beside it
            session = open_session(
                graph, threads=usable_cores(), optimised=False, before_cpu={provider.execution: options}
            )
            expect_inputs(session, self._inputs(entry))
        except ModuleNotFoundError as error:
            raise GpuFailure(f"{error.name} is missing: {INSTALL_ONNX}") from None
        except Exception as error:  # onnxruntime raises a dozen classes of its own, onnx others
            raise GpuFailure(in_a_line(error)) from None
        if provider.execution not in session.get_providers():
            raise GpuFailure("onnxruntime does not start it: its driver or its libraries are missing")
        return session

    def _run_all(
        self, order: Sequence[int], lengths: Sequence[int], run: Callable[[Sequence[int]], None]
    ) -> None:
        start = 0
        while start < len(order):
            width = self._width(lengths[order[start]])
            batch = order[start : start + max(1, self._tokens_at_once // width)]
            try:
                run(batch)
            except GpuFailure:
                raise
            except Exception as error:  # as above
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise GpuFailure(in_a_line(error)) from None
                self._tokens_at_once = len(batch) // 2 * width
            else:
                start += len(batch)

    def _run(self, batch: list[Sequence[int]], bags: Floats | None) -> Floats:
        rows = super()._run(batch, bags)
        if not np.isfinite(rows).all():
            raise GpuFailure("it gives what is no number")
        return rows

    def _width(self, longest: int) -> int:
        return min(-(-longest // _WIDTH_STEP) * _WIDTH_STEP, self._max_tokens)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer texts at once would help, by what the many drivers say."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def _graph(bundle: Bundle, entry: Exit) -> tuple[Path | bytes, int]:
    """(the fp16 graph of `entry`, the bytes of its weights): the bundle's own, or the one made of it."""
    if entry != bundle.gpu:
        content = kept_graph(bundle, entry)
        return content, len(content)
    bundle.verified(entry.data)
    return bundle.verified(entry.file), bundle.files[entry.data].bytes
