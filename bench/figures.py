"""What a benchmark of times and sizes finds: figures beside their promises, shown at once and kept."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.record import Record, command_line, load, table

_HELD = {True: "yes", False: "no", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. held: None where nothing was promised."""

    what: str
    measured: str
    promise: str = ""
    held: bool | None = None


@dataclass(slots=True, kw_only=True)
class Figures:
    """Where to work, and what was found there. load: the machine's, before and after the parts."""

    work: Path
    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    load: str = ""
    _scratch: int = 0

    def note(self, what: str, measured: str, promise: str = "", held: bool | None = None) -> None:
        """Keep a figure and show it at once: a run takes minutes."""
        self.figures.append(Figure(what, measured, promise, held))
        promised = f" (promised: {promise})" if promise else ""
        print(f"{what}: {measured}{promised}", file=sys.stderr, flush=True)

    def empty(self) -> Path:
        """A new empty folder."""
        self._scratch += 1
        folder = self.work / "scratch" / str(self._scratch)
        folder.mkdir(parents=True)
        return folder

    def run(self, parts: Iterable[Callable[[Any], None]]) -> None:
        """Do the parts one after the other, the scratch folders cleared before and after."""
        shutil.rmtree(self.work / "scratch", ignore_errors=True)
        before = load()
        for part in parts:
            part(self)
        shutil.rmtree(self.work / "scratch", ignore_errors=True)
        self.load = f"before: {before}; after: {load()}"

    def results(self) -> dict[str, Any]:
        """For the record."""
        figures = [[one.what, one.measured, one.promise, one.held] for one in self.figures]
        return {"figures": figures, "raw": self.raw}

    def table(self, title: str) -> str:
        """For people."""
        rows = [[one.what, one.measured, one.promise, _HELD[one.held]] for one in self.figures]
        return table(title, ["what", "measured", "promised", "held"], rows)

    def publish(
        self,
        what: str,
        argv: Sequence[str],
        *,
        bundle: str,
        title: str,
        out: Path,
        inputs: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Write the record of `python -m bench.WHAT ARGV` into `out`, and show its table.

        bundle, inputs: digests of what was measured.  notes: beside the machine's load.
        """
        record = Record(
            what=what,
            command=command_line(f"bench.{what}", argv),
            bundle=bundle,
            inputs=inputs or {},
            results=self.results(),
            tables=[self.table(title)],
            notes=[self.load, *notes],
        )
        written = record.write(out)
        print(*record.tables, f"written: {written.name}", sep="\n\n")


def bytes_in(folder: Path) -> int:
    """The size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
