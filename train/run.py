"""A run of training: steps, their log, and a state to go on from after a kill, to the very same weights.

A step is a pure function of (settings, step number): what it reads, how that is changed and its dropout are
drawn from generators seeded with both. A state therefore needs no more than model, optimiser and step.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import InitProcessGroupKwargs
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder
from model.precision import autocast
from model.tokenizer import as_transformers
from train.encoding import Slice, slices
from train.logs import Log
from train.resumed import as_saved, differences
from train.state import load_state, save_snapshot, save_state
from train.workers import Copies, Copy, keep_freed_memory

SCHEDULES = ("cosine", "trapezoid", "steps")
# Of the settings of any kind of run.
POSITIVE = "steps batch tokens query_tokens code_tokens slice_tokens group scale clip".split()
# Of an encoder's configuration, what decides what it computes.
SHAPE = sorted(inspect.signature(ModularStarConfig).parameters.keys() - {"training", "others"})
# While one process scores or saves, the others wait for it at the next thing that all do together.
PATIENCE = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What every run is told."""

    steps: int = 1000
    # Tokens of one forward pass, padding included; texts are sorted by length so that little of it is.
    slice_tokens: int = 4096
    workers: int = 0  # copies of the model on a CPU (0: one a core); see workers.py
    lr: float = 6e-4
    embedding_lr: float = 3e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = 100
    # "cosine"; "trapezoid": level, then falling over the last `decay` of the steps; or "steps", as in the
    # paper: level, and from each milestone on the factor of the peak that stands at its place.
    schedule: str = "cosine"
    decay: float = 0.25
    milestones: tuple[int, ...] = ()  # steps, rising
    factors: tuple[float, ...] = ()
    final_lr: float = 0.02  # of the peak, reached at the end
    clip: float = 1.0
    bf16: bool = True
    seed: int = 0
    checkpoint_minutes: float = 3.0
    snapshot_minutes: float = 0.0  # keep the model alone, scored, after every so long (0: never)
    evaluate_steps: int = 0
    minutes: float = 0.0  # stop, with the state saved, after so long (0: never)


Report = Callable[[int, ModularStarEncoder], dict[str, float]]


class TrainingError(Exception):
    """A run cannot go on; the message is one line for the user."""


def processes() -> Accelerator:
    """This process among those that `accelerate launch` started: the same each time it is asked for.

    TrainingError when several were started and each would run alone, over the others' files.
    """
    found = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != found.num_processes:
        raise TrainingError(
            f"{started} processes were started and find no devices for each; for several on a CPU set "
            "ACCELERATE_USE_CPU=true"
        )
    return found


class Unsplit(nn.Module):
    """What is trained, for sharding: accelerate would make the embedding a shard of its own, gathered for its
    own forward alone, and exit 0 reads its weights elsewhere."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *given: Any) -> Any:
        return self.module(*given)


class Run(ABC):
    """One run in one folder: its state (resumed when present), snapshots, curve.csv and TensorBoard events.

    module: what is trained, `model` or something around it. report: scores of the model, asked for every
    `evaluate_steps`, with every snapshot and at the end. accelerator: where and on how many devices to run
    (default: what `accelerate launch` said, else one, the GPU when there is one).
    """

    def __init__(
        self,
        module: nn.Module,
        model: ModularStarEncoder,
        tokenizer: Tokenizer,
        settings: RunSettings,
        folder: Path,
        report: Report | None = None,
        accelerator: Accelerator | None = None,
    ):
        if settings.schedule not in SCHEDULES:
            raise TrainingError(f"schedule {settings.schedule!r} is none of {', '.join(SCHEDULES)}")
        _check_milestones(settings)
        for name in POSITIVE:
            if not getattr(settings, name, 1) > 0:
                raise TrainingError(f"{name} {getattr(settings, name)!r} must be more than 0")
        self.model, self.tokenizer, self.folder, self.report = model, tokenizer, folder, report
        self.plan = settings
        self.accelerator = accelerator or processes()
        self.sharded = self.accelerator.distributed_type == DistributedType.FSDP
        if self.sharded and any(parameter.ndim == 0 for parameter in module.parameters()):
            raise TrainingError(
                "exits that build on exit 0 have a gain, a single number, which cannot be sharded; "
                "have accelerate give every process all weights"
            )
        groups, self._peaks = self._parameter_groups(module)
        optimiser = torch.optim.AdamW(groups, betas=settings.betas, eps=1e-6, fused=True)
        self.module, self.optimiser = self.accelerator.prepare(
            Unsplit(module) if self.sharded else module, optimiser
        )
        # One process on a CPU trains by copies; devices and several processes by what accelerate made of it.
        alone = self.accelerator.num_processes == 1 and self.device.type == "cpu"
        self.copies = Copies(module, settings.workers, settings.bf16) if alone else None
        self.step, self.seconds = 0, 0.0
        self.changed: list[str] = []  # of the settings, since the run began
        folder.mkdir(parents=True, exist_ok=True)
        if head := load_state(self.accelerator, folder):
            self.step, self.seconds = head["step"], head["seconds"]
            self._notice(head)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.accelerator.device

    def _parameter_groups(self, module: nn.Module) -> tuple[list[dict[str, Any]], list[float]]:
        """(AdamW's groups, the peak rate of each)."""
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        embeddings: list[nn.Parameter] = []
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            if "embed_tokens" in name:
                embeddings.append(parameter)
            else:
                (decayed if parameter.ndim > 1 else others).append(parameter)
        settings = self.plan
        groups = [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
            {"params": embeddings, "weight_decay": 0.0},
        ]
        return groups, [settings.lr, settings.lr, settings.embedding_lr]

    def told(self) -> dict[str, Any]:
        """All that decides what is learnt, by name: the settings, the encoder's shape, the data."""
        config = self.model.config
        shape = {name: getattr(config, name, None) for name in SHAPE}
        return {**asdict(self.plan), "model": shape, "data": config.training.get("data", "")}

    def _notice(self, head: dict[str, Any]) -> None:
        """Say in one line what the state was not made with; a record tells it too."""
        self.changed = head.get("changed", [])
        now = differences(head["told"], as_saved(self.told())) if "told" in head else []
        if now and self.accelerator.is_main_process:
            print(
                f"train: {self.folder} goes on from step {self.step} with {'; '.join(now)}", file=sys.stderr
            )
        self.changed += [f"from step {self.step}: {one}" for one in now]

    @abstractmethod
    def quantities(self) -> list[str]:
        """What `train_step` measures, in the order of the curve's columns."""

    @abstractmethod
    def gradients(self) -> tuple[dict[str, float], int]:
        """Leave the gradients of step `self.step` in the parameters; what was measured, and tokens read."""

    def run(self) -> bool:
        """Train to the last step; False when stopped before it (time up, SIGTERM), with the state saved."""
        # Likelihoods of far negatives underflow, and denormals cost a CPU ten times.
        torch.set_flush_denormal(True)
        keep_freed_memory()
        settings = self.plan
        began = saved = kept = time.monotonic()
        columns = ["lr", "norm", *self.quantities(), "tokens_per_second"]
        main = self.accelerator.is_main_process
        with contextlib.ExitStack() as around:
            stop = around.enter_context(StopSignal())
            log = around.enter_context(Log(self.folder, columns, self.step, settings.steps)) if main else None
            while self.step < settings.steps:
                row = self.train_step()
                last, now = self.step == settings.steps, time.monotonic()
                pause = settings.snapshot_minutes * 60
                snapshot = self._any(bool(pause) and (now - kept > pause or last))
                due = settings.evaluate_steps and self.step % settings.evaluate_steps == 0
                scores: dict[str, float] = {}
                if snapshot or (self.report and (due or last)):
                    model = self.whole()
                    if main and self.report:
                        scores = self.report(self.step, model)
                    if main and snapshot:
                        self._snapshot(model, scores)
                if snapshot:
                    kept = time.monotonic()
                if log:
                    log.write(self.step, row | scores)
                over = self._any(stop.asked or bool(settings.minutes and now - began > settings.minutes * 60))
                if last or over or self._any(now - saved > settings.checkpoint_minutes * 60):
                    head = {"seconds": self.seconds, "told": as_saved(self.told()), "changed": self.changed}
                    save_state(self.accelerator, self.folder, self.step, head)
                    saved = time.monotonic()
                if over and not last:
                    return False
        return True

    def train_step(self) -> dict[str, float]:
        """One update; what the curve records of it."""
        began = time.monotonic()
        rate = self._rate()
        for group, peak in zip(self.optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * rate
        self.module.train()
        self.optimiser.zero_grad(set_to_none=True)
        if self.copies:
            self.copies.refresh()
        row, read = self.gradients()
        if self.copies:
            self.copies.collect()
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                f"the loss is no number at step {self.step + 1}; go on from {self.folder} with a lower lr"
            )
        self.adjust_gradients()
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.plan.clip)
        self.optimiser.step()
        self.step += 1
        seconds = time.monotonic() - began
        self.seconds += seconds
        return {"lr": self.plan.lr * rate, "norm": float(norm), **row, "tokens_per_second": read / seconds}

    @abstractmethod
    def adjust_gradients(self) -> None:
        """Change in the gradients what a kind of run has to before they are used."""

    def whole(self) -> ModularStarEncoder:
        """The encoder with all its weights, to be asked for in every process: `model` itself, but where that
        is sharded a copy of it in the main process."""
        if not self.sharded:
            return self.model
        weights = self.weights_of(self.model)
        if not self.accelerator.is_main_process:
            return self.model
        model = ModularStarEncoder(self.model.config)
        model.load_state_dict(weights)
        return model.to(self.device)  # type: ignore[arg-type]

    def weights_of(self, part: nn.Module) -> dict[str, Tensor]:
        """All weights of a part of what is trained, to be asked for in every process; where they are sharded
        only the main process gets any."""
        if not self.sharded:
            return part.state_dict()
        prefix = next(name for name, one in self.module.named_modules() if one is part) + "."
        found = self.accelerator.get_state_dict(self.module)
        return {name.removeprefix(prefix): one for name, one in found.items() if name.startswith(prefix)}

    # ---- for the kinds of runs ------------------------------------------------------------------------

    def share(self, n: int) -> slice:
        """Which of n items of a step are this process's."""
        size = n // self.accelerator.num_processes
        return slice(self.accelerator.process_index * size, (self.accelerator.process_index + 1) * size)

    def sliced(self, lists: Sequence[Sequence[int]]) -> list[Slice]:
        """The texts of a step in slices; as many in every process: sharded weights are gathered together."""
        parts = slices(lists, self.plan.slice_tokens)
        if self.accelerator.num_processes > 1:
            numbers = self.accelerator.gather(torch.tensor([len(parts)], device=self.device))
            parts = slices(lists, 0, int(numbers.max()))
        return parts

    def each(self, parts: Sequence[Slice], work: Callable[[nn.Module, int, Slice], Any]) -> list[Any]:
        """work(module, number, part) of all parts, on all the cores or on the one device."""
        if self.copies:
            return self.copies.each(parts, work)
        return [work(self.module, number, part) for number, part in enumerate(parts)]

    def waiting(self, number: int, parts: Sequence[Slice]) -> contextlib.AbstractContextManager[Any]:
        """Within it gradients stay in their process, unless the part is the last of its step."""
        last = number + 1 == len(parts)
        return contextlib.nullcontext() if last or self.copies else self.accelerator.no_sync(self.module)

    def autocast(self) -> torch.autocast:
        """bf16 where the settings want it and the device has units for it."""
        return autocast(self.device.type, self.plan.bf16)

    def reseed(self, part: int, module: nn.Module | None = None) -> None:
        """Have what `module` draws next depend on this step, part and process; without a module, as what all
        processes draw alike, on step and part alone."""
        if module is not None:
            part = part * self.accelerator.num_processes + self.accelerator.process_index
        seed = (self.plan.seed * 1_000_003 + self.step) * 10_007 + part
        if isinstance(module, Copy):
            module.reseed(seed)
        else:
            torch.manual_seed(seed)

    def _any(self, here: bool) -> bool:
        """Whether it is so in any process: clocks and signals differ, and all must do the same."""
        if self.accelerator.num_processes == 1:
            return here
        return bool(self.accelerator.reduce(torch.tensor(float(here), device=self.device)).item())

    def _snapshot(self, model: ModularStarEncoder, scores: dict[str, float]) -> None:
        words = as_transformers(self.tokenizer, model.config.max_position_embeddings)
        save_snapshot(model, self.folder, self.step, scores, words.save_pretrained)

    def _rate(self) -> float:
        settings = self.plan
        if self.step < settings.warmup:
            return (self.step + 1) / settings.warmup
        if settings.schedule == "steps":
            passed = bisect_right(settings.milestones, self.step)
            return settings.factors[passed - 1] if passed else 1.0
        share = (self.step - settings.warmup) / max(settings.steps - settings.warmup, 1)
        if settings.schedule == "trapezoid":
            falling = min(1.0, (1.0 - share) / max(settings.decay, 1e-9))
        else:
            falling = 0.5 * (1 + math.cos(math.pi * share))
        return settings.final_lr + (1 - settings.final_lr) * falling


def _check_milestones(settings: RunSettings) -> None:
    """TrainingError for milestones that are no schedule."""
    if settings.schedule != "steps" and (settings.milestones or settings.factors):
        raise TrainingError(f'milestones belong to the schedule "steps", not to {settings.schedule!r}')
    if len(settings.milestones) != len(settings.factors):
        raise TrainingError(f"{len(settings.factors)} factors for {len(settings.milestones)} milestones")
    if list(settings.milestones) != sorted(set(settings.milestones)):
        raise TrainingError(f"the milestones {list(settings.milestones)} must rise")


# The part of a step, for `reseed`, that is none of its slices.
LOSS_PART = 9_999


class StopSignal:
    """SIGTERM and SIGINT ask the run to save and stop after the step in hand."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        def ask(*_: object) -> None:
            self.asked = True

        with contextlib.suppress(ValueError):  # not the main thread: nobody sends us signals
            self._before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
