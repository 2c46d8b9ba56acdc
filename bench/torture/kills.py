"""Processes killed while they index: the next one finishes what they began."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from bench.torture.material import HUNG_SECONDS, Counts, Rounds, answers, text_of, write
from modstar_lsp.workspace import Workspace


def _indexing(root: Path, indexes: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "modstar_lsp.cli.index", str(root), "--index-dir", str(indexes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kills(root: Path, base: Path, asked: list[str], chance: Random, rounds: Rounds, counts: Counts) -> None:
    """Kills the program that indexes `root` at any moment; the next one has to finish what it began.

    Between two kills some files change, so that there is always something to do.
    """
    files = sorted(file for file in root.rglob("*") if file.is_file())
    indexes, twin = base / "killed", base / "twin"
    _indexing(root, indexes).communicate(timeout=HUNG_SECONDS)

    def change() -> None:
        for file in chance.sample(files, len(files) // 3):
            write(file, text_of(chance, file.suffix[1:], chance.randrange(1_000)))

    change()
    begin = time.monotonic()
    _indexing(root, indexes).communicate(timeout=HUNG_SECONDS)
    lasts = time.monotonic() - begin

    def killed_at_work() -> bool:
        change()
        process = _indexing(root, indexes)
        time.sleep(chance.uniform(0.1, 1.0) * lasts)
        at_work = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts.outcomes["killed at work" if at_work else "ended before"] += 1
        return at_work

    def trial(number: int) -> None:
        while not killed_at_work():
            pass
        with Workspace.open(root, index_dir=indexes) as workspace:
            if workspace.notice:
                counts.fault("lost", f"kill {number}: {workspace.notice}")
            workspace.refresh()
            found = answers(workspace, asked)
            with Workspace.open(root, index_dir=twin, encoder=workspace.encoder) as other:
                other.refresh()
                if found != answers(other, asked):
                    counts.fault("silently wrong", f"kill {number}")

    number = 0
    while rounds:
        counts.tried["kills"] += 1
        counts.guarded(f"kill {number}", lambda number=number: trial(number))  # type: ignore[misc]
        number += 1
