"""Biases that take back what rounded weights shift.

A few inputs of a layer are large in every text, so the rounding of their weights adds up to a shift of the
outputs that is much the same everywhere. Taken off the biases it costs nothing (bias correction: Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from export.fused import FusedLayers
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


@torch.no_grad()
def correct_biases(layers: FusedLayers, means: Sequence[MeanInputs], loud: Sequence[Tensor]) -> None:
    """Change the biases of `layers` in place, for the weights that int8 makes of theirs.

    means, loud: of each of these layers, see `mean_inputs` and `loud_neurons`.
    """
    for (layer, mlp), mean, apart in zip(layers.parts(), means, loud, strict=True):
        attention = layer.self_attn
        for product in (attention.q_proj, attention.k_proj, attention.v_proj):
            _correct(product, mean.attention)
        _correct(attention.o_proj, mean.output)
        _correct(mlp.c_fc, mean.inward)
        _correct(mlp.c_proj, mean.outward[quiet_neurons(len(mean.outward), apart)])


def _correct(product: nn.Linear, mean: Tensor) -> None:
    product.bias.add_((product.weight - rounded(product.weight)) @ mean)
