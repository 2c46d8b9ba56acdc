"""What a configuration costs, exit by exit, without allocating it: `python -m train.plan CONFIG`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder
from train.config import ConfigError, read_config

# Tokens for which the attention's own cost is told: scores and weighted sums grow with the length.
PLANNED_LENGTH = 128
# Weights, gradients and AdamW's two moments, all in fp32.
TRAINING_BYTES = 16


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """One exit: what it holds (embedding and layers, as in the paper; heads apart), what a token takes."""

    depth: int
    parameters: int
    head_parameters: int
    flops_per_token: int
    bytes_int8: int
    bytes_bf16: int


def plan(config: ModularStarConfig, length: int = PLANNED_LENGTH) -> list[ExitPlan]:
    """The exits of a configuration, shallowest first, counted on the meta device.

    An exit that builds on exit 0 needs its table as well, which is counted with its head.
    """
    model = _unallocated(config)
    embedding = sum(
        _count(part) for part in (model.embed_tokens, model.embed_positions, model.embedding_norm)
    )
    layers = [_count(layer) for layer in model.layers]
    linear = [sum(p.numel() for p in layer.parameters() if p.ndim == 2) for layer in model.layers]
    plans = []
    for depth in model.depths:
        head = _count(model.heads[str(depth)])
        if depth and config.residual:
            head += _count(model.bag)
        own_table = depth == 0 and config.exit0_table == "own"
        parameters = 0 if own_table else embedding + sum(layers[:depth])
        attention = 4 * length * config.hidden_size * depth
        flops = 2 * sum(linear[:depth]) + attention
        plans.append(ExitPlan(depth, parameters, head, flops, parameters + head, 2 * (parameters + head)))
    return plans


def table(config: ModularStarConfig, length: int = PLANNED_LENGTH) -> str:
    """The plan as text."""
    lines = [
        f"{'exit':>4} {'parameters':>11} {'+ head':>9} {'FLOP/token':>11} {'int8':>9} {'bf16':>9}   "
        f"(at {length} tokens)"
    ]
    for one in plan(config, length):
        cells = (
            f"{one.depth:>4}",
            f"{_short(one.parameters):>11}",
            f"{_short(one.head_parameters):>9}",
            f"{_short(one.flops_per_token):>11}",
            f"{_short(one.bytes_int8):>8}B",
            f"{_short(one.bytes_bf16):>8}B",
        )
        lines.append(" ".join(cells))
    whole = _count(_unallocated(config))
    lines.append(
        f"all exits: {_short(whole)} parameters; to train them in fp32 with AdamW "
        f"{_short(TRAINING_BYTES * whole)}B beside the activations"
    )
    return "\n".join(lines)


def _unallocated(config: ModularStarConfig) -> ModularStarEncoder:
    with torch.device("meta"):
        return ModularStarEncoder(config)


def _count(part: nn.Module | None) -> int:
    return 0 if part is None else sum(parameter.numel() for parameter in part.parameters())


def _short(number: int) -> str:
    """161.6M and the like, by powers of 1000."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.4g}{unit}" if number < 1000 * size else f"{number / size:.0f}{unit}"
    return str(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan of one configuration."""
    parser = argparse.ArgumentParser("python -m train.plan", description=__doc__)
    parser.add_argument(
        "config", help="a file, or the name of one in train/configs (tiny, default, modstar-1b)"
    )
    parser.add_argument(
        "--length", type=int, default=PLANNED_LENGTH, help="tokens of a text (default %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    try:
        print(table(read_config(Path(chosen.config)).model_config(), chosen.length))
    except ConfigError as error:
        print(f"train.plan: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
