"""Biases that take back what rounded weights shift.

A few inputs of a layer are large in every text, so the rounding of their weights adds up to a shift of the
outputs that is much the same everywhere. Taken off the biases it costs nothing (bias correction: Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from export.outliers import Layered, listen, quiet_neurons
from export.quantise import rounded
from model.modules import Layer


class MeanInputs(NamedTuple):
    """Of one layer, the mean inputs [in] of: attention's q, k and v, its output, and the MLP's two."""

    attention: Tensor
    output: Tensor
    inward: Tensor
    outward: Tensor


def mean_inputs(model: Layered, texts: Sequence[Sequence[int]]) -> list[MeanInputs]:
    """The mean inputs of each layer over the tokens of `texts`, given as token ids."""
    sums = [[torch.zeros(one.in_features) for one in _read_by(layer)] for layer in model.blocks]

    def add(total: Tensor, given: Tensor) -> None:
        total += given.flatten(0, -2).sum(dim=0)

    tokens = listen(
        model,
        texts,
        [
            (product, partial(add, total))
            for layer, totals in zip(model.blocks, sums, strict=True)
            for product, total in zip(_read_by(layer), totals, strict=True)
        ],
    )
    return [MeanInputs(*(total / max(tokens, 1) for total in totals)) for totals in sums]


def _read_by(layer: Layer) -> tuple[nn.Linear, nn.Linear, nn.Linear, nn.Linear]:
    """The products whose inputs are told in `MeanInputs`, in its order."""
    attention = layer.self_attn
    return attention.q_proj, attention.o_proj, layer.mlp.c_fc, layer.mlp.c_proj


@contextmanager
def corrected_biases(
    model: Layered, texts: Sequence[Sequence[int]], loud: Sequence[Tensor]
) -> Iterator[None]:
    """Within, the biases of `model` are those for the weights that int8 makes of its own.

    texts: token ids like those to be read.  loud: see `loud_neurons`; these stay in float32.
    """
    means = mean_inputs(model, texts)
    biases = [product.bias for layer in model.blocks for product in _products(layer)]
    before = [bias.detach().clone() for bias in biases]
    try:
        for layer, mean, apart in zip(model.blocks, means, loud, strict=True):
            _correct(layer, mean, apart)
        yield
    finally:
        with torch.no_grad():
            for bias, kept in zip(biases, before, strict=True):
                bias.copy_(kept)


@torch.no_grad()
def _correct(layer: Layer, mean: MeanInputs, loud: Tensor) -> None:
    attention, mlp = layer.self_attn, layer.mlp
    for product in (attention.q_proj, attention.k_proj, attention.v_proj):
        product.bias.add_(_lost(product.weight, mean.attention))
    attention.o_proj.bias.add_(_lost(attention.o_proj.weight, mean.output))
    quiet = quiet_neurons(mlp.c_fc.out_features, loud)
    mlp.c_fc.bias[quiet] += _lost(mlp.c_fc.weight[quiet], mean.inward)
    mlp.c_proj.bias.add_(_lost(mlp.c_proj.weight[:, quiet], mean.outward[quiet]))


def _lost(weight: Tensor, mean: Tensor) -> Tensor:
    return (weight - rounded(weight)) @ mean


def _products(layer: Layer) -> tuple[nn.Linear, ...]:
    attention, mlp = layer.self_attn, layer.mlp
    return (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, mlp.c_fc, mlp.c_proj)
