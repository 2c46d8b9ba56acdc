"""Clone detection after training, as on BigCloneBench: do two functions do the same? At every exit.

    python -m train clones --checkpoint CHECKPOINT --data BIGCLONEBENCH --config modstar-1b --out FOLDER

The encoder is trained on together with a classifier an exit, which reads what is between the embeddings of
the two, or (`joint`, the paper's way, arXiv 2503.03008) the state of <cls> behind both in one text:
<sep> first <sep> second <cls>. The loss is the cross-entropy at every exit, weighted i/n as in the paper.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.metrics import Detection, detection
from evaluation.published.clones import BigCloneBench, ClonePairs
from model.encoder import ModularStarEncoder
from model.prompts import Text
from train.encoding import Slice, slices, tokenize
from train.logs import Progress
from train.losses import exit_weights
from train.run import Run, RunSettings, TrainingError


@dataclass(frozen=True, slots=True)
class ClonesSettings(RunSettings):
    """What a run is told; "clones" in a configuration. Steps, batch, rate and warm-up are the paper's."""

    steps: int = 14_000
    batch: int = 64  # pairs
    tokens: int = 512  # of a function, or of both together when joint
    lr: float = 1e-5
    embedding_lr: float = 1e-5
    warmup: int = 2_000
    joint: bool = False


class CloneClassifier(nn.Module):
    """The encoder under a classifier an exit. Exit 0 is left out: it was trained by itself."""

    def __init__(self, encoder: ModularStarEncoder, joint: bool):
        super().__init__()
        self.encoder, self.joint = encoder, joint
        self.depths = [depth for depth in encoder.depths if depth]
        if not self.depths:
            raise TrainingError("a classifier needs an exit below a layer; this encoder has exit 0 alone")
        config = encoder.config
        width = config.hidden_size if joint else 2 * config.dimension
        self.classifiers = nn.ModuleDict({str(depth): nn.Linear(width, 2) for depth in self.depths})
        for module in self.classifiers.modules():
            encoder._init_weights(module)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[int, Tensor]:
        """{depth: logits [n, 2], other and clone}; not joint, row i and row n + i of the 2n are a pair."""
        if self.joint:
            rows = torch.arange(len(input_ids), device=input_ids.device)
            last = attention_mask.sum(dim=1) - 1
            states = self.encoder.states(input_ids, attention_mask, self.depths[-1])
            read = {depth: one[rows, last] for depth, one in states if depth in self.depths}
        else:
            both = self.encoder(input_ids, attention_mask, self.depths)
            read = {depth: between(*rows.chunk(2)) for depth, rows in both.items()}
        return {depth: self.classifiers[str(depth)](one).float() for depth, one in read.items()}


def between(first: Tensor, second: Tensor) -> Tensor:
    """What a classifier reads of two embeddings [n, d]: [n, 2d], the same whichever comes first."""
    return torch.cat(((first - second).abs(), first * second), dim=-1)


class Clones(Run):
    """A run over the train pairs."""

    def __init__(
        self,
        model: ModularStarEncoder,
        tokenizer: Tokenizer,
        known: BigCloneBench,
        settings: ClonesSettings,
        folder: Path,
        accelerator: Accelerator | None = None,
    ):
        if settings.tokens > model.config.max_position_embeddings:
            positions = model.config.max_position_embeddings
            raise TrainingError(f"texts of {settings.tokens} tokens in a model of {positions} positions")
        self.known, self.settings = known, settings
        self.pairs = known.pairs("train")
        self.classifier = CloneClassifier(model, settings.joint)
        self.weights = exit_weights(self.classifier.depths, model.config.num_hidden_layers, 0.0)
        super().__init__(self.classifier, model, tokenizer, settings, folder, None, accelerator)
        if self.accelerator.num_processes > 1:
            raise TrainingError("clones are learnt by one process; start it without accelerate")

    def quantities(self) -> list[str]:
        return [
            "loss",
            *(f"{what}_{depth}" for what in ("loss", "right") for depth in self.classifier.depths),
        ]

    def adjust_gradients(self) -> None:
        """Nothing to change."""

    def gradients(self) -> tuple[dict[str, float], int]:
        rng = random.Random(f"{self.settings.seed} {self.step} clones")
        rows = np.asarray([rng.randrange(len(self.pairs)) for _ in range(self.settings.batch)])
        texts = self._tokens(self.pairs, rows)
        wanted = torch.from_numpy(self.pairs.clone[rows].astype(np.int64))
        parts = slices(
            [[token for ids in some for token in ids] for some in texts], self.settings.slice_tokens
        )

        def back(module: nn.Module, number: int, part: Slice) -> dict[str, float]:
            self.reseed(number, module)
            places = part.places.tolist()
            true = wanted[part.places].to(self.device)
            with self.autocast():
                found = module(*self._padded([texts[place] for place in places]))
            losses = {depth: F.cross_entropy(one, true, reduction="sum") for depth, one in found.items()}
            total = torch.stack([self.weights[depth] * loss for depth, loss in losses.items()]).sum()
            (total / len(rows)).backward()  # type: ignore[no-untyped-call]
            right = {f"right_{d}": float((one.argmax(dim=-1) == true).sum()) for d, one in found.items()}
            return {f"loss_{depth}": loss.item() for depth, loss in losses.items()} | right

        measured = self.each(parts, back)
        row = {key: sum(one[key] for one in measured) / len(rows) for key in self.quantities()[1:]}
        loss = sum(weight * row[f"loss_{depth}"] for depth, weight in self.weights.items())
        return {"loss": loss, **row}, sum(len(ids) for some in texts for ids in some)

    @torch.no_grad()
    def told_apart(self, split: str) -> dict[int, Detection]:
        """How well the pairs of a split are told at each exit, by what is likelier."""
        pairs = self.known.pairs(split)
        self.classifier.eval()
        told = {depth: np.zeros(len(pairs), dtype=bool) for depth in self.classifier.depths}
        progress = Progress("pairs told apart", len(pairs))
        for at in range(0, len(pairs), self.settings.batch):
            rows = np.arange(at, min(at + self.settings.batch, len(pairs)))
            with self.autocast():
                found = self.classifier(*self._padded(self._tokens(pairs, rows)))
            for depth, logits in found.items():
                told[depth][rows] = (logits.argmax(dim=-1) == 1).cpu().numpy()
            progress.add(len(rows))
        return {depth: detection(one, pairs.clone) for depth, one in told.items()}

    def _tokens(self, pairs: ClonePairs, rows: np.ndarray) -> list[list[list[int]]]:
        """For each pair the one text of both when joint, else the two texts."""
        first, second = (
            [self.known.functions[at] for at in side[rows]] for side in (pairs.first, pairs.second)
        )
        longest = self.settings.tokens
        if self.settings.joint:
            half = [self._cut(texts, longest // 2) for texts in (first, second)]
            both: Sequence[Text] = list(zip(*half, strict=True))
            return [[ids] for ids in tokenize(self.tokenizer, both, longest)]
        sides = (tokenize(self.tokenizer, texts, longest) for texts in (first, second))
        return [list(both) for both in zip(*sides, strict=True)]

    def _cut(self, texts: list[str], most: int) -> list[str]:
        """The texts up to their first `most` - 2 tokens, so that the second of two is read as well."""
        entries = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        room = most - 2
        return [
            text if len(entry.ids) <= room else text[: entry.offsets[room - 1][1]]
            for text, entry in zip(texts, entries, strict=True)
        ]

    def _padded(self, texts: Sequence[list[list[int]]]) -> tuple[Tensor, Tensor]:
        """(ids, mask): all first texts, then all second ones."""
        lists = [some[side] for side in range(len(texts[0])) for some in texts]
        width = max(map(len, lists))
        ids = torch.zeros((len(lists), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(lists):
            ids[row, : len(one)] = torch.as_tensor(one)
            mask[row, : len(one)] = 1
        return ids.to(self.device), mask.to(self.device)


def line(found: dict[int, Detection]) -> str:
    """F1, precision and recall at each exit, an exit a line."""
    return "\n".join(
        f"exit {depth}: F1 {one.f1:.3f}, precision {one.precision:.3f}, recall {one.recall:.3f}"
        for depth, one in found.items()
    )
