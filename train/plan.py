"""What a configuration costs, exit by exit, without allocating it: `python -m train.plan CONFIG`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from train.config import ConfigError, read_config
from train.model import ModularStarConfig, ModularStarEncoder

# Tokens for which the attention's own cost is told: scores and weighted sums grow with the length.
PLANNED_LENGTH = 128


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """One exit: what it holds (embedding and layers, as in the paper; heads apart), what a token takes."""

    depth: int
    parameters: int
    head_parameters: int
    flops_per_token: int
    bytes_int8: int
    bytes_bf16: int


def plan(config: ModularStarConfig) -> list[ExitPlan]:
    """The exits of a configuration, shallowest first, counted on the meta device."""
    with torch.device("meta"):
        model = ModularStarEncoder(config)
    embedding = model.embed_tokens.weight.numel()
    layers = [sum(p.numel() for p in layer.parameters()) for layer in model.layers]
    linear = [sum(p.numel() for p in layer.parameters() if p.ndim == 2) for layer in model.layers]
    plans = []
    for depth in model.depths:
        parameters = embedding + sum(layers[:depth])
        head = sum(p.numel() for p in model.heads[str(depth)].parameters())
        attention = 4 * PLANNED_LENGTH * config.hidden_size * depth
        flops = 2 * sum(linear[:depth]) + attention
        plans.append(ExitPlan(depth, parameters, head, flops, parameters + head, 2 * (parameters + head)))
    return plans


def table(config: ModularStarConfig) -> str:
    """The plan as text."""
    lines = [
        f"{'exit':>4} {'parameters':>12} {'+ head':>9} {'MFLOP/token':>12} {'int8 MB':>9} {'bf16 MB':>9}   "
        f"(at {PLANNED_LENGTH} tokens)"
    ]
    for one in plan(config):
        lines.append(
            f"{one.depth:>4} {one.parameters / 1e6:>11.1f}M {one.head_parameters / 1e6:>8.2f}M "
            f"{one.flops_per_token / 1e6:>12.1f} {one.bytes_int8 / 1e6:>9.1f} {one.bytes_bf16 / 1e6:>9.1f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan of one configuration."""
    parser = argparse.ArgumentParser("python -m train.plan", description=__doc__)
    parser.add_argument(
        "config", help="a file, or the name of one in train/configs (tiny, small, modstar-1b)"
    )
    chosen = parser.parse_args(arguments)
    try:
        print(table(read_config(Path(chosen.config)).model_config()))
    except ConfigError as error:
        print(f"train.plan: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
