"""How likely is a hit the selected code? Fits what find-similar shows as the score, for each exit.

    python -m bench.calibrate_similar --eval EVAL --trees TREES [--bundle DIR] [--exits 0,4] [--write]

Functions of the repositories' trees are selected. In copies of the trees other files hold each of them again:
as it is, with some lines edited, and with its names replaced; and a set of code-to-code pairs holds each
solution in other languages. What else is found there, unless it has most of its words in common with the
selection, and what is found in another repository, counts as something else. A logistic regression on
`LIKENESS` gives the probability, the threshold is the one at which REFUSED of the selections find nothing in
another repository. Every kind counts the same, and the figures are those of trees left out of the fit.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.calibrate import monotone_logistic
from bench.options import depths, numbers
from bundle.manifest import update_manifest
from evaluation.record import Record, command_line, progress, table
from evaluation.sets import SetError, load_flat, load_repos
from modstar_lsp.chunking import language_of, outline
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import ModstarError
from modstar_lsp.index import StoredChunk
from modstar_lsp.search import Options
from modstar_lsp.search.calibrate import LIKENESS, Calibration
from modstar_lsp.search.candidates import likeness_features, shapes
from modstar_lsp.search.query import Query
from modstar_lsp.search.ranking import SIMILAR_WEIGHTS, Candidates
from modstar_lsp.search.search import gather_similar, order
from modstar_lsp.server.features.lenses import ALIKE
from modstar_lsp.server.features.likeness import alike
from modstar_lsp.workspace import Workspace
from train.data import rename, rename_identifiers

REPOS = "repos"
PAIRS = ("humanevalx_c2c", "mbxp_c2c")
VERBATIM, EDITED, RENAMED, REWRITTEN = "verbatim", "edited", "renamed", "rewritten"
COPIES = (VERBATIM, EDITED, RENAMED, REWRITTEN)
ELSE = ("home", "foreign")  # other code of the same repository, of another one
REFUSED = 0.95  # of the selections in a repository that has nothing like them, so many find nothing
FILES = 400  # of a tree: indexing all of a large one would take longer than the rest
FUNCTIONS = 8  # of a tree
TASKS = 40  # of a set of pairs
MIN_LINES, MAX_LINES, MIN_WORDS = 4, 120, 15
MAX_EDITED = 3
MAX_BYTES = 200_000
HITS = 10  # of each selection that count as something else
DEEPENED = 14  # the first hits at exit 0: embedding all candidates would take minutes
ABROAD = 4  # the same in another repository, where only the best counts
FOLDS = 5
SEED = 11

Rows = NDArray[np.float64]
Place = tuple[str, int, int]  # path, first and last line


@dataclass(frozen=True, slots=True)
class Selection:
    """Code to select, where it stands in the tree (None: nowhere), and the places that hold it again."""

    code: str
    origin: Place | None
    copies: list[tuple[str, Place]] = field(default_factory=list)  # (kind, place)


@dataclass(frozen=True, slots=True)
class Case:
    """What a selection found in a tree.

    home: the tree holds the selection.  rows: the features of each candidate.  kinds: "" for none of them.
    """

    tree: str
    home: bool
    query: Query
    found: Candidates
    rows: Rows
    kinds: NDArray[np.str_]


def lay_out(tree: Path, copy: Path) -> list[Selection]:
    """Write some files of `tree` below `copy`, and functions of them a second time, by kind of copy."""
    rng = random.Random(SEED)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and path.stat().st_size < MAX_BYTES)
    rng.shuffle(files)
    selections: list[Selection] = []
    for file in files[:FILES]:
        path = file.relative_to(tree).as_posix()
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy / path)
        if len(selections) >= FUNCTIONS:
            continue
        lines = file.read_text("utf-8", errors="replace").split("\n")
        places = [
            (found.name.rpartition(".")[2], found.start_line, found.end_line)
            for found in outline(path, "\n".join(lines))
            if found.kind in ("function", "method")
            and MIN_LINES <= found.end_line - found.start_line < MAX_LINES
            and len(split_words("\n".join(lines[found.start_line - 1 : found.end_line]))) >= MIN_WORDS
        ]
        for name, first, last in rng.sample(places, min(2, len(places))):
            selection = Selection("\n".join(lines[first - 1 : last]), (path, first, last))
            language = language_of(path, "\n".join(lines))
            renamed = rename_identifiers(rename(selection.code, name, "renamed"), language, rng, frequent=2)
            for kind, code in (
                (VERBATIM, selection.code),
                (EDITED, edited(selection.code, lines, rng)),
                (RENAMED, renamed),
            ):
                # Two to a file, so that some share a chunk with other code.
                to = f"{kind}/part{len(selections) // 2}{file.suffix}"
                selection.copies.append((kind, append(copy, to, code)))
            selections.append(selection)
    return selections


def edited(code: str, others: Sequence[str], rng: random.Random) -> str:
    """`code` with up to MAX_EDITED of its inner lines taken out or replaced by some of `others`."""
    lines = code.split("\n")
    for at in rng.sample(range(1, len(lines) - 1), min(rng.randint(1, MAX_EDITED), len(lines) // 4)):
        lines[at] = rng.choice(("", rng.choice(others)))
    return "\n".join(lines)


def append(copy: Path, path: str, code: str) -> Place:
    """Write `code` at the end of a file below `copy`, and where it stands there."""
    target = copy / path
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.read_text("utf-8") if target.is_file() else "<?php\n" if path.endswith(".php") else ""
    target.write_text(f"{before}{code}\n\n", "utf-8")
    first = before.count("\n") + 1
    return path, first, first + code.count("\n")


def lay_out_pairs(evaluation: Path, name: str, copy: Path) -> list[Selection]:
    """Write what answers TASKS queries of a code-to-code set below `copy`, a file each. Raises SetError."""
    pairs = load_flat(evaluation, name)
    documents = dict(zip(pairs.doc_ids, zip(pairs.doc_languages, pairs.codes, strict=True), strict=True))
    queries = list(zip(pairs.query_ids, pairs.queries, strict=True))
    random.Random(SEED).shuffle(queries)
    selections: list[Selection] = []
    known: set[str] = set()
    for query, code in queries:
        answers = sorted(pairs.relevant[query])
        if len(selections) >= TASKS or known & set(answers):
            continue  # the task has been asked in another language
        known.update(answers)
        selections.append(Selection(code, None))
        for language, other in map(documents.__getitem__, answers):
            path = f"{language}/task{len(selections)}.{_SUFFIXES.get(language, language)}"
            selections[-1].copies.append((REWRITTEN, append(copy, path, other)))
    return selections


_SUFFIXES = {
    "python": "py",
    "javascript": "js",
    "typescript": "ts",
    "csharp": "cs",
    "ruby": "rb",
    "kotlin": "kt",
    "rust": "rs",
    "perl": "pl",
}


def cases(
    laid_out: Mapping[str, list[Selection]], folder: Path, index_dir: Path, bundle: Path, depth: int
) -> Iterator[Case]:
    """What all selections find at `depth`: at home, and those from a repository in another one."""
    rng = random.Random(SEED)
    repos = [tree for tree, selections in laid_out.items() if any(one.origin for one in selections)]
    abroad: dict[str, list[Selection]] = {tree: [] for tree in laid_out}
    for tree in repos:
        others = [other for other in repos if other != tree]
        for selection in laid_out[tree] if others else []:
            abroad[rng.choice(others)].append(Selection(selection.code, None))
    for tree, selections in laid_out.items():
        progress(f"{tree} at exit {depth}")
        with Workspace.open(folder / tree, index_dir=index_dir, bundle=bundle) as workspace:
            workspace.refresh()
            asked = [*selections, *abroad[tree]]
            if depth:
                deepen_where_found(workspace, asked, depth)
            for number, selection in enumerate(asked):
                yield ask(workspace, tree, selection, depth, home=number < len(selections))
    progress("")


def deepen_where_found(workspace: Workspace, asked: Sequence[Selection], depth: int) -> None:
    """Embed the first hits and all copies at `depth`."""
    rows: list[int] = []
    with workspace.snapshot() as snapshot:
        for selection in asked:
            query, found = gather_similar(
                snapshot, workspace.encoder, selection.code, Options(), selection.origin
            )
            first = DEEPENED if selection.copies else ABROAD
            rows += found.rows[order(found, query, weights=SIMILAR_WEIGHTS)[:first]].tolist()
            rows += [
                int(row)
                for row, chunk in zip(found.rows, found.chunks, strict=True)
                if copy_of(selection, chunk)
            ]
    workspace.deepen(depth, order=sorted(set(rows)))


def ask(workspace: Workspace, tree: str, selection: Selection, depth: int, *, home: bool) -> Case:
    """What `selection` finds among the chunks that are embedded at `depth`."""
    with workspace.snapshot() as snapshot:
        query, found = gather_similar(
            snapshot, workspace.encoder, selection.code, Options(depth=depth), selection.origin
        )
        found = found.at(np.flatnonzero(snapshot.exits[found.rows] == depth))
        columns = likeness_features(snapshot, selection.code, found)
        found = found._replace(shape=shapes(selection.code, found, columns["shared"], workspace))
    words = split_words(selection.code)
    kinds = [copy_of(selection, chunk) for chunk in found.chunks]
    others = [row for row in order(found, query, weights=SIMILAR_WEIGHTS) if not kinds[row]]
    for row in others[:HITS]:
        chunk = found.chunks[row]
        lines = workspace.lines(chunk.path, chunk.start_line, chunk.end_line)
        if not alike(words, split_words(lines), ALIKE):  # else the repository has copies of its own
            kinds[row] = ELSE[0] if home else ELSE[1]
    rows = np.stack([columns[name] for name in LIKENESS], axis=1).astype(np.float64)
    return Case(tree, home, query, found, rows, np.array(kinds, np.str_))


def copy_of(selection: Selection, chunk: StoredChunk) -> str:
    """The kind of copy that the chunk holds, or is in, for the greater part; "part" for less, "" for none."""
    for kind, (path, first, last) in selection.copies:
        both = min(last, chunk.end_line) - max(first, chunk.start_line) + 1
        if path == chunk.path and both > 0:
            fewer = min(last - first, chunk.end_line - chunk.start_line) + 1
            return kind if 2 * both >= fewer else "part"
    return ""


def fit(found: Sequence[Case]) -> Calibration:
    """The calibration that fits the cases. Raises SetError when no copy was found, or nothing else."""
    rows, kinds = np.concatenate([c.rows for c in found]), np.concatenate([c.kinds for c in found])
    sizes = {kind: int((kinds == kind).sum()) for kind in (*COPIES, *ELSE)}
    sides = [[kind for kind in side if sizes[kind]] for side in (COPIES, ELSE)]
    if not all(sides):
        raise SetError("no copy was found, or nothing but copies: nothing to calibrate by")
    counts = np.zeros(len(rows))
    for side in sides:
        for kind in side:
            counts[kinds == kind] = len(rows) / (2 * len(side) * sizes[kind])
    used = counts > 0
    weights = monotone_logistic(
        rows[used], np.isin(kinds[used], COPIES).astype(np.float64), counts[used]
    ).tolist()
    fitted = Calibration(weights[-1], dict(zip(LIKENESS, weights, strict=False)), 0.0, 0.0)
    best = [likely(fitted, c).max(initial=0.0) for c in found if not c.home]
    return fitted._replace(threshold=float(np.quantile(best, REFUSED)) if best else 0.5)


def likely(calibration: Calibration, case: Case) -> NDArray[np.float32]:
    """The probability of each candidate, float32 [m]."""
    return calibration.probability(dict(zip(LIKENESS, case.rows.T.astype(np.float32), strict=True)))


def left_out(found: Sequence[Case]) -> list[Case]:
    """The cases with the likeness that a fit without their fold of the trees gives."""
    trees = sorted({case.tree for case in found})
    folds = {tree: number % min(FOLDS, len(trees)) for number, tree in enumerate(trees)}
    judged = []
    for fold in sorted(set(folds.values())):
        calibration = fit([case for case in found if folds[case.tree] != fold] or found)
        for case in found:
            if folds[case.tree] == fold:
                found_so = case.found._replace(likeness=likely(calibration, case))
                judged.append(replace(case, found=found_so))
    return judged


def first_of(kind: str, case: Case, weight: float) -> tuple[float, float]:
    """(score shown, reciprocal rank in the first HITS) of the first hit of a kind, other copies left out.

    weight: of the likeness in the ranking.
    """
    kept = np.flatnonzero((case.kinds == kind) | ~np.isin(case.kinds, (*COPIES, "part")))
    best = kept[order(case.found.at(kept), case.query, weights=SIMILAR_WEIGHTS | {"likeness": weight})]
    assert case.found.likeness is not None
    place = int(np.flatnonzero(case.kinds[best] == kind)[0])
    return float(case.found.likeness[best[: place + 1]].min()), 1 / (place + 1) if place < HITS else 0.0


def report(depth: int, judged: Sequence[Case], threshold: float) -> tuple[str, dict[str, Any]]:
    """A table with a row for each kind, and its figures."""
    lines, figures = [], {}
    for kind in COPIES:
        of_kind = [case for case in judged if (case.kinds == kind).any()]
        if of_kind:
            firsts = [first_of(kind, case, SIMILAR_WEIGHTS["likeness"]) for case in of_kind]
            without = float(np.mean([first_of(kind, case, 0.0)[1] for case in of_kind]))
            figures[kind] = _spread([score for score, _ in firsts], threshold) | {
                "mrr": float(np.mean([rank for _, rank in firsts])),
                "mrr_without_likeness": without,
            }
    for kind in ELSE:
        scores = [
            float(case.found.likeness[case.kinds == kind].max())
            for case in judged
            if case.found.likeness is not None and (case.kinds == kind).any()
        ]
        if scores:
            figures[kind] = _spread(scores, threshold)
    for kind, of in figures.items():
        ranks = [f"{of[key]:.3f}" if key in of else "" for key in ("mrr", "mrr_without_likeness")]
        lines.append(
            [kind, str(of["selections"]), *(f"{of[key]:.2f}" for key in ("p10", "p25", "median", "p90"))]
            + [f"{of[key]:.0%}" for key in ("0.9", "0.7", "shown")]
            + ranks
        )
    header = ["best hit", "selections", "p10", "p25", "median", "p90", ">= .9", ">= .7", "shown"]
    header += ["MRR@10", "without likeness"]
    return table(f"exit {depth}, shown from {threshold:.3f}", header, lines), figures


def _spread(scores: Sequence[float], threshold: float) -> dict[str, float]:
    values = np.array(scores)
    quantiles = zip(("p10", "p25", "median", "p90"), np.quantile(values, (0.1, 0.25, 0.5, 0.9)), strict=True)
    return {
        "selections": len(values),
        **{name: float(value) for name, value in quantiles},
        "0.9": float((values >= 0.9).mean()),
        "0.7": float((values >= 0.7).mean()),
        "shown": float((values >= threshold).mean()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m bench.calibrate_similar", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--eval", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--trees", type=Path, required=True, help="folder of the repositories' trees")
    parser.add_argument("--bundle", type=Path, default=DEFAULT_FOLDER, help="bundle to calibrate")
    parser.add_argument(
        "--exits", type=numbers, default=(), help="depths, e.g. 0,4 (all that the bundle has)"
    )
    parser.add_argument("--write", action="store_true", help="write the result into the bundle's manifest")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where the record goes"
    )
    args = parser.parse_args(argv)
    try:
        return _run(args, argv)
    except (SetError, ModstarError) as error:
        print(f"bench.calibrate_similar: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    bundle = open_bundle(args.bundle)
    calibrations = {
        one.depth: Calibration.from_manifest(bundle.calibration, one.depth) for one in bundle.exits
    }
    with tempfile.TemporaryDirectory(prefix="modstar-similar-") as scratch:
        folder = Path(scratch)
        repos = load_repos(args.eval, REPOS, args.trees)
        laid_out = {name: lay_out(tree, folder / name) for name, tree in repos.trees.items()}
        laid_out |= {name: lay_out_pairs(args.eval, name, folder / name) for name in PAIRS}
        inputs = repos.digests | {
            part: digest for name in PAIRS for part, digest in load_flat(args.eval, name).digests.items()
        }
        record = Record("similar", command_line("bench.calibrate_similar", argv), bundle.digest, inputs)
        record.notes += [
            f"scores are of trees left out of the fit, in {FOLDS} folds, capped by the hits before, as shown",
            f"shown: at the threshold; {REFUSED:.0%} of the selections find nothing in another repository",
        ]
        for depth in depths(args.exits, bundle):
            found = list(cases(laid_out, folder, folder / "indexes", args.bundle, depth))
            calibrations[depth] = calibrations[depth]._replace(similar=fit(found))
            fitted = calibrations[depth].to_manifest()["similar"]
            text, figures = report(depth, left_out(found), fitted["threshold"])
            print(text, json.dumps(fitted), sep="\n\n", flush=True)
            record.tables.append(text)
            record.results[str(depth)] = {"fitted": fitted, "kinds": figures}
    if args.write:
        update_manifest(args.bundle, calibration={str(d): c.to_manifest() for d, c in calibrations.items()})
    print(f"written: {record.write(args.out).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
