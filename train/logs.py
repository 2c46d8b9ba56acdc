"""What a run tells: a line a step, curve.csv, and TensorBoard's event files when tensorboard is installed.

What takes longer than SILENT seconds beside a run's steps says how far it is, on standard error.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

CURVE = "curve.csv"
EVENTS = "tensorboard"
# Between two lines of progress, and before the first (seconds).
SILENT = 5.0

Item = TypeVar("Item")


class Progress:
    """How far a piece of work is: "texts encoded: 2048 of 9000, 12 s", never more often than SILENT says.

    total: of the parts that `add` counts, 0 when nobody knows.
    """

    def __init__(self, what: str, total: int = 0):
        self._what, self._total, self._done = what, total, 0
        self._began = self._told = time.monotonic()

    def add(self, parts: int = 1) -> None:
        """So many more parts are done; several threads may say so."""
        self._done += parts
        now = time.monotonic()
        if now - self._told < SILENT:
            return
        self._told = now
        of = f" of {self._total}" if self._total else ""
        print(f"{self._what}: {self._done}{of}, {now - self._began:.0f} s", file=sys.stderr, flush=True)


def counted(items: Iterable[Item], what: str, total: int = 0) -> Iterator[Item]:
    """The items, and how many were taken as `Progress` tells it."""
    progress = Progress(what, total)
    for item in items:
        yield item
        progress.add()


class Log:
    """The log of one run, in its folder; steps after `step` are forgotten, since they will be done again.

    columns: the quantities of every step, in the order of the curve; other quantities are scores of an
    interval evaluation and go into one last column as JSON.
    """

    def __init__(self, folder: Path, columns: Sequence[str], step: int, steps: int):
        self.path = folder / CURVE
        self.columns = list(dict.fromkeys(["step", *columns]))
        self.steps = steps
        self._began = time.monotonic()
        self._forget(step)
        self._fields = self._header() or [*self.columns, "scores"]
        self._board = _board(folder / EVENTS, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, step: int, row: dict[str, float]) -> None:
        """Log what was measured at a step."""
        done, minutes = step / self.steps, (time.monotonic() - self._began) / 60
        shown = " ".join(f"{key} {value:.4g}" for key, value in row.items())
        print(f"[{done:4.0%} {minutes:5.1f} min] step {step} {shown}", flush=True)
        scores = {key: round(value, 4) for key, value in row.items() if key not in self.columns}
        cells = {key: f"{value:.6g}" for key, value in row.items() if key in self.columns}
        fresh = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self._fields, extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerow({"step": step} | cells | {"scores": json.dumps(scores) if scores else ""})
        if self._board is not None:
            for key, value in row.items():
                self._board.add_scalar(f"scores/{key}" if key in scores else f"train/{key}", value, step)

    def _header(self) -> list[str]:
        """The columns of a curve that an earlier version may have begun, which it keeps."""
        if not self.path.is_file():
            return []
        return self.path.read_text(encoding="utf-8").partition("\n")[0].split(",")

    def _forget(self, step: int) -> None:
        if self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines[1:] if int(line.split(",", 1)[0]) <= step]
            self.path.write_text("\n".join(lines[:1] + kept) + "\n", encoding="utf-8")


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
