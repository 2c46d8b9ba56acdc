"""Neurons that would spoil int8: a few of each MLP, far louder than all the others.

The activations of a text share one scale in int8, so one neuron at 25 leaves coarse steps to 1,500 that stay
below 5. Kept apart in fp32 such neurons cost next to nothing (LLM.int8(), Dettmers et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from export.stored import StoredLinear
from model.modules import MLP, Layer

# Kept apart in each layer. all-MiniLM-L6-v2 has one or two; the next are not far from the crowd.
LOUD = 8
# Texts that they are looked for in.
LISTENED = 64


class Layered(Protocol):
    """What has layers that can be listened to: an encoder or a reranker."""

    @property
    def blocks(self) -> list[Layer]: ...

    def states(
        self, input_ids: Tensor, attention_mask: Tensor, upto: int
    ) -> Iterator[tuple[int, Tensor]]: ...


@torch.inference_mode()
def listen(
    model: Layered,
    texts: Sequence[Sequence[int]],
    heard: Iterable[tuple[nn.Module, Callable[[Tensor], None]]],
) -> int:
    """Runs some of `texts`, given as token ids, through all layers; how many tokens these were.

    heard: modules of the layers, and what is told the input [1, length, in] of each, text by text.
    """

    def hook(tell: Callable[[Tensor], None]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, given: tell(given[0])

    hooks = [module.register_forward_pre_hook(hook(tell)) for module, tell in heard]
    tokens = 0
    try:
        for ids in texts[:: max(len(texts) // LISTENED, 1)]:
            tokens += len(ids)
            row = torch.tensor([list(ids)])
            for _ in model.states(row, torch.ones_like(row), upto=len(model.blocks)):
                pass
    finally:
        for one in hooks:
            one.remove()
    return tokens


def loud_neurons(model: Layered, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """The LOUD loudest neurons of each layer's MLP, as numbers in order, from texts given as token ids."""
    peaks: dict[int, Tensor] = {}

    def hear(number: int, given: Tensor) -> None:
        peak = given.abs().amax(dim=(0, 1))
        peaks[number] = torch.maximum(peaks[number], peak) if number in peaks else peak

    listen(
        model, texts, [(layer.mlp.c_proj, partial(hear, number)) for number, layer in enumerate(model.blocks)]
    )
    return [peaks[number].topk(LOUD).indices.sort().values for number in range(len(model.blocks))]


def quiet_neurons(count: int, loud: Tensor) -> Tensor:
    """The others of `count` neurons, as numbers in order."""
    quiet = torch.ones(count, dtype=torch.bool)
    quiet[loud] = False
    return quiet.nonzero().squeeze(1)


class SplitMLP(nn.Module):
    """An `MLP` as the sum of two, its loud neurons and all others, whose weights are stored (as `name`)."""

    def __init__(self, mlp: MLP, loud: Tensor, activation: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        first, last = mlp.c_fc, mlp.c_proj
        quiet = quiet_neurons(first.out_features, loud)
        self.c_fc = StoredLinear(
            f"{name}.c_fc", lambda: first.weight[quiet], first.in_features, first.bias[quiet]
        )
        self.c_proj = StoredLinear(f"{name}.c_proj", lambda: last.weight[:, quiet], len(quiet), last.bias)
        self.loud_fc, self.loud_proj = _part(mlp, loud)
        self.activation = activation

    def forward(self, states: Tensor) -> Tensor:
        loud: Tensor = self.loud_proj(self.activation(self.loud_fc(states)))
        quiet: Tensor = self.c_proj(self.activation(self.c_fc(states)))
        return quiet + loud


def _part(mlp: MLP, neurons: Tensor) -> tuple[nn.Linear, nn.Linear]:
    """The products into and out of some neurons, the latter without a bias."""
    first, last = mlp.c_fc, mlp.c_proj
    inward = nn.Linear(first.in_features, len(neurons))
    outward = nn.Linear(len(neurons), last.out_features, bias=False)
    inward.weight, inward.bias = (nn.Parameter(part.detach()[neurons]) for part in (first.weight, first.bias))
    outward.weight = nn.Parameter(last.weight.detach()[:, neurons])
    return inward, outward
