"""Exit 0 by itself: a table of word-piece vectors, trained contrastively on bags of pieces.

It costs no transformer, so a CPU trains it fully in minutes; the deeper exits then start from its vectors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import TERM_FREQUENCY, ModularStarConfig
from model.encoder import ModularStarEncoder
from model.precision import autocast
from train.bags import Bags
from train.losses import Contrastive


@dataclass(frozen=True, slots=True)
class Exit0Settings:
    """What a run of exit 0 is told."""

    dimension: int = 256
    nested: tuple[int, ...] = (128, 64)
    tf: str = "sqrt"  # mean nDCG@10 of the flat sets after an epoch: linear .576, log1p .638, sqrt .643
    batch: int = 1024  # after an epoch at this rate: 2048 .638, 1024 .649
    group: int = 1  # pairs of one repository side by side in a batch: 16 made no difference
    epochs: int = 2  # held-out MRR of a run of four: .634 .641 .636 .635
    lr: float = 3e-3  # 1e-2 over-fits: held-out MRR .645 -> .625
    weight_lr: float = 3e-3
    scale: float = 20.0  # 30 was no better (.634 for .638)
    word_dropout: float = 0.1  # none made no difference
    seed: int = 0


class Table(nn.Module):
    """Vectors and log-weights of the pieces; `folded()` is exit 0's whole table."""

    counted: Tensor

    def __init__(self, vectors: Tensor, weights: Tensor, counted: Tensor, tf: str):
        super().__init__()
        self.vectors = nn.Parameter(vectors)
        self.log_weights = nn.Parameter(weights.clamp(min=1e-4).log())
        self.register_buffer("counted", counted)
        self.tf = TERM_FREQUENCY[tf]

    def forward(self, ids: Tensor, tf: Tensor, offsets: Tensor) -> Tensor:
        shares = self.tf(tf) * F.embedding(ids, self.log_weights[:, None]).squeeze(-1).exp()
        rows = F.embedding_bag(ids, self.vectors, offsets, mode="sum", per_sample_weights=shares)
        return F.normalize(rows, dim=-1, eps=1e-6)

    @torch.no_grad()
    def folded(self) -> Tensor:
        return (self.log_weights.exp() * self.counted)[:, None] * self.vectors


# New values of a vector of length one, each normally distributed: small, so that the old ones rule at first.
NEW_VALUES = 0.02


def continued(folded: Tensor, dimension: int, seed: int) -> tuple[Tensor, Tensor]:
    """(vectors [vocab, dimension], weights [vocab]) to go on with from a folded table as wide or less so."""
    if folded.shape[1] > dimension:
        raise ValueError(f"exit 0 has {folded.shape[1]} values a piece, more than the {dimension} asked for")
    lengths = folded.norm(dim=-1)
    more = (len(folded), dimension - folded.shape[1])
    added = NEW_VALUES * torch.randn(more, generator=torch.Generator().manual_seed(seed))
    vectors = torch.cat((F.normalize(folded, dim=-1), added * (lengths > 0)[:, None]), dim=1)
    return vectors, lengths / lengths[lengths > 0].mean()


def batches(sources: np.ndarray, settings: Exit0Settings, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of all full batches of one epoch; blocks of `group` rows share a source."""
    order = rng.permutation(len(sources))
    if settings.group > 1:
        order = order[np.argsort(sources[order], kind="stable")]
        blocks = [order[at : at + settings.group] for at in range(0, len(order), settings.group)]
        order = np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])
    for at in range(0, len(order) - settings.batch + 1, settings.batch):
        yield order[at : at + settings.batch]


def train_table(
    table: Table,
    queries: list[Bags],
    documents: list[Bags],
    sources: np.ndarray,
    groups: np.ndarray,
    settings: Exit0Settings,
    after_epoch: Callable[[int, float, float], None],
) -> None:
    """Train in place; each epoch every pair is seen once, in one of its variants."""
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    torch.set_flush_denormal(
        True
    )  # likelihoods of far negatives underflow, and denormals cost a CPU ten times
    loss_of = Contrastive(settings.scale, settings.nested)
    optimiser = torch.optim.Adam(
        [
            {"params": [table.vectors], "lr": settings.lr},
            {"params": [table.log_weights], "lr": settings.weight_lr},
        ],
        betas=(0.9, 0.99),
        fused=True,
    )
    steps = settings.epochs * (len(sources) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: (
            min(1.0, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1))))
        ),
    )
    for epoch in range(settings.epochs):
        began, total, count = time.time(), 0.0, 0
        for rows in batches(sources, settings, rng):
            bags = (
                queries[rng.integers(len(queries))].take(rows),
                documents[rng.integers(len(documents))].take(rows),
            )
            asked, found = table(*_dropped(*_joined(*bags), settings, rng)).split(len(rows))
            with autocast("cpu"):
                loss = loss_of(asked, found, torch.from_numpy(groups[rows]))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        after_epoch(epoch, total / max(count, 1), time.time() - began)


def _joined(
    first: tuple[Tensor, Tensor, Tensor], second: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """One lookup for both sides: the gradient of the table is made once."""
    offsets = torch.cat((first[2], second[2] + len(first[0])))
    return torch.cat((first[0], second[0])), torch.cat((first[1], second[1])), offsets


def _dropped(
    ids: Tensor, tf: Tensor, offsets: Tensor, settings: Exit0Settings, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Some pieces weigh nothing for once, so that no text is known by a single word."""
    if not settings.word_dropout:
        return ids, tf, offsets
    kept = rng.random(len(tf), dtype=np.float32) >= settings.word_dropout
    return ids, tf * torch.from_numpy(kept), offsets


def as_model(table: Table, settings: Exit0Settings, record: dict[str, object]) -> ModularStarEncoder:
    """A checkpoint of exit 0 alone: unit vectors, and weights that carry all of the length."""
    folded = table.folded()
    lengths = folded.norm(dim=-1)
    config = ModularStarConfig(
        vocab_size=len(folded),
        hidden_size=settings.dimension,
        intermediate_size=4 * settings.dimension,
        num_hidden_layers=0,
        exit_layers=[0],
        dimension=settings.dimension,
        nested_dimensions=settings.nested,
        exit0_tf=settings.tf,
        training=record,
    )
    model = ModularStarEncoder(config)
    head = model.bag
    with torch.no_grad():
        model.embed_tokens.weight.copy_(F.normalize(table.vectors, dim=-1))
        head.proj.weight.copy_(torch.eye(settings.dimension))
        # The scale of a bag is normalised away; a mean weight of one keeps numbers readable.
        head.token_weight.copy_(lengths / lengths[lengths > 0].mean())
        head.is_word.copy_(table.counted)
    return model


@torch.no_grad()
def start_from(model: ModularStarEncoder, exit0: ModularStarEncoder) -> None:
    """Give a fresh encoder the vectors of a trained exit 0, which then answers exactly as before.

    A wider encoder reads them in its first columns; the others, and punctuation, keep their own start.
    """
    width = exit0.config.hidden_size
    if model.config.hidden_size < width or model.config.dimension != exit0.config.dimension:
        raise ValueError(f"hidden_size must be at least {width} and dimension {exit0.config.dimension}")
    if model.config.vocab_size != exit0.config.vocab_size:
        raise ValueError(f"vocab_size is {model.config.vocab_size}, but exit 0 has {exit0.config.vocab_size}")
    given, head = exit0.bag, model.bag
    words = given.is_word > 0
    model.embed_tokens.weight[words, :width] = exit0.embed_tokens.weight[words]
    head.token_weight.copy_(given.token_weight)
    head.is_word.copy_(given.is_word)
    head.proj.weight.zero_()
    head.proj.weight[:, :width] = given.proj.weight
    head.tf = model.config.exit0_tf = exit0.config.exit0_tf
