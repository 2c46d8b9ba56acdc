"""Measure a change of the ranking with what anybody can have: this repository and the packages that it pins.

    python -m bench.public --out OUT [--only celery maplibre-gl] [--exits 0,4] [--bundle DIR]

Lays the packages of `train/data/questions/packages.jsonl` that are held out below OUT/trees, checked by their
digests (pip, npm and Debian's tools fetch them; one that cannot be had is told and left out), and asks

questions   the project's own, written by reading code (train/data/questions/README.md): hard on purpose
docstrings  of the Python packages, cut out of a copy, as in bench.docstrings

of each at every exit, beside the ranking without a model. A hit counts when it shows a function that answers.
Run it before and after a change, on the same packages: the tables and a record stand in OUT/results. What is
fetched stays, so a second run needs no network.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.asking import deepen_where_asked
from bench.options import depths, numbers
from evaluation.docstrings import cut_docstrings
from evaluation.metrics import Floats, interval, paired_interval
from evaluation.record import Record, command_line, file_digest, progress, table
from evaluation.sets import Function
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace
from train.data.lines import CorpusError
from train.data.questions.__main__ import QUESTIONS
from train.data.questions.checks import read_questions
from train.data.questions.packages import MANIFEST, Package, lay_out, read_packages

# Hits asked for; the rank of the first right one counts.
HITS = 10
WITHOUT = "without a model"

# {set: {row: reciprocal rank of each question}}
Ranks = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the functions any of which answers it."""

    text: str
    answers: tuple[Function, ...]


def chosen_packages(packages: Sequence[Package], only: Sequence[str]) -> list[Package]:
    """Those named in `only`, or the held-out ones when none is. Raises CorpusError for an unknown name."""
    unknown = set(only) - {one.name for one in packages}
    if unknown:
        raise CorpusError(
            f"no package {min(unknown)} in the manifest; leave --only out for the held-out ones"
        )
    return [one for one in packages if (one.name in only if only else one.held_out)]


def laid_out(packages: Sequence[Package], trees: Path) -> list[Package]:
    """The packages whose tree is there or could be had; of each other a line says why not."""
    there = []
    for one in packages:
        progress(f"fetching {one.name}")
        try:
            lay_out(one, trees)
        except CorpusError as error:
            progress("")
            print(f"bench.public: {error}", file=sys.stderr)
        else:
            there.append(one)
    progress("")
    return there


def written(questions: Path, packages: Sequence[Package]) -> dict[str, list[Asked]]:
    """The written questions about `packages`, by package. Raises CorpusError."""
    found: dict[str, list[Asked]] = {one.name: [] for one in packages}
    for one in read_questions(questions):
        if one.package in found:
            also = [Function(place["path"], *place["lines"]) for place in one.also]
            found[one.package].append(Asked(one.text, (Function(one.path, *one.lines), *also)))
    return found


def workspaces(
    packages: Sequence[Package], questions: Path, trees: Path, work: Path, encoder: Encoder
) -> Iterator[tuple[str, str, Workspace, list[Asked]]]:
    """(set, package, its index, what is asked), each closed when the next is asked for.

    work: an empty folder for the indexes, which a later run would find deepened, and for copies.
    """

    def opened(root: Path) -> Workspace:
        workspace = Workspace.open(root, index_dir=work / "indexes", encoder=encoder)
        workspace.refresh()
        return workspace

    about = written(questions, packages)
    for one in packages:
        with opened(trees / one.name) as workspace:
            yield "questions", one.name, workspace, about[one.name]
    for one in packages:
        if "python" not in one.languages:
            continue
        copy = work / one.name
        made = cut_docstrings(trees / one.name, copy)
        with opened(copy) as workspace:
            asked = [Asked(each.text, (Function(each.path, each.line, each.line),)) for each in made]
            yield "docstrings", one.name, workspace, asked


def reciprocal_rank(workspace: Workspace, asked: Asked, options: Options) -> float:
    """1 / rank of the first hit that answers, 0 when none of the first HITS does."""
    try:
        hits = workspace.search(asked.text, options).hits
    except QueryError:  # a question without a word
        return 0.0
    for rank, hit in enumerate(hits, 1):
        if any(one.is_hit(hit.path, hit.start_line, hit.end_line) for one in asked.answers):
            return 1 / rank
    return 0.0


def measured(spaces: Iterable[tuple[str, str, Workspace, list[Asked]]], exits: Sequence[int]) -> Ranks:
    """Every question, asked without a model and at every exit, the shallowest first."""
    ranks: Ranks = {}
    plain = Options(k=HITS, min_score=0.0)
    rows = {WITHOUT: plain._replace(dense=False)} | {f"exit {d}": plain._replace(depth=d) for d in exits}
    for of_set, name, workspace, asked in spaces:
        for row, options in rows.items():
            progress(f"{of_set}: {name}, {row}")
            deepen_where_asked(workspace, [one.text for one in asked], options.depth or 0)
            values = ranks.setdefault(of_set, {}).setdefault(row, [])
            values += [reciprocal_rank(workspace, one, options) for one in asked]
    progress("")
    return {of_set: found for of_set, found in ranks.items() if found[WITHOUT]}


def tables(ranks: Ranks) -> Iterator[str]:
    """A table for each set: the rows, and how far each is from the ranking without a model."""
    header = ["", f"MRR@{HITS}", "first", f"in {HITS}", f"more than {WITHOUT}"]
    for of_set, found in ranks.items():
        rows: Mapping[str, Floats] = {row: np.array(values) for row, values in found.items()}
        lines = []
        for row, values in rows.items():
            more = "" if row == WITHOUT else str(paired_interval(values, rows[WITHOUT]))
            first, within = f"{(values == 1).mean():.3f}", f"{(values > 0).mean():.3f}"
            lines.append([row, str(interval(values)), first, within, more])
        yield table(f"{of_set}: {len(rows[WITHOUT])} asked", header, lines)


def main(argv: Sequence[str] | None = None) -> int:
    """0 measured, 1 measured without some packages, 2 an error told in one line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.public",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for trees and results; trees that are there are used")
    add("--only", nargs="+", default=[], metavar="NAME", help="these packages (default: the held-out ones)")
    add("--exits", type=numbers, default=(0,), help="depths, e.g. 0,4 (default: 0; deeper ones take longer)")
    add("--bundle", type=Path, metavar="DIR", help="bundle (default: the one that ships)")
    add("--manifest", type=Path, default=MANIFEST, help="the packages (default: the project's)")
    add("--questions", type=Path, default=QUESTIONS, help="the questions (default: the project's)")
    args = parser.parse_args(argv)
    try:
        wanted = chosen_packages(read_packages(args.manifest), args.only)
        bundle = open_bundle(args.bundle)
        exits = sorted(depths(args.exits, bundle))
        there = laid_out(wanted, args.out / "trees")
        if not there:
            raise CorpusError("none of the packages could be laid out")
        with tempfile.TemporaryDirectory(prefix="modstar-bench-") as work:
            spaces = workspaces(there, args.questions, args.out / "trees", Path(work), Encoder(bundle))
            ranks = measured(spaces, exits)
    except (CorpusError, ModstarError) as error:
        progress("")
        print(f"bench.public: {error}", file=sys.stderr)
        return 2
    record = Record(
        what="public",
        command=command_line("bench.public", argv),
        bundle=bundle.digest,
        inputs={one.name: one.sha256 for one in there} | {"questions": file_digest(args.questions)},
        results=dict(ranks),
        tables=list(tables(ranks)),
        notes=[f"packages: {', '.join(one.name for one in there)}"],
    )
    trained = [one.name for one in there if not one.held_out]
    if trained:
        record.notes.append(
            f"not held out, so their questions may have been trained on: {', '.join(trained)}"
        )
    text = record.write(args.out / "results")
    print("\n".join(record.notes), *record.tables, f"written: {text}", sep="\n\n")
    return 0 if len(there) == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
