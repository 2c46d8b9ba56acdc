"""Issues -> the functions that their fixes changed: asked whole, and by their titles alone.

    python -m bench.issues --eval EVAL --trees TREES [--bundle DIR] [--out FOLDER]

The set is made by `bench.issue_functions`. Each issue is asked without a model, at exit 0, and with the best
candidates read (all of them: no time limits it). Acc@k is the share of the issues *all* of whose functions
are among the first k hits, as SweRank has it (Reddy et al., arXiv 2505.07849); "any@k" that of those with one
of them there; MRR@10 is of the first one. Hits are chunks: a long function may take several of the k places.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.asking import ISSUE_FUNCTIONS, ISSUE_TITLES, Question, Sources
from bench.issue_functions import LEFT_OUT
from evaluation.metrics import Floats, interval, paired_interval
from evaluation.record import Record, command_line, progress, table
from evaluation.sets import SetError, json_lines
from modstar_lsp.encoder import open_bundle
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace

HITS = 10
PLACES = (1, 5, 10)
PLAIN = Options(k=HITS, min_score=0.0)
# Seconds for reading: more than all candidates take on any machine.
UNLIMITED = 3_600.0
NO_MODEL, EXIT_0, READ = "no model", "exit 0", "exit 0, candidates read"
WAYS = {NO_MODEL: PLAIN._replace(dense=False), EXIT_0: PLAIN, READ: PLAIN._replace(budget=UNLIMITED)}
WHOLE, TITLE = "whole issue", "title alone"
ASKS = {WHOLE: ISSUE_FUNCTIONS, TITLE: ISSUE_TITLES}
# Words of an issue that make it short, at most, and long, at least: about a third of the set each.
SHORT, LONG = 90, 170


@dataclass(slots=True)
class Measured:
    """What became of each issue.

    first, last: the rank of the first of its functions, and that by which all were shown; inf for none.
    words: how many it was asked in.
    """

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)

    def metrics(self) -> dict[str, Floats]:
        """Every metric, a value an issue."""
        first, last = np.array(self.first), np.array(self.last)
        found = {f"Acc@{k}": (last <= k).astype(float) for k in PLACES}
        found |= {f"any@{k}": (first <= k).astype(float) for k in PLACES}
        return found | {f"MRR@{HITS}": 1 / first}


def ask(workspace: Workspace, question: Question, options: Options, into: Measured) -> None:
    """Ask one issue."""
    try:
        hits = workspace.search(question.text, options).hits
    except QueryError:  # no word in it
        hits = ()
    into.words.append(len(question.text.split()))
    seen: dict[object, int] = {}
    for rank, hit in enumerate(hits, 1):
        for place in question.shown(hit):
            seen.setdefault(place, rank)
    into.first.append(min(seen.values(), default=np.inf))
    into.last.append(max(seen.values()) if len(seen) == question.answers else np.inf)


def measure(sources: Sources, ways: Mapping[str, Options]) -> dict[tuple[str, str], Measured]:
    """Everything asked in every way: {(what is asked, way): measured}."""
    found = {(what, way): Measured() for what in ASKS for way in ways}
    for what, name in ASKS.items():
        for place in sources.places(name, 0):
            for way, options in ways.items():
                progress(f"{what}: {place.name}, {way}")
                for question in place.questions:
                    ask(place.workspace, question, options, found[what, way])
    progress("")
    return found


def tables(found: Mapping[tuple[str, str], Measured]) -> Iterator[str]:
    """Everything with its intervals, what differs, and long issues beside short ones."""
    values = {key: one.metrics() for key, one in found.items()}
    metrics = list(next(iter(values.values())))
    words = np.array(found[WHOLE, EXIT_0].words)
    yield table(
        f"{len(words)} issues, their functions among the first hits",
        ["asked", "", *metrics],
        [[*key, *(str(interval(one[metric])) for metric in metrics)] for key, one in values.items()],
    )
    pairs = [((what, READ), (what, EXIT_0)) for what in ASKS if (what, READ) in values]
    pairs += [((what, EXIT_0), (what, NO_MODEL)) for what in ASKS]
    pairs += [((WHOLE, way), (TITLE, way)) for what, way in values if what == WHOLE]
    yield table(
        "Differences, paired (* excludes 0)",
        ["", "minus", *metrics],
        [
            [", ".join(ours), ", ".join(theirs)]
            + [paired_interval(values[ours][metric], values[theirs][metric]).as_gap() for metric in metrics]
            for ours, theirs in pairs
        ],
    )
    lengths = {
        f"at most {SHORT} words": words <= SHORT,
        "between": (words > SHORT) & (words < LONG),
        f"{LONG} words and more": words >= LONG,
    }
    yield table(
        f"MRR@{HITS} by the issue's length",
        ["asked", "", *(f"{name} ({some.sum()})" for name, some in lengths.items())],
        [
            [
                *key,
                *(
                    f"{one[f'MRR@{HITS}'][some].mean():.3f}" if some.any() else ""
                    for some in lengths.values()
                ),
            ]
            for key, one in values.items()
        ],
    )


def notes(folder: Path) -> Iterator[str]:
    """What a reader must know about the set in `folder`."""
    yield "Acc@k: all functions of an issue are among the first k hits (SweRank's); any@k: one of them"
    yield "one version of each repository is searched, later than most issues: it may hold the fix already"
    if (folder / LEFT_OUT).is_file():
        reasons = Counter(json.loads((folder / LEFT_OUT).read_text("utf-8")).values())
        yield "left out: " + ", ".join(f"{count} ({reason})" for reason, count in sorted(reasons.items()))
    gone = [row for row in json_lines(folder / "queries.jsonl") if row.get("gone")]
    if gone:
        yield f"{len(gone)} issues ask for fewer functions than were changed: the tree lacks the others"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.issues",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    add("--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/...")
    add("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    add("--index-dir", type=Path, metavar="DIR", help="keep the indexes here, for other benchmarks too")
    add("--unread", action="store_true", help="only the first answers: reading takes minutes")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="where the record goes")
    args = parser.parse_args(argv)
    try:
        bundle = open_bundle(args.bundle)
        reads = bundle.reranker is not None and not args.unread
        ways = {way: options for way, options in WAYS.items() if way != READ or reads}
        with tempfile.TemporaryDirectory(prefix="modstar-issues-") as scratch:
            sources = Sources(args.eval, args.trees, args.bundle, args.index_dir or Path(scratch))
            found = measure(sources, ways)
        record = Record(
            what="issues",
            command=command_line("bench.issues", argv),
            bundle=bundle.digest,
            inputs=sources.functions(ISSUE_FUNCTIONS).digests,
            results={what: {way: _result(found[what, way]) for way in ways} for what in ASKS},
            tables=list(tables(found)),
            notes=list(notes(args.eval / ISSUE_FUNCTIONS)),
        )
    except (SetError, ModstarError) as error:
        print(f"bench.issues: {error}", file=sys.stderr)
        return 2
    written = record.write(args.out)
    print("\n".join(record.notes), *record.tables, f"written: {written.name}", sep="\n\n")
    return 0


def _result(one: Measured) -> dict[str, object]:
    """For the record: means with their intervals, and the ranks of each issue (None: beyond the hits)."""
    means = {metric: interval(values) for metric, values in one.metrics().items()}
    shown = {
        metric: {"mean": round(i.mean, 4), "low": round(i.low, 4), "high": round(i.high, 4)}
        for metric, i in means.items()
    }
    ranks = {
        name: [int(rank) if rank <= HITS else None for rank in some]
        for name, some in (("first", one.first), ("last", one.last))
    }
    return {"metrics": shown, "ranks": ranks}


if __name__ == "__main__":
    sys.exit(main())
