"""Edits, refreshes and questions for as long as there is time: as a new index answers, in the same memory."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from random import Random

from bench.torture.material import Counts, Rounds, answers, text_of, write
from modstar_lsp.background.machine import resident_bytes
from modstar_lsp.workspace import Workspace

_COMPARED = 40
#: Edits until memory is first noted, and the seconds between two notes.
SETTLED = 20
NOTED_SECONDS = 600.0


def soak(
    root: Path, base: Path, asked: list[str], chance: Random, rounds: Rounds, counts: Counts
) -> dict[str, int]:
    """Changes `root` and asks; the megabytes held at first, every ten minutes and at the end."""
    number, held, begin = 0, {}, time.monotonic()
    files = len(files_of(root))
    with Workspace.open(root, index_dir=base / "soaked") as workspace:
        workspace.refresh()
        while rounds:
            number += 1
            counts.tried["soaked edits"] += 1
            edit(root, chance, files)

            def trial(number: int = number) -> None:
                workspace.refresh()
                found = answers(workspace, asked)
                if number % _COMPARED == 1 and found != _anew(root, base / "new", asked, workspace, counts):
                    counts.fault("silently wrong", f"soak, edit {number}")

            counts.guarded(f"soak, edit {number}", trial)
            if number == SETTLED:
                held["after 20 edits"] = _megabytes()
            minutes = int((time.monotonic() - begin) // NOTED_SECONDS * NOTED_SECONDS // 60)
            if minutes:
                held.setdefault(f"after {minutes} minutes", _megabytes())
    return {**held, f"after {number} edits": _megabytes()}


def _anew(
    root: Path, folder: Path, asked: list[str], workspace: Workspace, counts: Counts
) -> dict[str, object]:
    """What an index made from nothing answers."""
    shutil.rmtree(folder, ignore_errors=True)
    with Workspace.open(root, index_dir=folder, encoder=workspace.encoder) as twin:
        twin.refresh()
        counts.outcomes["compared with a new index"] += 1
        return answers(twin, asked)


def _megabytes() -> int:
    return resident_bytes(os.getpid()) >> 20


def files_of(root: Path) -> list[Path]:
    """The project's files, sorted."""
    return sorted(file for file in root.rglob("*.*") if file.is_file())


def edit(root: Path, chance: Random, files: int) -> None:
    """One change; the project stays between half and twice as many files as it had."""
    there = files_of(root)
    file = chance.choice(there)
    kind = chance.randrange(4)
    if (kind == 0 and len(there) > files // 2) or len(there) > 2 * files:
        file.unlink()
    elif kind == 1:
        file.rename(file.with_name(f"moved{chance.randrange(10_000)}{file.suffix}"))
    elif kind == 2:
        write(root / f"new/file{chance.randrange(10_000)}.py", text_of(chance, "py", chance.randrange(1_000)))
    else:
        write(file, text_of(chance, file.suffix[1:], chance.randrange(1_000)))
