"""Heads laid into one space with others: where they start before training, and what they weigh after it.

Start: the deepest exit is turned, not bent. The orthogonal Procrustes solution (Schoenemann 1966) keeps what
the encoder knows and only rotates it towards exit 0. Shallower states of a pre-trained encoder mean little by
themselves; ridge regression lays them where exit 0 and the deepest exit are together.

End: the gain of each residual exit is chosen on held-out pairs; in training a part of exit 0 was left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from model.precision import autocast
from train.data import Pair
from train.encoding import SLICE_TOKENS, Text, in_order, slices, tokenize
from train.logs import counted

# Of the ridge, as a share of the mean square of a column. Exits 2 and 4 of all-MiniLM-L6-v2 fitted on 1,500
# texts, cosine to where 500 others should lie: .003 .692 .711; .01 .703 .722; .03 .708 .728; .1 .700 .722.
PENALTY = 0.03
# What is tried, and on how many held-out pairs of prose and code.
GAINS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.1, 1.3, 1.5)
HELD_OUT = 3000


@torch.no_grad()
def align_heads(
    model: ModularStarEncoder, tokenizer: Tokenizer, texts: Sequence[str], longest: int = 128
) -> None:
    """Set the projections of all deeper exits from `texts`, prose and code alike; some thousands will do."""
    pooled = pooled_states(model, tokenizer, texts, longest)
    ground, deepest = pooled.pop(0), model.depths[-1]
    rotated = torch.linalg.svd(pooled[deepest].T @ ground, full_matrices=False)
    turn = rotated.U @ rotated.Vh
    target = F.normalize(ground + F.normalize(pooled[deepest] @ turn, dim=-1), dim=-1)
    for depth, states in pooled.items():
        head = model.exit_head(depth)
        head.proj.weight.copy_(turn.T if depth == deepest else ridge(states, target))
        head.proj.bias.zero_()


@torch.no_grad()
def lay_exits(model: ModularStarEncoder, pooled: dict[int, Tensor], depths: Sequence[int]) -> Tensor:
    """Set the projections of the exits `depths` so that they come near where the deepest exit puts the texts.

    pooled: as of `pooled_states`. Returns that: unit rows, float32 [n, dimension].
    """
    deepest = model.depths[-1]
    wanted = F.normalize(model.exit_head(deepest).proj(pooled[deepest]), dim=-1)
    for depth in depths:
        head = model.exit_head(depth).proj
        weight, bias = affine(pooled[depth], wanted)
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return wanted


def affine(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(weight, bias) with weight @ given + bias near wanted: `ridge` about the means of both."""
    middle, centre = given.mean(dim=0), wanted.mean(dim=0)
    weight = ridge(given - middle, wanted - centre)
    return weight, centre - weight @ middle


def ridge(given: Tensor, wanted: Tensor) -> Tensor:
    """W [wanted's width, given's width] with given W^T near wanted: least squares with a penalty on W."""
    given, wanted = given.double(), wanted.double()
    products = given.T @ given
    penalty = PENALTY * products.diagonal().mean() * torch.eye(len(products), dtype=torch.float64)
    return torch.linalg.solve(products + penalty, given.T @ wanted).T.float()


@torch.no_grad()
def fit_gains(
    model: ModularStarEncoder, tokenizer: Tokenizer, pairs: Sequence[Pair], longest: int = 160
) -> dict[int, float]:
    """Set the gain of every residual exit to the one with which held-out prose finds its code best (MRR)."""
    prose = [pair for pair in pairs if pair.kind == "text"]
    some = random.Random(0).sample(prose, min(HELD_OUT, len(prose)))
    texts = [pair.query for pair in some] + [pair.code for pair in some]
    pooled = pooled_states(model, tokenizer, texts, longest)
    ground = pooled.pop(0)
    chosen = {}
    for depth, states in pooled.items():
        head = model.exit_head(depth)
        assert head.gain is not None
        added = F.normalize(head.proj(states.to(model.device)).float().cpu(), dim=-1)
        scores = {gain: _mrr(F.normalize(ground + gain * added, dim=-1)) for gain in GAINS}
        chosen[depth] = max(GAINS, key=scores.__getitem__)
        head.gain.fill_(chosen[depth])
    return chosen


def _mrr(rows: Tensor) -> float:
    """Of questions (the first half of the rows) that ask for the document of the same place in the second."""
    questions, documents = rows.chunk(2)
    scores = questions @ documents.T
    return float((1.0 / ((scores > scores.diagonal()[:, None]).sum(dim=1) + 1)).mean())


@torch.no_grad()
def pooled_states(
    model: ModularStarEncoder, tokenizer: Tokenizer, texts: Sequence[Text], longest: int, bf16: bool = True
) -> dict[int, Tensor]:
    """{depth: float32 [n, width] on the CPU, in the order of the texts}: what each exit's projection is
    given, and at 0 exit 0's vectors."""
    was_training = model.training
    model.eval()
    parts = slices(tokenize(tokenizer, texts, longest), SLICE_TOKENS)
    found: list[dict[int, Tensor]] = []
    for part in counted(parts, "slices of texts read", len(parts)):
        ids, mask = part.input_ids.to(model.device), part.attention_mask.to(model.device)
        rows = model(ids, mask, [0]) if 0 in model.depths else {}
        with autocast(model.device.type, bf16):
            for depth, states in model.states(ids, mask, upto=model.depths[-1]):
                if depth in model.depths:
                    rows[depth] = model.exit_head(depth).pooled(states, mask)
        found.append({depth: one.float().cpu() for depth, one in rows.items()})
    model.train(was_training)
    return in_order(parts, found)
