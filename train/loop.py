"""The training loop: plain, resumable after a kill to the very same weights, logged to curve.csv.

A step is a pure function of (settings, step number): its pairs, their augmentation and its dropout are drawn
from generators seeded with both. A checkpoint therefore needs no more than model, optimiser and step.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from train.data import Augmentation, Pair, augment, group_of
from train.losses import Contrastive, Distillation, MixedExits, MultiExitContrastive, Rounding
from train.model import ModularStarEncoder

STATE = "state.pt"
CURVE = "curve.csv"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What a multi-exit run is told; a JSON file in configs/ holds the same names under "fit"."""

    steps: int = 1000
    batch: int = 512  # pairs whose vectors meet in one contrastive loss
    slice: int = 128  # texts in one forward pass, sorted by length so that little is padding
    query_tokens: int = 48
    code_tokens: int = 160
    lr: float = 6e-4
    embedding_lr: float = 3e-4
    weight_decay: float = 0.01
    warmup: int = 100
    final_lr: float = 0.02  # of the peak, reached by a cosine
    clip: float = 1.0
    scale: float = 20.0
    floor: float = 0.5  # least weight of an exit's loss; the paper has none
    mixed: float = 1.0  # weight of the loss over mixed exits
    distil: float = 1.0  # weight of the distillation to the deepest exit
    kl: float = 1.0  # of it, the share of the similarity distributions
    int8_noise: bool = True
    group: int = 8  # pairs of one repository side by side in a batch
    keep_exit0: bool = (
        True  # exit 0 was trained by itself: what it reads of the embedding table stays as it is
    )
    bf16: bool = True
    merge: float = (
        1.0  # share of the run in the final weights, the rest being its start (Wortsman et al. 2022)
    )
    seed: int = 0
    checkpoint_minutes: float = 3.0
    evaluate_steps: int = 0
    minutes: float = 0.0  # stop, with a checkpoint, after so long (0: never)


Report = Callable[[int, ModularStarEncoder], dict[str, float]]


class Fit:
    """One run in one folder: `state.pt` (resumed when present), `curve.csv`, `config.json`."""

    def __init__(
        self,
        model: ModularStarEncoder,
        tokenizer: Tokenizer,
        pairs: Sequence[Pair],
        settings: FitSettings,
        folder: Path,
        augmentation: Augmentation | None = None,
        report: Report | None = None,
    ):
        self.model, self.tokenizer, self.pairs = model, tokenizer, pairs
        self.settings, self.folder, self.report = settings, folder, report
        self.augmentation = augmentation or Augmentation()
        depths = model.depths
        contrastive = Contrastive(settings.scale, tuple(model.config.nested_dimensions))
        self.at_exits = MultiExitContrastive(
            contrastive, depths, model.config.num_hidden_layers, settings.floor
        )
        self.mixed = MixedExits(contrastive)
        self.distillation = Distillation(settings.scale, settings.kl, (0,) if settings.keep_exit0 else ())
        self.rounding = Rounding() if settings.int8_noise else nn.Identity()
        if settings.keep_exit0 and 0 in depths:
            keep_exit0(model)
        self.optimiser = torch.optim.AdamW(self._parameter_groups(), betas=(0.9, 0.98), eps=1e-6)
        self.sources = np.asarray(
            _numbered([f"{pair.source.split('#')[0]} {pair.language}" for pair in pairs])
        )
        self.groups = np.asarray([group_of(pair) for pair in pairs])
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE).is_file():
            self._resume()

    def _parameter_groups(self) -> list[dict[str, Any]]:
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        embeddings: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            if name.startswith("embed_tokens"):
                embeddings.append(parameter)
            else:
                (decayed if parameter.ndim > 1 else others).append(parameter)
        settings = self.settings
        return [
            {"params": decayed, "peak": settings.lr, "weight_decay": settings.weight_decay},
            {"params": others, "peak": settings.lr, "weight_decay": 0.0},
            {"params": embeddings, "peak": settings.embedding_lr, "weight_decay": 0.0},
        ]

    # ---- the loop -----------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train to the last step; False when stopped before it (time up, SIGTERM), with the state saved."""
        torch.set_flush_denormal(
            True
        )  # likelihoods of far negatives underflow, and denormals cost a CPU ten times
        stop = _StopSignal()
        began = saved = time.monotonic()
        limit = self.settings.minutes * 60
        with stop.caught():
            while self.step < self.settings.steps:
                row = self.train_step()
                self.step += 1
                last = self.step == self.settings.steps
                due = self.settings.evaluate_steps and self.step % self.settings.evaluate_steps == 0
                if self.report and (due or last):
                    row.update(self.report(self.step, self.model))
                self._log(row, began)
                now = time.monotonic()
                over = stop.asked or (limit and now - began > limit)
                if last or over or now - saved > self.settings.checkpoint_minutes * 60:
                    self._save()
                    saved = time.monotonic()
                if over and not last:
                    return False
        return True

    def train_step(self) -> dict[str, float]:
        """One update; what the curve records of it."""
        settings = self.settings
        began = time.monotonic()
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        rows = self.rows_of(self.step)
        rng = random.Random(f"{settings.seed} {self.step}")
        asked, found = zip(*(augment(self.pairs[row], rng, self.augmentation) for row in rows), strict=True)
        rate = self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate

        self.model.train()
        with torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=settings.bf16):
            queries, read_q = self.embed(asked, settings.query_tokens)
            documents, read_d = self.embed(found, settings.code_tokens)
            queries = {e: self.rounding(q) for e, q in queries.items()}
            documents = {e: self.rounding(d) for e, d in documents.items()}
            groups = torch.from_numpy(self.groups[rows]).to(self.model.device)
            loss, each = self.at_exits(queries, documents, groups)
            row = {f"loss_{e}": value for e, value in each.items()}
            if settings.mixed:
                mixed = self.mixed(queries, documents, groups)
                loss, row["mixed"] = loss + settings.mixed * mixed, mixed.item()
            if settings.distil:
                distilled = self.distillation(queries, documents)
                loss, row["distil"] = loss + settings.distil * distilled, distilled.item()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        self.optimiser.step()
        seconds = time.monotonic() - began
        head = {"step": self.step + 1, "loss": loss.item(), "lr": settings.lr * rate, "norm": norm.item()}
        return head | row | {"tokens_per_second": (read_q + read_d) / seconds}

    def embed(self, texts: Sequence[str], longest: int) -> tuple[dict[int, Tensor], int]:
        """Vectors of the texts at every exit, and how many tokens that read, padding included."""
        return embed(self.model, self.tokenizer, texts, longest, self.settings.slice)

    def rows_of(self, step: int) -> np.ndarray:
        """The pairs of a step: each epoch is a new permutation; blocks of `group` share their repository."""
        settings = self.settings
        per_epoch = max(len(self.pairs) // settings.batch, 1)
        epoch, place = divmod(step, per_epoch)
        order = self._order(epoch)
        return order[place * settings.batch : (place + 1) * settings.batch]

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_ordered", None) != epoch:
            rng = np.random.default_rng([self.settings.seed, epoch])
            self._ordered, self._rows = epoch, blocked_order(self.sources, self.settings.group, rng)
        return self._rows

    def _rate(self) -> float:
        settings = self.settings
        if self.step < settings.warmup:
            return (self.step + 1) / settings.warmup
        share = (self.step - settings.warmup) / max(settings.steps - settings.warmup, 1)
        return settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + math.cos(math.pi * share))

    # ---- what is kept -------------------------------------------------------------------------------

    def _save(self) -> None:
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = self.folder / f"{STATE}.new"
        torch.save(state, temporary)
        temporary.replace(self.folder / STATE)

    def _resume(self) -> None:
        state = torch.load(self.folder / STATE, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        curve = self.folder / CURVE
        if curve.is_file():  # steps after the checkpoint will be done again
            lines = curve.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines[1:] if int(line.split(",", 1)[0]) <= self.step]
            curve.write_text("\n".join(lines[:1] + kept) + "\n", encoding="utf-8")

    def _log(self, row: dict[str, float], began: float) -> None:
        shown = " ".join(f"{key} {value:.4g}" for key, value in row.items())
        done = self.step / self.settings.steps
        left = (time.monotonic() - began) / 60
        print(f"[{done:4.0%} {left:5.1f} min] {shown}", flush=True)
        curve = self.folder / CURVE
        exits = [f"loss_{e}" for e in self.model.depths]
        fields = ["step", "loss", "lr", "norm", *exits, "mixed", "distil", "tokens_per_second", "scores"]
        scores = {key: round(value, 4) for key, value in row.items() if key not in fields}
        fresh = not curve.is_file()
        with curve.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fields, extrasaction="ignore")
            if fresh:
                writer.writeheader()
            cells = {key: value if key == "step" else f"{value:.6g}" for key, value in row.items()}
            writer.writerow(cells | {"scores": json.dumps(scores) if scores else ""})


def blocked_order(sources: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation in which blocks of `size` neighbours share a source: negatives as in one repository."""
    order = rng.permutation(len(sources))
    if size > 1:
        order = order[np.argsort(sources[order], kind="stable")]
        blocks = [order[at : at + size] for at in range(0, len(order), size)]
        order = np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])
    return order


def keep_exit0(model: ModularStarEncoder) -> None:
    """Freeze exit 0's head, and those numbers of the embedding table that it reads."""
    head = model.bag
    for parameter in head.parameters():
        parameter.requires_grad_(False)
    read = head.is_word[:, None] * (head.proj.weight.abs().sum(dim=0) > 0).float()[None, :]
    free = 1.0 - read
    model.embed_tokens.weight.register_hook(lambda gradient: gradient * free.to(gradient.device))


@torch.no_grad()
def merge(model: ModularStarEncoder, start: dict[str, Tensor], share: float) -> None:
    """Weights between the start of a run and its end: what was learnt at less cost to what was known."""
    for name, value in model.state_dict().items():
        value.copy_(start[name] + share * (value - start[name]))


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], longest: int) -> list[list[int]]:
    """Token ids of the texts, cut to `longest`; the last of them is always the closing special."""
    lists = [entry.ids for entry in tokenizer.encode_batch_fast(list(texts))]
    return [ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in lists]


def embed(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    longest: int,
    size: int,
    exits: list[int] | None = None,
) -> tuple[dict[int, Tensor], int]:
    """{depth: rows in the order of `texts`}, and how many tokens that read; `size` texts at a time."""
    lists = tokenize(tokenizer, texts, longest)
    order = sorted(range(len(lists)), key=lambda index: len(lists[index]))
    parts: dict[int, list[Tensor]] = {}
    read = 0
    for at in range(0, len(order), size):
        some = [lists[index] for index in order[at : at + size]]
        width = max(map(len, some))
        ids = torch.zeros(len(some), width, dtype=torch.long)
        mask = torch.zeros(len(some), width, dtype=torch.long)
        for row, one in enumerate(some):
            ids[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        read += ids.numel()
        for depth, rows in model(ids.to(model.device), mask.to(model.device), exits).items():
            parts.setdefault(depth, []).append(rows)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return {depth: torch.cat(rows)[back] for depth, rows in parts.items()}, read


@torch.no_grad()
def encode(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    longest: int = 256,
    exits: list[int] | None = None,
    bf16: bool = True,
) -> dict[int, np.ndarray]:
    """{depth: float32 unit rows} for evaluation."""
    model.eval()
    parts: dict[int, list[np.ndarray]] = {}
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16):
        for at in range(0, len(texts), 2048):
            for depth, rows in embed(model, tokenizer, texts[at : at + 2048], longest, 64, exits)[0].items():
                parts.setdefault(depth, []).append(rows.float().cpu().numpy())
    return {depth: np.concatenate(rows) for depth, rows in parts.items()}


class _StopSignal:
    """SIGTERM and SIGINT ask the run to save and stop after the step in hand."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def caught(self) -> Any:
        def ask(*_: object) -> None:
            self.asked = True

        try:
            before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not the main thread: nobody sends us signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _numbered(names: Sequence[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]
