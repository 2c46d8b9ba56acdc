"""Processes killed while they index, and hostile trees given to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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
    begin = time.monotonic()
    _indexing(root, indexes).communicate(timeout=HUNG_SECONDS)
    whole = time.monotonic() - begin

    def trial(number: int) -> None:
        for file in chance.sample(files, len(files) // 3):
            write(file, text_of(chance, file.suffix[1:], chance.randrange(1_000)))
        process = _indexing(root, indexes)
        time.sleep(chance.uniform(0.1, 0.7) * whole)
        counts.outcomes["killed at work" if process.poll() is None else "ended before"] += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
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


def _stars(root: Path) -> None:
    write(root / ".gitignore", "*a" * 10 + "b\n")
    write(root / ("a" * 200 + ".py"), "x = 1\n")


def _empty(root: Path) -> None:
    for number in range(2_000):
        write(root / f"empty/{number}.py", "")


def _fifo(root: Path) -> None:
    if hasattr(os, "mkfifo"):
        for name in (".gitignore", "pipe.py"):
            os.mkfifo(root / name)


def _links(root: Path) -> None:
    (root / "round").symlink_to(root)
    (root / "zero.py").symlink_to("/dev/zero")
    (root / ".modstarignore").symlink_to("/dev/zero")


def _names(root: Path) -> None:
    for name in (
        "a:12:3.py",
        "new\nline.py",
        "tab\t.py",
        "\u202egnp.py",
        "zero\u200bwidth.py",
        "x" * 250 + ".py",
    ):
        write(root / name, "def odd():\n    return 1\n")
    (root / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")


#: Each makes a tree hostile in its own way.
HOSTILE: dict[str, Callable[[Path], object]] = {
    "stars": _stars,
    "double stars": lambda root: write(root / ".gitignore", "**/a/" * 40 + "b\n" + "[a-z]*" * 40 + "\n"),
    "rules": lambda root: write(root / ".gitignore", "".join(f"dir{n}/*.x{n}\n" for n in range(20_000))),
    "haskell": lambda root: write(root / "bomb.hs", "let x =\n" * 20_000),
    "nesting": lambda root: write(root / "deep.py", "(" * 50_000 + ")" * 50_000),
    "json": lambda root: write(root / "deep.json", "[" * 100_000),
    "blocks": lambda root: write(root / "deep.c", "{" * 20_000 + "}" * 20_000),
    "one line": lambda root: write(root / "line.js", "a=1;" * 200_000),
    "strings": lambda root: write(root / "open.py", '"""' + "x " * 200_000),
    "functions": lambda root: write(root / "many.js", "function f(){" * 3_000 + "}" * 3_000),
    "bytes": lambda root: (root / "noise.py").write_bytes(Random(1).randbytes(100_000)),
    "halves": lambda root: (root / "half.py").write_bytes(b"x = '\xed\xa0\x80'\n" * 100),
    "marks": lambda root: write(root / "marks.py", "# \U000e0041\u200b\u202e\x1b]52;c;aGk=\x07\n" * 100),
    "unspaced": lambda root: write(root / "han.py", "# " + "重试失败" * 20_000 + "\n"),
    "empty": _empty,
    "folders": lambda root: write(root / Path(*["d"] * 300) / "deep.py", "x = 1\n"),
    "fifo": _fifo,
    "links": _links,
    "names": _names,
    "notebook": lambda root: write(root / "odd.ipynb", '{"cells": [{"source": 7}, null, {"cell_type": []}]}'),
}  # fmt: skip


def hostile(base: Path, chance: Random, rounds: Rounds, counts: Counts) -> None:
    """Trees that attack who reads them: an honest file beside has to be found, and nothing to hang."""
    names = list(HOSTILE)
    chance.shuffle(names)
    for name in names:
        if not rounds:
            break
        root = base / f"tree-{name.replace(' ', '-')}"
        write(root / "honest.py", "def honest_answer(question):\n    return question\n")
        counts.tried["hostile trees"] += 1
        try:
            HOSTILE[name](root)
        except OSError:
            counts.outcomes["tree that cannot be made here"] += 1
            continue
        for module, arguments in (("index", [str(root)]), ("query", ["honest_answer", str(root)])):
            command = [
                sys.executable,
                "-m",
                f"modstar_lsp.cli.{module}",
                *arguments,
                "--index-dir",
                str(base / "in"),
            ]
            try:
                done = subprocess.run(command, capture_output=True, timeout=HUNG_SECONDS)
            except subprocess.TimeoutExpired:
                counts.fault("hung", f"{module} on {name}")
                break
            if done.returncode or b"Traceback" in done.stderr:
                counts.fault("lost", f"{module} on {name}: {done.stderr.decode('utf-8', 'replace')[-200:]}")
        else:
            counts.outcomes["honest file found"] += 1
