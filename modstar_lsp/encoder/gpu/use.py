"""The GPU of a process: when it is its turn, whether it is right, and what happens when it fails.

A few texts never come here (`Encoder`): the CPU has answered before a GPU has started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from modstar_lsp.encoder.bundle import Bundle
from modstar_lsp.encoder.gpu.providers import ON_CPU, choose_provider, named_provider

if TYPE_CHECKING:
    from modstar_lsp.arrays import Floats
    from modstar_lsp.encoder.gpu.gpu_exit import GpuExit

# The first vectors are compared with the CPU's: of so many texts, and each so near. int8 and fp16 agree to
# .998 at least on this project's code; what a broken driver gives is anywhere.
_COMPARED_TEXTS = 8
_LEAST_COSINE = 0.98

Encode = Callable[[Sequence[str], "Floats | None"], "Floats"]


class Gpu:
    """What encodes many texts at a bundle's deepest exit. Safe to use from several threads.

    notice: one line for the user once it has failed, else "".  Raises ProviderError where the environment
    names a provider that there is not.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._lock = Lock()
        self._exit: GpuExit | None = None
        self._compared = False
        self.provider, self.notice = ON_CPU, ""
        # Without the extra nobody asked for a GPU, not even on a Mac, where Core ML is always there.
        if named_provider() or bundle.gpu is not None or find_spec("onnx"):
            self.provider, self.notice = choose_provider()

    @property
    def is_there(self) -> bool:
        """Whether there is one, which has not failed yet."""
        return self.provider is not ON_CPU

    def encode(self, texts: Sequence[str], prompt: str, bags: Floats | None, on_cpu: Encode) -> Floats:
        """Unit rows for `texts`, all of them by `on_cpu` once the GPU fails: then `notice` says why.

        bags: exit 0's rows, for a residual exit.  on_cpu: the same exit as the CPU has it.
        """
        from modstar_lsp.encoder.gpu.gpu_exit import GpuExit, GpuFailure

        provider = self.provider
        if provider is ON_CPU:  # it failed in another thread meanwhile
            return on_cpu(texts, bags)
        try:
            with self._lock:
                if self._exit is None:
                    self._exit = GpuExit(self._bundle, provider)
                gpu = self._exit
            rows = gpu.encode(texts, prompt, bags)
            if not self._compared:
                self._compare(rows, texts, bags, on_cpu)
            return rows
        except GpuFailure as failure:
            self.notice = f"{provider.title} fails, the CPU is used: {failure}"
            self.provider = ON_CPU
            self.release()
            return on_cpu(texts, bags)

    def release(self) -> None:
        """Lets go of the card's memory; the next use starts it again."""
        with self._lock:
            self._exit = None

    def _compare(self, rows: Floats, texts: Sequence[str], bags: Floats | None, on_cpu: Encode) -> None:
        from modstar_lsp.encoder.gpu.gpu_exit import GpuFailure

        few = slice(0, _COMPARED_TEXTS)
        expected = on_cpu(texts[few], None if bags is None else bags[few])
        there = expected.any(axis=1)
        cosines = (expected * rows[few]).sum(axis=1)[there]
        if not (cosines > _LEAST_COSINE).all():  # so that what is no number fails, too
            raise GpuFailure(f"its vectors are not the CPU's (cosine {cosines.min():.3f})")
        self._compared = True
