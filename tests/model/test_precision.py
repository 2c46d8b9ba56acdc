"""bf16 is used where the device has units for it, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from model.precision import autocast, bf16_pays


@pytest.mark.parametrize("has", [True, False])
def test_the_processor_decides(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    bf16_pays.cache_clear()
    try:
        assert bf16_pays() is has
        with autocast("cpu"):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == (torch.bfloat16 if has else torch.float32)
        with autocast("cpu", wanted=False):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    finally:
        bf16_pays.cache_clear()


def test_a_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    bf16_pays.cache_clear()
    try:
        assert bf16_pays() is False
    finally:
        bf16_pays.cache_clear()


def test_a_device_of_another_kind_means_float32() -> None:
    assert bf16_pays("mps") is False
