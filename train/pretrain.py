"""Pre-training: masked language modelling and repository-level in-context classification, at every exit.

    python -m train pretrain --config default --windows FOLDER --tokenizer TOKENIZER --out CHECKPOINT

An example is a window of code snippets, `<sep>` s1 `<sep>` s2 ... `<cls>`. Half of the windows are of one
repository; of the others the second half comes from another, and the state of `<cls>` has to tell. One head
for each task serves all exits and is told the exit by a small embedding of it beside the state, after
Gurioli et al. (arXiv 2503.03008): sum over exits i of i/n (MLM_i + ICC_i).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from model.tokenizer import SPECIALS
from train.data import CorpusError, read_lines
from train.encoding import Slice
from train.losses import exit_weights
from train.run import Report, Run, RunSettings, TrainingError

HEADS = "pretraining_heads.safetensors"
IGNORED = -100


@dataclass(frozen=True, slots=True)
class PretrainSettings(RunSettings):
    """What a pre-training run is told; "pretrain" in a configuration."""

    batch: int = 64  # windows a step
    tokens: int = 512  # of a window
    masked: float = (
        0.15  # of the tokens; 80 % become <mask>, 10 % another token, 10 % stay (Devlin et al. 2019)
    )
    other: float = 0.5  # of the windows hold two repositories
    mlm: float = 1.0  # weight of the one loss
    icc: float = 1.0  # and of the other
    conditional: int = 4  # size of an exit's embedding


@dataclass(frozen=True, slots=True)
class Window:
    """Snippets of one repository, in reading order."""

    snippets: tuple[str, ...]
    source: str


def read_windows(folder: Path) -> Iterator[Window]:
    """The windows of the *.jsonl(.zst) files in a folder: lines with `snippets` and `src`."""
    files = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.zst")]) if folder.is_dir() else []
    found = 0
    for file in files:
        for line in read_lines(file):
            try:
                row = json.loads(line)
                snippets = tuple(one for one in row["snippets"] if one.strip())
                source = str(row["src"])
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # a broken line costs no more than itself
            if len(snippets) >= 2:
                found += 1
                yield Window(snippets, source)
    if not found:
        raise CorpusError(
            f"{folder}: no windows in {len(files)} files; make some by `python -m train.data harvest`"
        )


@dataclass(frozen=True, slots=True)
class Example:
    """ids with some masked; labels: the token that was there, IGNORED elsewhere; same: one repository."""

    ids: list[int]
    labels: list[int]
    same: bool


def example(
    windows: Sequence[Window], row: int, tokenizer: Tokenizer, rng: random.Random, how: PretrainSettings
) -> Example:
    """The window of a row as one step sees it."""
    window = windows[row]
    snippets = list(window.snippets)
    same = rng.random() >= how.other
    if not same:
        stranger = next(
            (
                one
                for one in (windows[rng.randrange(len(windows))] for _ in range(20))
                if one.source != window.source
            ),
            None,
        )
        if stranger is None:
            same = True
        else:
            half = len(snippets) // 2
            snippets = snippets[: len(snippets) - half] + list(stranger.snippets)[-half:]
    sep, cls, mask = (tokenizer.token_to_id(token) for token in ("<sep>", "<cls>", "<mask>"))
    room = max((how.tokens - 1) // len(snippets) - 1, 1)
    ids: list[int] = []
    for entry in tokenizer.encode_batch_fast(snippets, add_special_tokens=False):
        ids += [sep, *entry.ids[:room]]
    ids.append(cls)
    labels = [IGNORED] * len(ids)
    for place, token in enumerate(ids):
        if token < len(SPECIALS) or rng.random() >= how.masked:
            continue
        labels[place] = token
        kind = rng.random()
        if kind < 0.8:
            ids[place] = mask
        elif kind < 0.9:
            ids[place] = rng.randrange(len(SPECIALS), tokenizer.get_vocab_size())
    return Example(ids, labels, same)


class SharedHeads(nn.Module):
    """One head for masked tokens and one for windows, told which exit they serve."""

    def __init__(self, hidden: int, vocabulary: int, exits: Sequence[int], conditional: int, epsilon: float):
        super().__init__()
        self.exits = list(exits)
        self.conditional_embeddings = nn.Embedding(len(exits), conditional)
        self.transform = nn.Linear(hidden + conditional, hidden)
        self.norm = nn.LayerNorm(hidden, eps=epsilon)
        self.decoder = nn.Linear(hidden, vocabulary)
        self.seq_relationship = nn.Linear(hidden + conditional, 2)

    def tokens(self, states: Tensor, depth: int) -> Tensor:
        """Logits [n, vocabulary] of token states [n, hidden]."""
        logits: Tensor = self.decoder(self.norm(F.gelu(self.transform(self._told(states, depth)))))
        return logits

    def windows(self, states: Tensor, depth: int) -> Tensor:
        """Logits [n, 2] of the states of `<cls>`: two repositories, one."""
        logits: Tensor = self.seq_relationship(self._told(states, depth))
        return logits

    def _told(self, states: Tensor, depth: int) -> Tensor:
        which = self.conditional_embeddings.weight[self.exits.index(depth)].to(states.dtype)
        return torch.cat((states, which.expand(len(states), -1)), dim=-1)


class Pretraining(nn.Module):
    """The encoder under its pre-training heads; its loss is a sum over tokens and windows, per exit."""

    def __init__(self, encoder: ModularStarEncoder, conditional: int = 4):
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.depths = [depth for depth in encoder.depths if depth]
        if not self.depths:
            raise TrainingError("pre-training needs an exit below a layer; exit_layers names none")
        self.heads = SharedHeads(
            config.hidden_size, config.vocab_size, self.depths, conditional, config.norm_epsilon
        )
        for module in self.heads.modules():
            encoder._init_weights(module)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, same: Tensor
    ) -> dict[str, Tensor]:
        """{"mlm_d": summed cross-entropy, "icc_d": of the windows, "right_d": windows told right}."""
        row, column = (labels != IGNORED).nonzero(as_tuple=True)
        wanted = labels[row, column]
        last = attention_mask.sum(dim=1) - 1
        found: dict[str, Tensor] = {}
        for depth, states in self.encoder.states(input_ids, attention_mask, self.depths[-1]):
            if depth not in self.depths:
                continue
            guessed = self.heads.tokens(states[row, column], depth).float()
            told = self.heads.windows(
                states[torch.arange(len(states), device=states.device), last], depth
            ).float()
            found[f"mlm_{depth}"] = F.cross_entropy(guessed, wanted, reduction="sum")
            found[f"icc_{depth}"] = F.cross_entropy(told, same, reduction="sum")
            found[f"right_{depth}"] = (told.argmax(dim=-1) == same).float().sum()
        return found


def _check_repositories(windows: Sequence[Window], settings: PretrainSettings) -> None:
    """TrainingError where the in-context loss has nothing to learn: all windows of one repository."""
    if settings.icc and settings.other and all(one.source == windows[0].source for one in windows):
        raise TrainingError(
            f"all {len(windows)} windows are of one repository ({windows[0].source}): the in-context loss "
            "has nothing to tell apart; give windows of several, or set icc to 0"
        )


class Pretrain(Run):
    """A pre-training run over windows."""

    def __init__(
        self,
        model: ModularStarEncoder,
        tokenizer: Tokenizer,
        windows: Sequence[Window],
        settings: PretrainSettings,
        folder: Path,
        report: Report | None = None,
        accelerator: Accelerator | None = None,
    ):
        if settings.tokens > model.config.max_position_embeddings:
            positions = model.config.max_position_embeddings
            raise TrainingError(f"windows of {settings.tokens} tokens in a model of {positions} positions")
        _check_repositories(windows, settings)
        self.windows, self.settings = windows, settings
        self.training = Pretraining(model, settings.conditional)
        self.weights = exit_weights(self.training.depths, model.config.num_hidden_layers, 0.0)
        model.heads.requires_grad_(False)  # of fine-tuning
        super().__init__(self.training, model, tokenizer, settings, folder, report, accelerator)
        if settings.batch % self.accelerator.num_processes:
            processes = self.accelerator.num_processes
            raise TrainingError(f"batch {settings.batch} is no multiple of the {processes} processes")

    def quantities(self) -> list[str]:
        return [
            "loss",
            *(f"{what}_{depth}" for what in ("mlm", "icc", "right") for depth in self.training.depths),
        ]

    def adjust_gradients(self) -> None:
        """Nothing to change."""

    def gradients(self) -> tuple[dict[str, float], int]:
        settings = self.settings
        order = random.Random(f"{settings.seed} {self.step} windows")
        rows = [order.randrange(len(self.windows)) for _ in range(settings.batch)]
        some = [
            example(
                self.windows,
                row,
                self.tokenizer,
                random.Random(f"{settings.seed} {self.step} {place}"),
                settings,
            )
            for place, row in enumerate(rows)
        ]
        masked = max(sum(label != IGNORED for one in some for label in one.labels), 1)
        mine = some[self.share(len(some))]
        world = self.accelerator.num_processes
        parts = self.sliced([one.ids for one in mine])

        def back(module: nn.Module, number: int, part: Slice) -> dict[str, float]:
            self.reseed(number, module)
            labels = torch.full_like(part.input_ids, IGNORED)
            for place, row in enumerate(part.places.tolist()):
                labels[place, : len(mine[row].labels)] = torch.as_tensor(mine[row].labels)
            same = torch.as_tensor([int(mine[row].same) for row in part.places.tolist()])
            given = (part.input_ids, part.attention_mask, labels, same)
            with self.waiting(number, parts):
                with self.autocast():
                    found = module(*(one.to(self.device) for one in given))
                total = sum(
                    weight
                    * (
                        settings.mlm * found[f"mlm_{depth}"] / masked
                        + settings.icc * found[f"icc_{depth}"] / len(some)
                    )
                    for depth, weight in self.weights.items()
                )
                # Over several processes the mean of the gradients is taken, and these are parts of a sum.
                (world * total).backward()
            return {key: value.item() for key, value in found.items()}

        measured = self.each(parts, back)
        keys = self.quantities()[1:]
        sums = torch.tensor([sum(one[key] for one in measured) for key in keys], device=self.device)
        if world > 1:
            sums = self.accelerator.reduce(sums)
        row = {
            key: float(value) / (masked if key.startswith("mlm") else len(some))
            for key, value in zip(keys, sums, strict=True)
        }
        loss = sum(
            weight * (settings.mlm * row[f"mlm_{depth}"] + settings.icc * row[f"icc_{depth}"])
            for depth, weight in self.weights.items()
        )
        return {"loss": loss, **row}, sum(len(one.ids) for one in some)

    def save(self, folder: Path) -> None:
        """The encoder as a checkpoint, the heads of pre-training beside it; to be called in every process."""
        model, heads = self.whole(), self.weights_of(self.training.heads)
        if self.accelerator.is_main_process:
            model.heads.requires_grad_(True)
            model.save_pretrained(folder)
            save_file({name: value.contiguous() for name, value in heads.items()}, folder / HEADS)
