"""Whether bf16 pays on a device: the one place that asks the processor.

A processor without units for bf16 converts back and forth, which is 13 to 58 times slower than float32.
"""

from __future__ import annotations

from functools import cache

import torch


@cache
def bf16_pays(device: str = "cpu") -> bool:
    """Whether `device` ("cpu", "cuda") multiplies bf16 in hardware: AVX512-BF16, AMX, or a GPU that does."""
    if device == "cuda":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    # torch has no public name for these; a release without them means float32.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asked)


def autocast(device: str, wanted: bool = True) -> torch.autocast:
    """Within it matrix products are of bf16, where that is wanted and pays."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=wanted and bf16_pays(device))
