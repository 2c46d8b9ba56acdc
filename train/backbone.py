"""A trained encoder drawn back towards the published one that it began as.

What training forgets of the start, an average of both has again, at little cost to what was learnt (WiSE-FT:
Wortsman et al., "Robust fine-tuning of zero-shot models", arXiv 2109.01903). The heads are left as they are:
the start has none of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.encoder import CheckpointError
from train.pretrained import load_bert


@torch.no_grad()
def draw_back(
    weights: dict[str, Tensor],
    tokenizer: Tokenizer,
    backbone: Path,
    share: float,
    above: Mapping[int, float] | None = None,
) -> None:
    """Make `weights` of an encoder or a reranker, by name, those of the backbone by `share`, in place.

    above: {depth: the share in the layers above it}, of several the deepest counts: the start had no early
    exits, so what they read is best left nearly as it is. The backbone's embedding is laid into the
    vocabulary of `tokenizer`. CheckpointError, in one line, when the weights are not of its layout or did not
    begin as it; PretrainedError when it cannot be read.
    """
    start = load_bert(backbone, [1], tokenizer).state_dict()
    own = [name for name in start if not name.startswith("heads.")]
    for name in own:
        if name not in weights or weights[name].shape != start[name].shape:
            raise CheckpointError(f"{name} is not as in {backbone}, which is no start of this checkpoint")
    for prefix in [name.removesuffix("c_fc.weight") for name in own if name.endswith("mlp.c_fc.weight")]:
        order = _neurons(weights, start, prefix)
        if len(order.unique()) < len(order):
            raise CheckpointError(f"{prefix}c_fc does not have the neurons of {backbone}: it began otherwise")
        start[f"{prefix}c_fc.weight"] = start[f"{prefix}c_fc.weight"][order]
        start[f"{prefix}c_fc.bias"] = start[f"{prefix}c_fc.bias"][order]
        start[f"{prefix}c_proj.weight"] = start[f"{prefix}c_proj.weight"][:, order]
    for name in own:
        number = int(name.split(".")[1]) if name.startswith("layers.") else -1
        shares = [wanted for depth, wanted in sorted((above or {}).items()) if number >= depth]
        weights[name] = weights[name].float().lerp(start[name], shares[-1] if shares else share)


def _neurons(weights: dict[str, Tensor], start: dict[str, Tensor], prefix: str) -> Tensor:
    """Which of the start's neurons each neuron of an MLP was: an export may have changed their order."""
    ours, theirs = (
        F.normalize(torch.cat((one[f"{prefix}c_fc.weight"], one[f"{prefix}c_proj.weight"].T), dim=1).float())
        for one in (weights, start)
    )
    return (ours @ theirs.T).argmax(dim=1)
