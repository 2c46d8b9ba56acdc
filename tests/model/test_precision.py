"""bf16 is used where the device has units for it, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from model import precision
from model.precision import autocast, bf16_pays


def processor(monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, bf16_seconds: float = 1.0) -> None:
    """As if the processor had these units and took so long for a product in bf16, 1 second in float32."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(precision, "_seconds", lambda of: bf16_seconds if of == torch.bfloat16 else 1.0)
    bf16_pays.cache_clear()


@pytest.mark.parametrize("has", [True, False])
def test_the_processor_decides(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    processor(monkeypatch, avx512=False, amx=has)
    try:
        assert bf16_pays() is has
        with autocast("cpu"):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == (torch.bfloat16 if has else torch.float32)
        with autocast("cpu", wanted=False):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    finally:
        bf16_pays.cache_clear()


@pytest.mark.parametrize(("seconds", "pays"), [(0.6, True), (2.0, False)])
def test_avx512_alone_is_timed(monkeypatch: pytest.MonkeyPatch, seconds: float, pays: bool) -> None:
    processor(monkeypatch, avx512=True, amx=False, bf16_seconds=seconds)
    try:
        assert bf16_pays() is pays
    finally:
        bf16_pays.cache_clear()


def test_timing_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    assert precision._seconds(torch.float32) > 0
    assert torch.get_num_threads() == before


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
