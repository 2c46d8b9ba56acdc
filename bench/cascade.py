"""Quality against milliseconds: the last stage with more and more time to read.

    python -m bench.cascade --eval EVAL --trees TREES [--sets asked,docstrings] [--budgets 0,100,300,1000]

Every question is asked with each budget (milliseconds) in turn, nothing kept from one question to the next,
and the reciprocal rank of the first right hit counts. The table says what was gained over no budget, with an
interval of paired differences, how many candidates could be read, and what the stage took.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bench.asking import ASKED, Question, Sources
from bench.options import numbers
from evaluation.metrics import interval, paired_interval
from evaluation.record import Record, command_line, load, progress, table
from evaluation.sets import SetError
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.readings import KeptReadings
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace

BUDGETS = (0, 100, 300, 1000)
HITS = 10
# Trees of more chunks than these are large: told apart, since the ranking knows less there.
LARGE = 3_000


@dataclass(slots=True)
class Measured:
    """One budget: of each question the reciprocal rank, the seconds, what was read, whether cut short."""

    ranks: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    cut: list[bool] = field(default_factory=list)
    large: list[bool] = field(default_factory=list)


def ask(workspace: Workspace, question: Question, budget: int, into: Measured) -> None:
    """Ask one question with `budget` milliseconds, nothing kept from before."""
    reranker = workspace.encoder.reranker()
    if reranker is not None:
        reranker.kept = KeptReadings()
    options = Options(k=HITS, min_score=0.0, budget=budget / 1000)
    begin = time.perf_counter()
    try:
        found = workspace.search(question.text, options)
    except QueryError:  # a question without a word
        into.ranks.append(0.0)
        return
    into.seconds.append(time.perf_counter() - begin)
    with workspace.snapshot() as snapshot:
        into.large.append(snapshot.n > LARGE)
    right = (rank for rank, hit in enumerate(found.hits, 1) if question.is_right(hit))
    into.ranks.append(1 / next(right, np.inf))
    into.read.append(found.stage.read if found.stage else 0)
    into.cut.append(bool(found.stage and found.stage.cut))


def measure(sources: Sources, of_set: str, budgets: Sequence[int]) -> dict[int, Measured]:
    """The questions of a set, asked with each budget."""
    found = {budget: Measured() for budget in budgets}
    for place in sources.places(of_set, 0):
        for budget in budgets:
            progress(f"{of_set}: {place.name}, {budget} ms")
            for question in place.questions:
                ask(place.workspace, question, budget, found[budget])
    progress("")
    return found


def rows(found: dict[int, Measured]) -> Iterator[list[str]]:
    """A row a budget."""
    first = np.array(next(iter(found.values())).ranks)
    for budget, one in found.items():
        ranks, large = np.array(one.ranks), np.array(one.large)
        milliseconds = np.array(one.seconds) * 1000
        yield [
            f"{budget}",
            str(interval(ranks)),
            f"{(ranks == 1).mean():.3f}",
            str(paired_interval(ranks, first)) if budget else "",
            f"{ranks[large].mean():.3f}" if large.any() else "",
            f"{np.mean(one.read):.1f}",
            f"{np.mean(one.cut):.0%}",
            f"{np.percentile(milliseconds, 50):.0f} / {np.percentile(milliseconds, 95):.0f}",
        ]


HEADER = [
    "budget, ms",
    f"MRR@{HITS}",
    "first",
    "more than without",
    f"over {LARGE} chunks",
    "read",
    "cut short",
    "p50 / p95, ms",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.cascade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--eval", type=Path, required=True, help="folder of the development sets")
    add("--trees", type=Path, required=True, help="folder of the repositories' trees")
    add("--sets", default=ASKED, help="sets to ask, with commas (%(default)s)")
    add(
        "--budgets", type=numbers, default=BUDGETS, help="milliseconds, with commas (default: 0,100,300,1000)"
    )
    add("--bundle", type=Path, help="bundle (default: the one that ships)")
    add("--index-dir", type=Path, help="keep the indexes here, for other benchmarks too")
    add("--out", type=Path, help="folder for a record")
    args = parser.parse_args(argv)
    try:
        bundle = open_bundle(args.bundle)
        if bundle.reranker is None:
            raise SetError(f"{bundle.folder}: this bundle has no reranker, so nothing can be read")
        with tempfile.TemporaryDirectory() as scratch:
            sources = Sources(args.eval, args.trees, args.bundle, args.index_dir or Path(scratch))
            found = {
                name: measure(sources, name, sorted({0, *args.budgets}))
                for name in args.sets.split(",")
                if name
            }
    except (SetError, ModstarError) as error:
        print(f"bench.cascade: {error}", file=sys.stderr)
        return 2
    tables = [
        table(f"{name}: {len(next(iter(one.values())).ranks)} asked", HEADER, list(rows(one)))
        for name, one in found.items()
    ]
    record = Record(
        what="cascade",
        command=command_line("bench.cascade", argv),
        bundle=bundle.digest,
        inputs={},
        results={name: {str(b): asdict(m) for b, m in one.items()} for name, one in found.items()},
        tables=tables,
        notes=[
            "milliseconds are of a whole question in a warm process, nothing kept of the one before",
            load(),
        ],
    )
    print(*tables, sep="\n\n")
    if args.out:
        print(f"\nwritten: {record.write(args.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
