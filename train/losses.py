"""The losses, each a small class: what it is after, its formula, and what it is given.

Notation: q_i and d_i are the unit vectors of query and document i of a batch of n; s is the logit scale, the
inverse temperature; E is the set of exits, L the deepest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Contrastive(nn.Module):
    """Symmetric InfoNCE with in-batch negatives (van den Oord et al. 2018; as in CLIP, Radford et al. 2021).

    loss = 1/2 [ CE(s Q D^T, diagonal) + CE(s D Q^T, diagonal) ], summed over nested dimensions m with
    the first m values of every vector normalised anew (Matryoshka, Kusupati et al. 2022), and averaged.

    `groups` [n] names what each pair is about: other pairs of the same group are no negatives.
    """

    def __init__(self, scale: float, nested: Sequence[int] = ()):
        super().__init__()
        self.scale = scale
        self.nested = tuple(nested)

    def forward(self, queries: Tensor, documents: Tensor, groups: Tensor | None = None) -> Tensor:
        same = None
        if groups is not None:
            same = groups[:, None] == groups[None, :]
            same.fill_diagonal_(False)
            same = same if same.any() else None
        losses = [_SymmetricInfoNCE.apply(queries, documents, self.scale, same)]
        for width in self.nested:
            shorter = F.normalize(queries[:, :width], dim=-1), F.normalize(documents[:, :width], dim=-1)
            losses.append(_SymmetricInfoNCE.apply(*shorter, self.scale, same))
        return torch.stack(losses).mean()


# Rows of the n x n matrix worked on at a time: 256 x 2048 floats, 2 MB, stay in a core's cache.
BLOCK = 256


class _SymmetricInfoNCE(torch.autograd.Function):
    """Symmetric cross-entropy of a batch's cosines, by blocks of rows and made twice rather than kept.

    Cosines are bounded, so exp(s (cos - 1)) needs no maximum taken out, and one exponential serves both ways.
    """

    @staticmethod
    def forward(ctx, queries, documents, scale, same):  # type: ignore[no-untyped-def]
        half = torch.bfloat16 if torch.is_autocast_enabled(queries.device.type) else queries.dtype
        q, d = queries.to(half), documents.to(half)
        rows, columns = [], torch.zeros(len(d), device=d.device)
        for at in range(0, len(q), BLOCK):
            likely = _likely(q, d, at, scale, same)
            rows.append(likely.sum(dim=1))
            columns = columns + likely.sum(dim=0)
        matched = (q.float() * d.float()).sum(dim=1)
        ctx.save_for_backward(q, d, torch.cat(rows), columns)
        ctx.scale, ctx.same, ctx.dtypes = scale, same, (queries.dtype, documents.dtype)
        return (0.5 * (torch.cat(rows).log() + columns.log()) - scale * (matched - 1.0)).mean()

    @staticmethod
    def backward(ctx, above):  # type: ignore[no-untyped-def]
        q, d, rows, columns = ctx.saved_tensors
        step = ctx.scale / len(q) * above
        by_row, by_column = 0.5 * step / rows, 0.5 * step / columns
        queries, documents = [], torch.zeros(d.shape, device=d.device)
        for at in range(0, len(q), BLOCK):
            slope = _likely(q, d, at, ctx.scale, ctx.same)
            slope.mul_(by_row[at : at + BLOCK, None] + by_column)
            slope.diagonal(at).sub_(step)
            slope = slope.to(q.dtype)
            queries.append(slope @ d)
            documents = documents + (slope.T @ q[at : at + BLOCK]).float()
        return torch.cat(queries).to(ctx.dtypes[0]), documents.to(ctx.dtypes[1]), None, None


def _likely(q: Tensor, d: Tensor, at: int, scale: float, same: Tensor | None) -> Tensor:
    likely = (q[at : at + BLOCK] @ d.T).float().sub_(1.0).mul_(scale).exp_()
    return likely if same is None else likely.masked_fill_(same[at : at + BLOCK], 0.0)


def exit_weights(depths: Sequence[int], layers: int, floor: float) -> dict[int, float]:
    """The paper's weights i / n for an exit after layer i of n, none below `floor`.

    The paper lets deep exits dominate; a floor above 1/n gives the early exits, which people wait for, more.
    """
    return {depth: max(depth / max(layers, 1), floor) for depth in depths}


class MultiExitContrastive(nn.Module):
    """Contrastive loss at every exit: sum_e w_e loss_e, the paper's (arXiv 2503.03008), or their mean.

    The mean is that divided by sum_e w_e, so that a learning rate and a clip mean the same for any exits.
    `weights` are those of the exits, see `exit_weights`.
    """

    def __init__(self, contrastive: Contrastive, weights: Mapping[int, float], summed: bool = False):
        super().__init__()
        self.contrastive = contrastive
        self.weights = dict(weights)
        self.summed = summed

    def forward(
        self, queries: Mapping[int, Tensor], documents: Mapping[int, Tensor], groups: Tensor | None = None
    ) -> tuple[Tensor, dict[int, float]]:
        """(loss, the loss of each exit)."""
        each = {e: self.contrastive(queries[e], documents[e], groups) for e in queries}
        total = torch.stack([self.weights[e] * loss for e, loss in each.items()]).sum()
        whole = 1.0 if self.summed else sum(self.weights[e] for e in each)
        return total / whole, {e: loss.item() for e, loss in each.items()}


class MixedExits(nn.Module):
    """The index while it deepens: every query and every document comes from an exit drawn at random.

    The contrastive loss over such a batch makes all exits share one space and their cosines comparable, which
    alignment of each exit by itself does not. A row comes from exit 0 with probability `anchor`: frozen, it
    is what the others are drawn to. None gives every exit the same chance.
    """

    def __init__(self, contrastive: Contrastive, anchor: float | None = None):
        super().__init__()
        self.contrastive = contrastive
        self.anchor = anchor

    def forward(
        self, queries: Mapping[int, Tensor], documents: Mapping[int, Tensor], groups: Tensor | None = None
    ) -> Tensor:
        return self.contrastive(self._drawn(queries), self._drawn(documents), groups)

    def _drawn(self, exits: Mapping[int, Tensor]) -> Tensor:
        """Row i of the result is row i of one of the exits."""
        depths = sorted(exits)
        chances = torch.ones(len(depths))
        if self.anchor is not None and depths[0] == 0 and len(depths) > 1:
            chances[0] = self.anchor / (1.0 - self.anchor) * (len(depths) - 1)
        stacked = torch.stack([exits[e] for e in depths])
        # Drawn on the CPU, so that every device draws the same.
        chosen = torch.multinomial(chances, stacked.shape[1], replacement=True).to(stacked.device)
        return stacked[chosen, torch.arange(stacked.shape[1], device=stacked.device)]


class Distillation(nn.Module):
    """Every exit learns from the deepest, which is not moved by it (KL as in 2D Matryoshka, Li et al. 2024).

    For e < L:  mean_i [1 - cos(z_i^e, z_i^L)]  +  kl * KL(softmax(s Q_L D_L^T) || softmax(s Q_e D_e^T)), over
    queries and documents z, averaged over the exits. `frozen` exits are left out.
    """

    def __init__(self, scale: float, kl: float = 1.0, frozen: Sequence[int] = ()):
        super().__init__()
        self.scale = scale
        self.kl = kl
        self.frozen = set(frozen)

    def forward(self, queries: Mapping[int, Tensor], documents: Mapping[int, Tensor]) -> Tensor:
        deepest = max(queries)
        q, d = queries[deepest].detach(), documents[deepest].detach()
        target = (self.scale * q @ d.T).float().softmax(dim=-1)
        losses = []
        for e in queries:
            if e == deepest or e in self.frozen:
                continue
            cosine = 2 - (queries[e] * q).sum(-1).mean() - (documents[e] * d).sum(-1).mean()
            logits = (self.scale * queries[e] @ documents[e].T).float().log_softmax(dim=-1)
            losses.append(cosine / 2 + self.kl * F.kl_div(logits, target, reduction="batchmean"))
        return torch.stack(losses).mean() if losses else q.new_zeros(())


class Rounding(nn.Module):
    """Noise of int8 vectors: rows rounded to 127 steps of their largest value; gradients pass unchanged."""

    def forward(self, rows: Tensor) -> Tensor:
        step = rows.detach().abs().amax(dim=-1, keepdim=True).clamp(min=1e-6) / 127
        return rows + ((rows / step).round() * step - rows).detach()
