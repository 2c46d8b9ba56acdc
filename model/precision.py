"""Whether bf16 pays on a device: the one place that asks the processor.

A processor without units for bf16 converts back and forth, which is 13 to 58 times slower than float32. One
with AVX512-BF16 alone may go either way: 1.5 times as fast on a Zen 4, half as fast on a Xeon without AMX. So
that one is timed.
"""

from __future__ import annotations

import time
from functools import cache

import torch

# A product of an encoder of 384 values: some 5 ms, and the best of so many is told.
_ROWS, _COLUMNS, _INNER = 512, 1536, 384
_TIMES = 8


@cache
def bf16_pays(device: str = "cpu") -> bool:
    """Whether `device` ("cpu", "cuda") is quicker in bf16: by AMX, by AVX512-BF16 as timed, or a GPU."""
    if device == "cuda":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    if _has("_is_amx_tile_supported"):
        return True
    return _has("_is_avx512_bf16_supported") and _seconds(torch.bfloat16) < _seconds(torch.float32)


def _has(name: str) -> bool:
    """Whether torch says so of the processor; it has no public name for these, a release without means no."""
    return bool(getattr(torch.cpu, name, lambda: False)())


def _seconds(precision: torch.dtype) -> float:
    """What a matrix product takes at its best, on one thread: of several the slowest would tell."""
    a, b = torch.ones(_ROWS, _INNER, dtype=precision), torch.ones(_COLUMNS, _INNER, dtype=precision)
    best, threads = float("inf"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(_TIMES):
            begin = time.perf_counter()
            torch.nn.functional.linear(a, b)
            best = min(best, time.perf_counter() - begin)
    finally:
        torch.set_num_threads(threads)
    return best


def autocast(device: str, wanted: bool = True) -> torch.autocast:
    """Within it matrix products are of bf16, where that is wanted and pays."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=wanted and bf16_pays(device))
