"""Edits, refreshes and questions for as long as there is time: as a new index answers, in the same memory."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from bench.torture.material import Counts, Deadline, answers, text_of, write
from modstar_lsp.background.machine import resident_bytes
from modstar_lsp.workspace import Workspace

_COMPARED = 40
_SETTLED = 20


def soak(
    root: Path, base: Path, asked: list[str], chance: Random, seconds: float, counts: Counts
) -> dict[str, int]:
    """Changes `root` and asks; the megabytes held after the first rounds and at the end."""
    number, held = 0, {}
    with Workspace.open(root, index_dir=base / "soaked") as workspace:
        workspace.refresh()
        rounds = Deadline(seconds)
        while rounds:
            number += 1
            counts.tried["soaked edits"] += 1
            _edit(root, chance)

            def trial(number: int = number) -> None:
                workspace.refresh()
                found = answers(workspace, asked)
                if number % _COMPARED == 1:
                    with Workspace.open(
                        root, index_dir=base / f"new{number}", encoder=workspace.encoder
                    ) as twin:
                        twin.refresh()
                        counts.outcomes["compared with a new index"] += 1
                        if found != answers(twin, asked):
                            counts.fault("silently wrong", f"soak, edit {number}")

            counts.guarded(f"soak, edit {number}", trial)
            if number == _SETTLED:
                held["after 20 edits"] = resident_bytes(os.getpid()) >> 20
    return {**held, f"after {number} edits": resident_bytes(os.getpid()) >> 20}


def _edit(root: Path, chance: Random) -> None:
    files = sorted(file for file in root.rglob("*.*") if file.is_file())
    file = chance.choice(files)
    deed = chance.randrange(4)
    if deed == 0 and len(files) > 10:
        file.unlink()
    elif deed == 1:
        file.rename(file.with_name(f"moved{chance.randrange(10_000)}{file.suffix}"))
    elif deed == 2:
        write(root / f"new/file{chance.randrange(10_000)}.py", text_of(chance, "py", chance.randrange(1_000)))
    else:
        write(file, text_of(chance, file.suffix[1:], chance.randrange(1_000)))
