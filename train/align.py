"""Heads beside a trained exit 0: where they start before training, and what they weigh after it.

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

from train.data import Pair
from train.encoding import tokenize
from train.model import ModularStarEncoder

# Of the ridge regression, beside sums over some 10,000 texts.
RIDGE = 5.0
SLICE = 64
# What is tried, and on how many held-out pairs of prose and code.
GAINS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.1, 1.3, 1.5)
HELD_OUT = 3000


@torch.no_grad()
def align_heads(
    model: ModularStarEncoder, tokenizer: Tokenizer, texts: Sequence[str], longest: int = 128
) -> None:
    """Set the projections of all deeper exits from `texts`, prose and code alike; some thousands will do."""
    was_training = model.training
    model.eval()
    ground, pooled = pooled_states(model, tokenizer, texts, longest)
    deepest = model.depths[-1]
    rotated = torch.linalg.svd(pooled[deepest].T @ ground, full_matrices=False)
    turn = rotated.U @ rotated.Vh
    target = F.normalize(ground + F.normalize(pooled[deepest] @ turn, dim=-1), dim=-1)
    for depth, states in pooled.items():
        if depth == deepest:
            weight = turn
        else:
            weight = torch.linalg.solve(
                states.T @ states + RIDGE * torch.eye(states.shape[1]), states.T @ target
            )
        head = model.exit_head(depth)
        head.proj.weight.copy_(weight.T)
        head.proj.bias.zero_()
    model.train(was_training)


@torch.no_grad()
def fit_gains(
    model: ModularStarEncoder, tokenizer: Tokenizer, pairs: Sequence[Pair], longest: int = 160
) -> dict[int, float]:
    """Set the gain of every residual exit to the one with which held-out prose finds its code best (MRR)."""
    was_training = model.training
    model.eval()
    prose = [pair for pair in pairs if pair.kind == "text"]
    some = random.Random(0).sample(prose, min(HELD_OUT, len(prose)))
    texts = [pair.query for pair in some] + [pair.code for pair in some]
    ground, pooled = pooled_states(model, tokenizer, texts, longest)
    chosen = {}
    for depth, states in pooled.items():
        head = model.exit_head(depth)
        assert head.gain is not None
        added = F.normalize(head.proj(states.to(model.device)).float().cpu(), dim=-1)
        scores = {gain: _mrr(F.normalize(ground + gain * added, dim=-1)) for gain in GAINS}
        chosen[depth] = max(GAINS, key=scores.__getitem__)
        head.gain.fill_(chosen[depth])
    model.train(was_training)
    return chosen


def _mrr(rows: Tensor) -> float:
    """Of questions (the first half of the rows) that ask for the document of the same place in the second."""
    questions, documents = rows.chunk(2)
    scores = questions @ documents.T
    return float((1.0 / ((scores > scores.diagonal()[:, None]).sum(dim=1) + 1)).mean())


def pooled_states(
    model: ModularStarEncoder, tokenizer: Tokenizer, texts: Sequence[str], longest: int
) -> tuple[Tensor, dict[int, Tensor]]:
    """(exit 0's vectors [n, dimension], {depth: pooled states [n, hidden]}), in the order of the texts."""
    unsorted = tokenize(tokenizer, texts, longest)
    order = sorted(range(len(unsorted)), key=lambda row: len(unsorted[row]))
    lists = [unsorted[row] for row in order]
    ground, pooled = [], {depth: [] for depth in model.depths if depth}  # type: ignore[var-annotated]
    for at in range(0, len(lists), SLICE):
        some = lists[at : at + SLICE]
        ids = torch.zeros(len(some), len(some[-1]), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(some):
            ids[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        ground.append(model(ids, mask, [0])[0].float().cpu())
        with torch.autocast(model.device.type, dtype=torch.bfloat16):
            for depth, states in model.states(ids, mask, upto=model.depths[-1]):
                if depth in pooled:
                    head = model.exit_head(depth)
                    states = head.norm(states)
                    shares = head.shares(states, mask)
                    pooled[depth].append((states * shares[:, :, None]).sum(dim=1).float().cpu())
    back = torch.tensor(order).argsort()
    return torch.cat(ground)[back], {depth: torch.cat(rows)[back] for depth, rows in pooled.items()}
