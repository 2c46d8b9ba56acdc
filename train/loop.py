"""Contrastive training of all exits together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from model.encoder import ModularStarEncoder
from model.prompts import Prompts, Text
from train.batches import Batches
from train.data import Augmentation, Pair, augment
from train.encoding import Slice, in_order, tokenize
from train.losses import (
    Contrastive,
    Distillation,
    MixedExits,
    MultiExitContrastive,
    Rounding,
    exit_weights,
)
from train.run import LOSS_PART, Report, Run, RunSettings, TrainingError


@dataclass(frozen=True, slots=True)
class FitSettings(RunSettings):
    """What a multi-exit run is told; a JSON file in configs/ holds the same names under "fit"."""

    batch: int = 512  # pairs whose vectors meet in one contrastive loss
    # Gradient caching (Gao et al. 2021): vectors first, then slice by slice again with gradients. Memory no
    # longer grows with the batch (some 150 kB a token of 6 x 384 without it), for a third more work.
    cached: bool = False
    query_tokens: int = 48
    code_tokens: int = 160
    scale: float = 20.0
    floor: float = 0.5  # least weight of an exit's loss; the paper has none
    summed: bool = False  # the exits' losses add up, as in the paper, where else their weighted mean is taken
    spare_groups: bool = True  # pairs about the same thing are no negatives of each other; the paper's are
    exit_weights: tuple[float, ...] = ()  # of the exits, shallowest first, instead of i / n and the floor
    mixed: float = 1.0  # weight of the loss over mixed exits
    anchor: float | None = None  # there, the share of rows from exit 0 (None: as of any other exit)
    distil: float = 1.0  # weight of the distillation to the deepest exit
    kl: float = 1.0  # of it, the share of the similarity distributions
    int8_noise: bool = True
    group: int = 8  # pairs side by side in a batch: hard negatives of each other, or of one repository
    code_share: float = 0.0  # share of code-to-code pairs in every batch (0: as they come)
    keep_exit0: bool = (
        True  # exit 0 was trained by itself: what it reads of the embedding table stays as it is
    )
    merge: float = (
        1.0  # share of the run in the final weights, the rest being its start (Wortsman et al. 2022)
    )


class Fit(Run):
    """A multi-exit run.

    hard: hard negatives as of `batches.read_hard_negatives`.
    """

    def __init__(
        self,
        model: ModularStarEncoder,
        tokenizer: Tokenizer,
        pairs: Sequence[Pair],
        settings: FitSettings,
        folder: Path,
        augmentation: Augmentation | None = None,
        report: Report | None = None,
        hard: np.ndarray | None = None,
        accelerator: Accelerator | None = None,
    ):
        longest = max(settings.query_tokens, settings.code_tokens)
        positions = model.config.max_position_embeddings
        if longest > positions:
            raise TrainingError(f"texts of {longest} tokens in a model of {positions} positions")
        self.pairs, self.settings = pairs, settings
        self.augmentation = augmentation or Augmentation()
        contrastive = Contrastive(settings.scale, tuple(model.config.nested_dimensions))
        self.at_exits = MultiExitContrastive(contrastive, _exit_weights(model, settings), settings.summed)
        self.prompts = Prompts.of(model.config.training)
        if self.prompts.told() and 0 in model.depths:
            raise TrainingError(
                "exit 0 reads words and no prompts; leave 0 out of exit_layers, or the prompts"
            )
        _check_room(self.prompts, tokenizer, settings)
        self.mixed = MixedExits(contrastive, settings.anchor)
        frozen = (0,) if settings.keep_exit0 else ()
        self.distillation = Distillation(settings.scale, settings.kl, frozen)
        self.rounding = Rounding() if settings.int8_noise else nn.Identity()
        self.free = keep_exit0(model) if settings.keep_exit0 and 0 in model.depths else None
        self.batches = Batches(
            pairs, settings.batch, settings.seed, settings.group, settings.code_share, hard
        )
        super().__init__(model, model, tokenizer, settings, folder, report, accelerator)
        if settings.batch % self.accelerator.num_processes:
            processes = self.accelerator.num_processes
            raise TrainingError(f"batch {settings.batch} is no multiple of the {processes} processes")

    def quantities(self) -> list[str]:
        return ["loss", *(f"loss_{e}" for e in self.model.depths), "mixed", "distil"]

    def told(self) -> dict[str, Any]:
        return super().told() | {"augmentation": asdict(self.augmentation)}

    def gradients(self) -> tuple[dict[str, float], int]:
        """The gradients of the loss by the vectors first, then backwards slice by slice.

        Over several processes every one sees all vectors, and goes back through its own.
        """
        settings = self.settings
        rows = self.batches.rows(self.step)
        rng = random.Random(f"{settings.seed} {self.step}")
        texts = [self._as_read(self.pairs[row], rng) for row in rows]
        asked, found = zip(*texts[self.share(len(rows))], strict=True)
        lists = [
            *tokenize(self.tokenizer, asked, settings.query_tokens),
            *tokenize(self.tokenizer, found, settings.code_tokens),
        ]
        n, world, rank = len(asked), self.accelerator.num_processes, self.accelerator.process_index
        cached = settings.cached or world > 1
        parts = self.sliced(lists)
        kept = self.each(parts, lambda module, number, part: self._vectors(module, number, part, not cached))
        own = in_order(parts, [{e: one.detach().float() for e, one in some.items()} for some in kept])
        leaves: dict[int, Tensor] = {}
        for e, vectors in own.items():
            queries, documents = (self.accelerator.gather(half.contiguous()) for half in vectors.split(n))
            leaves[e] = torch.cat((queries, documents)).requires_grad_()
        loss, row = self.losses(leaves, rows)
        loss.backward()
        places = torch.cat((torch.arange(n) + rank * n, torch.arange(n) + (world + rank) * n)).to(self.device)
        # Every process has the gradient of the whole loss; of what they hand on, the mean is taken.
        slopes = {e: world * leaf.grad[places] for e, leaf in leaves.items() if leaf.grad is not None}

        def back(module: nn.Module, number: int, part: Slice) -> None:
            at = part.places.to(self.device)
            with self.waiting(number, parts):
                vectors = self._vectors(module, number, part, True) if cached else kept[number]
                kept[number] = {}
                learning = [e for e in slopes if vectors[e].requires_grad]
                torch.autograd.backward(
                    [vectors[e] for e in learning], [slopes[e][at].to(vectors[e].dtype) for e in learning]
                )

        self.each(parts, back)
        return {"loss": loss.item(), **row}, sum(map(len, lists)) * world

    def _as_read(self, pair: Pair, rng: random.Random) -> tuple[Text, Text]:
        """(query, document) of a step, each behind its prompt; of code that asks no language is noted."""
        query, code = augment(pair, rng, self.augmentation)
        asks = self.prompts.before_code(query) if pair.kind == "code" else self.prompts.before_query(query)
        return asks, self.prompts.before_code(code, pair.language)

    def adjust_gradients(self) -> None:
        """Leave alone what exit 0 reads of the embedding table."""
        gradient = self.model.embed_tokens.weight.grad
        if self.free is not None and gradient is not None:
            free = self.free.to(gradient.device)
            if isinstance(gradient, DTensor):
                free = distribute_tensor(free, gradient.device_mesh, gradient.placements)
            gradient.mul_(free)

    def _vectors(self, module: nn.Module, number: int, part: Slice, learning: bool) -> dict[int, Tensor]:
        self.reseed(number, module)  # for dropout
        with torch.set_grad_enabled(learning), self.autocast():
            found: dict[int, Tensor] = module(
                part.input_ids.to(self.device), part.attention_mask.to(self.device)
            )
            return found

    def losses(self, vectors: dict[int, Tensor], rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """(what is minimised, its parts) of the vectors of a batch: its queries, then its documents."""
        settings = self.settings
        self.reseed(LOSS_PART)
        n = len(rows)
        with self.autocast():
            queries = {e: self.rounding(both[:n]) for e, both in vectors.items()}
            documents = {e: self.rounding(both[n:]) for e, both in vectors.items()}
            groups = None
            if settings.spare_groups:
                groups = torch.from_numpy(self.batches.groups[rows]).to(self.device)
            loss, each = self.at_exits(queries, documents, groups)
            row = {f"loss_{e}": value for e, value in each.items()}
            if settings.mixed:
                mixed = self.mixed(queries, documents, groups)
                loss, row["mixed"] = loss + settings.mixed * mixed, mixed.item()
            if settings.distil:
                distilled = self.distillation(queries, documents)
                loss, row["distil"] = loss + settings.distil * distilled, distilled.item()
        return loss, row


def _check_room(prompts: Prompts, tokenizer: Tokenizer, settings: FitSettings) -> None:
    """TrainingError where a prompt takes all the tokens that are read, so that all texts would be one."""
    for asked, name in ((prompts.before_query(""), "query_tokens"), (prompts.before_code(""), "code_tokens")):
        taken, read = len(tokenize(tokenizer, [asked], 1 << 20)[0]), getattr(settings, name)
        if asked and taken >= read:
            raise TrainingError(f"{name} {read} leave no room for a text behind a prompt of {taken} tokens")


def _exit_weights(model: ModularStarEncoder, settings: FitSettings) -> dict[int, float]:
    depths = model.depths
    if not settings.exit_weights:
        return exit_weights(depths, model.config.num_hidden_layers, settings.floor)
    if len(settings.exit_weights) != len(depths):
        raise TrainingError(f"{len(settings.exit_weights)} exit_weights for the exits {depths}")
    return dict(zip(depths, settings.exit_weights, strict=True))


def keep_exit0(model: ModularStarEncoder) -> Tensor | None:
    """Freeze exit 0's head; what is left of the embedding's gradient to the deeper exits (None: all)."""
    head = model.bag
    for parameter in head.parameters():
        parameter.requires_grad_(False)
    if head.table is not None:  # it reads nothing of the embedding
        return None
    return 1.0 - head.is_word[:, None] * (head.proj.weight.abs().sum(dim=0) > 0).float()[None, :]
