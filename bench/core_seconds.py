"""What the language server costs a battery: core-seconds of a question, of a saved file, of a day of work.

    python -m bench.core_seconds --tree FOLDER [--questions 40] [--saves 40] [--out FOLDER]

The tree is copied, indexed, and served over a pipe. Then, one after the other: questions answered at once,
other questions with the editors' 300 ms of reading, the same ones again (what was read is kept), and files
saved one by one. Processor time of the server and its children is looked at before and after each, less what
it spends doing nothing. A day is 100 questions and 400 saved files in eight hours. Processor time is what is
measured, so that other programs hardly matter.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from bench.lsp import TELLS, Client, tell
from bench.options import positive
from bench.speed import QUESTIONS
from evaluation.record import Record, command_line, progress, table, tree_digest
from evaluation.sets import SetError
from modstar_lsp.encoder import open_bundle
from modstar_lsp.errors import ModstarError

DAY_QUESTIONS, DAY_SAVES, DAY_HOURS = 100, 400, 8
# What editors let a question read for, milliseconds.
READING = 300
# Seconds of doing nothing that are looked at, and the rest after each part.
IDLE, REST = 30, 1.0
# Questions before anything is measured.
WARM = 10
# Words that make a question of the list another one, which nothing was read for.
_ANOTHER = (
    "when it fails",
    "for each user",
    "before it starts",
    "in one place",
    "with a timeout",
    "on errors",
)

# What is saved, and what begins a comment there, where that is not `//`.
_SOURCES = {".py", ".js", ".ts", ".go", ".rs", ".java", ".rb", ".php", ".c", ".cpp", ".cs", ".kt"}
_COMMENT = {".py": "#", ".rb": "#"}


def questions(count: int, *, other: bool) -> list[str]:
    """`count` questions; `other` ones share none with those that are not."""
    ends = _ANOTHER[1::2] if other else _ANOTHER[::2]
    many = [f"{text} {end}" for end in ends for text in QUESTIONS]
    return [many[at % len(many)] for at in range(count)]


def spent(client: Client) -> float:
    """Processor time of the server and its children so far, those that ended included."""
    server = psutil.Process(client.pid)
    total = 0.0
    for one in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def cost(client: Client, work: Callable[[], None], idle: float = 0.0) -> float:
    """Core-seconds of `work` and of what it sets off, less `idle` a second."""
    before, begin = spent(client), time.perf_counter()
    work()
    time.sleep(REST)
    return max(spent(client) - before - idle * (time.perf_counter() - begin), 0.0)


def measure(tree: Path, asked: int, saves: int, rest: int = IDLE) -> dict[str, float]:
    """Core-seconds by what they are of: a second idle, a question of each kind, a saved file.

    rest: seconds of doing nothing that are looked at.
    """
    with tempfile.TemporaryDirectory(prefix="modstar-core-seconds-") as scratch:
        copy = Path(scratch) / "tree"
        shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(".git"))
        saved = _saved(copy)
        command = [sys.executable, "-m", "modstar_lsp.server"]
        with Client(command, Path(scratch) / "indexes") as client:
            client.open(copy, TELLS)
            client.ready()
            for text in questions(WARM, other=False):
                client.search(text, budget=READING)
            found: dict[str, float] = {}
            progress("doing nothing")
            before = spent(client)
            time.sleep(rest)
            idle = found["idle"] = (spent(client) - before) / rest

            def ask(budget: int, other: bool) -> None:
                for text in questions(asked, other=other):
                    client.search(text, budget=budget)

            for name, budget, other in (
                ("at once", 0, False),
                ("read", READING, True),
                ("again", READING, True),
            ):
                progress(f"asking: {name}")
                found[name] = cost(client, partial(ask, budget, other), idle) / asked
            progress("saving")
            found["saved"] = statistics.mean(
                cost(client, partial(_save, client, saved[at * 7 % len(saved)], at), idle)
                for at in range(saves)
            )
    progress("")
    return found


def _saved(tree: Path) -> list[Path]:
    """The tree's larger source files. Raises SetError where there is none."""
    files = sorted(
        (
            path
            for path in tree.rglob("*.*")
            if path.suffix in _SOURCES and 2_000 < path.stat().st_size < 60_000
        ),
        key=lambda path: path.relative_to(tree).as_posix(),
    )
    if not files:
        raise SetError(f"{tree}: no source file of 2 to 60 kB to save")
    return files


def _save(client: Client, file: Path, number: int) -> None:
    """Writes another line to the end of a file, and tells the server."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{_COMMENT.get(file.suffix, '//')} saved {number}\n")
    tell(client, [file])


def day(found: dict[str, float], question: str) -> float:
    """Core-seconds of a day whose questions are answered as `question` says, idle hours included."""
    return DAY_QUESTIONS * found[question] + DAY_SAVES * found["saved"] + DAY_HOURS * 3600 * found["idle"]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 measured, 2 an error told in one line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.core_seconds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tree", type=Path, required=True, help="the project that is worked on; it is copied"
    )
    parser.add_argument("--questions", type=positive, default=40)
    parser.add_argument("--saves", type=positive, default=40)
    parser.add_argument("--idle", type=positive, default=IDLE, help="seconds of doing nothing (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args(argv)
    try:
        if not args.tree.is_dir():
            raise SetError(f"{args.tree}: no such folder")
        found = measure(args.tree, args.questions, args.saves, args.idle)
        digest = open_bundle(None).digest
    except (SetError, ModstarError) as error:
        print(f"bench.core_seconds: {error}", file=sys.stderr)
        return 2
    record = Record(
        "core-seconds", command_line("bench.core_seconds", argv), digest, {"tree": tree_digest(args.tree)}
    )
    record.results["core_seconds"] = {name: round(value, 5) for name, value in found.items()}
    rows = [
        ["a question, answered at once", f"{found['at once']:.3f}"],
        [f"a question, {READING} ms of reading", f"{found['read']:.3f}"],
        ["the same question again", f"{found['again']:.3f}"],
        ["a saved file", f"{found['saved']:.3f}"],
        ["an hour of doing nothing", f"{3600 * found['idle']:.1f}"],
        [
            f"a day: {DAY_QUESTIONS} questions at once, {DAY_SAVES} saves, {DAY_HOURS} hours",
            f"{day(found, 'at once'):.0f}",
        ],
        ["the same day, questions read", f"{day(found, 'read'):.0f}"],
    ]
    record.tables.append(table(f"{args.tree.name}: core-seconds", ["of", "core-seconds"], rows))
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
