"""A warm question as a process, with and without a running server, beside ripgrep on the same tree.

    python -m bench.handover --trees FOLDER [--names requests,flask] [--rounds 40] [--out FOLDER]

alone    `modstar-query`, which imports numpy and does the work itself.
server   the same command while a language server runs, which hands it over (`cli/handover.py`).
rg       `rg -i` for all content words of the question, its output into a pipe like theirs.
python   `python -c pass`: what no command of Python can be faster than.

All four take turns, first and last swapped from round to round, each with the next question; milliseconds on
the clock, from starting a process to its end. Both of ours have an index of their own and must print the
same. Ratios are of each round's pair, so that another program's load falls on both; the median of them is
shown. Linux alone: elsewhere no server takes a command over.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import lsp, ripgrep
from bench.figures import Figures
from bench.options import names, positive, trees_of
from bench.speed import QUESTIONS, installed, taking_turns
from evaluation.record import Record, command_line, progress, tree_digest
from evaluation.sets import SetError
from modstar_lsp import private_socket
from modstar_lsp.encoder import open_bundle
from modstar_lsp.errors import ModstarError

ALONE, SERVER, RG, PYTHON = "alone", "server", "rg", "python"
ROUNDS = 40
# Seconds until a server must have its process for commands: it waits for five by itself.
_RESIDENT_SECONDS = 120.0
_QUERY = tuple(installed("modstar-query", "modstar_lsp.cli.query"))
_LSP = (sys.executable, "-m", "modstar_lsp.server")


def ran(command: Sequence[str], tree: Path) -> tuple[float, str]:
    """(milliseconds, what was printed) of a process in `tree`. Raises SetError where it fails."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, errors="replace", check=False)
    took = (time.perf_counter() - begin) * 1e3
    if done.returncode not in (0, 1):  # found, nothing found
        raise SetError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return took, done.stdout


def commands(tree: Path, alone: Path, served: Path) -> Mapping[str, Callable[[str], Sequence[str]]]:
    """What is run for a question. alone, served: folders of indexes, a server runs for the second alone."""
    return {
        ALONE: lambda text: [*_QUERY, "--index-dir", str(alone), text, str(tree)],
        SERVER: lambda text: [*_QUERY, "--index-dir", str(served), text, str(tree)],
        RG: lambda text: [
            ripgrep.program(),
            "-n",
            "-i",
            "-F",
            *(word for one in ripgrep.words_of(text) for word in ("-e", one)),
            "./",
        ],
        PYTHON: lambda text: [sys.executable, "-c", "pass"],
    }


def await_resident(indexes: Path) -> None:
    """Wait until somebody takes commands over for the indexes in a folder. Raises SetError."""
    address = private_socket.address(str(indexes.absolute()))
    deadline = time.monotonic() + _RESIDENT_SECONDS
    while True:
        there = private_socket.connect(address, 1.0) if address else None
        if there is not None:
            there.close()
            return
        if not address or time.monotonic() > deadline:
            raise SetError("no server took commands over: it does so on Linux alone")
        time.sleep(0.1)


def measure(tree: Path, work: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each command in each round. Raises SetError, also where the answers differ."""
    alone, served = work / "alone", work / "served"
    asked = commands(tree, alone, served)
    for text in (QUESTIONS[0], QUESTIONS[1]):  # the first makes the index, the next reads it again
        ran(asked[ALONE](text), tree)
        ran(asked[SERVER](text), tree)
    took: dict[str, list[float]] = {name: [] for name in asked}
    with lsp.Client(_LSP, served, ("--exit", "0")) as client:
        client.open(tree, lsp.TELLS_NOT)
        client.ready()
        await_resident(served)
        for text in QUESTIONS:  # nobody's first
            if ran(asked[ALONE](text), tree)[1] != ran(asked[SERVER](text), tree)[1]:
                raise SetError(f"{tree.name}: the server answers {text!r} otherwise")
        for number, order in enumerate(taking_turns(list(asked), rounds)):
            progress(f"{tree.name}: round {number + 1} of {rounds}")
            for name in order:
                took[name].append(ran(asked[name](QUESTIONS[number % len(QUESTIONS)]), tree)[0])
        await_resident(served)  # still the same way
    progress("")
    return took


def note(figures: Figures, tree: str, took: Mapping[str, Sequence[float]]) -> None:
    """Keep the figures of a tree."""
    figures.raw[tree] = {name: [round(ms, 2) for ms in some] for name, some in took.items()}
    for name, some in took.items():
        p95 = statistics.quantiles(some, n=20)[-1] if len(some) > 1 else some[0]
        figures.note(f"{tree}: {name}, p50 / p95", f"{statistics.median(some):.1f} / {p95:.1f} ms")
    for ours, theirs in ((SERVER, ALONE), (SERVER, RG), (ALONE, RG), (SERVER, PYTHON)):
        ratio = statistics.median(a / b for a, b in zip(took[ours], took[theirs], strict=True))
        figures.note(f"{tree}: {ours} / {theirs}, median of the rounds", f"{ratio:.2f}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.handover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--trees", type=Path, required=True, metavar="FOLDER", help="folder of the trees")
    add("--names", type=names, default=(), help="trees to ask, with commas (default: all)")
    add(
        "--rounds",
        type=positive,
        default=ROUNDS,
        metavar="N",
        help="processes of each (default: %(default)s)",
    )
    add("--out", type=Path, metavar="FOLDER", help="folder for a record")
    args = parser.parse_args(argv)
    try:
        trees = [tree.absolute() for tree in trees_of(args.trees, args.names)]
        ripgrep.program()
        digest = open_bundle(None).digest
        # The path of a socket has room for little.
        with tempfile.TemporaryDirectory(prefix="mh-") as work:
            figures = Figures(work=Path(work))

            def part(tree: Path) -> Callable[[Figures], None]:
                folder = Path(work) / tree.name
                return lambda into: note(into, tree.name, measure(tree, folder, args.rounds))

            figures.run([part(tree) for tree in trees])
    except (SetError, ModstarError) as error:
        print(f"bench.handover: {error}", file=sys.stderr)
        return 2
    shown = figures.table(f"a warm question as a process, {args.rounds} of each")
    print(shown)
    if args.out:
        record = Record(
            what="handover",
            command=command_line("bench.handover", argv),
            bundle=digest,
            inputs={tree.name: tree_digest(tree) for tree in trees},
            results=figures.results(),
            tables=[shown],
            notes=[figures.load],
        )
        print(f"\nwritten: {record.write(args.out).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
