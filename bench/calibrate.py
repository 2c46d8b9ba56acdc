"""How likely is a hit with these features the right one? Fits the calibrations that a bundle carries.

    python -m bench.calibrate --eval EVAL --trees TREES [--exits 0,4] [--deepen-best N] [--write]

At each exit, since cosines differ between them. The questions of the repository sets are asked in their own
repository, where hits in the right files count as right, and in another one, where nothing does; docstrings
(bench.docstrings) in their own tree, where their function alone is right. A logistic regression on the
absolute features of the first hits (modstar_lsp.search.ranking.absolute_features) gives the probability; the
threshold for "no good match" is the one at which KEEP of the questions answered at the first place keep it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.asking import PLENTY, REPO_SETS, SETS, Sources, ask, deepen_where_asked
from bench.options import depths, numbers
from bundle.manifest import update_manifest
from evaluation.record import progress
from evaluation.sets import RepoSet, SetError, load_repos
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.errors import ModstarError
from modstar_lsp.index import StoredChunk
from modstar_lsp.search import Options, analyse
from modstar_lsp.search.calibrate import DEFAULT, READING, Calibration
from modstar_lsp.search.ranking import absolute_features
from modstar_lsp.search.search import order, read_candidates, weights_of
from modstar_lsp.workspace import Workspace

KEEP = 0.97  # a right answer withheld is worse than a wrong one shown with a low score
HITS = 10  # hits of a question that count as examples
SEED = 7
FEATURES = tuple(DEFAULT.weights)  # what the runtime knows how to weigh

Rows = NDArray[np.float64]


class Examples:
    """Hits at one exit with their features, whether each is right, and whether it is a first hit at home."""

    def __init__(self, depth: int, before: Calibration, read: bool = False) -> None:
        self.depth = depth
        self.features = (*FEATURES, READING) if read else FEATURES
        self._read = read
        self._weights = weights_of(before)
        self.rows: list[list[float]] = []
        self.right: list[bool] = []
        self.first: list[bool] = []
        self.home: list[bool] = []

    def ask(self, space: Workspace, text: str, home: bool, is_right: Callable[[StoredChunk], bool]) -> None:
        """Adds the first hits of a question asked in `space`."""
        asked = ask(space, text, Options(depth=self.depth))
        if asked is None:
            return
        query, found = asked
        options = Options(depth=self.depth, budget=PLENTY if self._read else 0.0)
        if self._read:
            stage = read_candidates(space.encoder, query, found, options, self._weights, space, None)
            if stage is None:
                return
            found = found._replace(reading=stage.addends, read_scores=stage.scores)
        best = order(found, query, options, self._weights)[:HITS]
        columns = absolute_features(found, query, best)
        for rank, row in enumerate(best):
            self.rows.append([float(columns[name][rank]) for name in self.features])
            self.right.append(home and is_right(found.chunks[row]))
            self.first.append(rank == 0)
            self.home.append(home)


def strangers(repos: RepoSet) -> dict[str, list[str]]:
    """Questions to ask in a tree that does not answer them, by tree: each goes to one other tree."""
    rng = random.Random(SEED)
    found: dict[str, list[str]] = {repo: [] for repo in repos.trees}
    for query in repos.queries:
        others = [repo for repo in sorted(repos.trees) if repo != query.repo]
        # A name that is defined elsewhere too is found there, and rightly so: only sentences go abroad.
        if others and not analyse(query.text).is_name:
            found[rng.choice(others)].append(query.text)
    return found


def collect(
    sources: Sources,
    depth: int,
    before: Calibration,
    sets: Sequence[str] = SETS,
    read: bool = False,
    deepen: int | None = None,
) -> Examples:
    """The questions of `sets` asked at `depth`, at home and abroad; with `read` the best are read as well.

    deepen: how many of a question's chunks are embedded there, all candidates by default.
    """
    examples = Examples(depth, before, read)
    for name in sets:
        foreign = strangers(load_repos(sources.evaluation, name, sources.trees)) if name in REPO_SETS else {}
        for place in sources.places(name, depth):
            progress(f"{name}: {place.name} at exit {depth}")
            others = foreign.get(place.name, [])
            asked = [*(question.text for question in place.questions), *others]
            deepen_where_asked(place.workspace, asked, depth, deepen)
            for question in place.questions:
                examples.ask(place.workspace, question.text, True, question.is_right)
            for text in others:
                examples.ask(place.workspace, text, False, lambda chunk: False)
    progress("")
    return examples


def fitted(examples: Examples, before: Calibration) -> Calibration:
    """The calibration that fits `examples`, which it also prints; the weight of the cosine stays.

    Raises SetError when no question is answered at the first place.
    """
    rows, right = np.array(examples.rows), np.array(examples.right, float)
    first, home = np.array(examples.first, bool), np.array(examples.home, bool)
    if not (first & home & (right > 0)).any():
        raise SetError(f"no question is answered at exit {examples.depth}: nothing to calibrate by")
    weights = monotone_logistic(rows, right)
    likely = 1 / (1 + np.exp(-(np.c_[rows, np.ones(len(rows))] @ weights)))
    answered = np.sort(likely[first & home & (right > 0)])
    threshold = float(answered[int((1 - KEEP) * len(answered))])
    foreign = likely[first & ~home]
    refused = float((foreign < threshold).mean()) if foreign.size else 0.0
    found = before._replace(
        bias=float(weights[-1]),
        weights={name: float(weight) for name, weight in zip(examples.features, weights[:-1], strict=True)},
        threshold=threshold,
    )
    print(f"exit {examples.depth}: {json.dumps(found.to_manifest(), indent=2)}")
    print(f"{len(rows)} hits; of the right first hits {KEEP:.0%} stay above the threshold;")
    print(f"of the questions asked in a repository that cannot answer them {refused:.1%} are refused")
    for low in np.arange(0, 1, 0.1):
        inside = (likely >= low) & (likely < low + 0.1)
        if inside.any():
            print(
                f"score {low:.1f}-{low + 0.1:.1f}: {inside.sum():6d} hits, {right[inside].mean():.2f} right"
            )
    return found


def monotone_logistic(rows: Rows, right: Rows, counts: Rows | None = None) -> Rows:
    """Weights [features + 1], the bias last, none of the others negative.

    counts: how often each row counts, once by default.
    """
    kept = np.arange(rows.shape[1])
    while True:
        fitted = logistic(rows[:, kept], right, counts)
        if (fitted[:-1] >= 0).all():
            weights = np.zeros(rows.shape[1] + 1)
            weights[[*kept, -1]] = fitted
            return weights
        kept = np.delete(kept, int(fitted[:-1].argmin()))


def logistic(
    rows: Rows, right: Rows, counts: Rows | None = None, ridge: float = 1e-3, steps: int = 100
) -> Rows:
    """Weights [features + 1], the bias last, by Newton's method on the regularised likelihood."""
    x = np.c_[rows, np.ones(len(rows))]
    each = np.ones(len(rows)) if counts is None else counts
    weights = np.zeros(x.shape[1])
    penalty = ridge * len(rows) * np.diag([*[1.0] * rows.shape[1], 0.0]) / 100
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (each * (p - right)) + penalty @ weights
        step = np.linalg.solve((x * (each * p * (1 - p))[:, None]).T @ x + penalty, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__.split("\n")[0])
    parser.add_argument("--eval", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--trees", type=Path, required=True, help="folder of the repositories' trees")
    parser.add_argument("--bundle", type=Path, default=DEFAULT_FOLDER, help="bundle to calibrate")
    parser.add_argument(
        "--exits", type=numbers, default=(), help="depths, e.g. 0,4 (all that the bundle has)"
    )
    best = "embed deeper the N best of a question (all candidates)"
    parser.add_argument("--deepen-best", type=int, metavar="N", help=best)
    parser.add_argument("--sets", default=",".join(SETS), help="sets to ask (%(default)s)")
    parser.add_argument("--index-dir", type=Path, help="keep the indexes here, for other benchmarks too")
    parser.add_argument(
        "--read", action="store_true", help="only hits that the last stage has read, at exit 0"
    )
    parser.add_argument("--write", action="store_true", help="write the result into the bundle's manifest")
    args = parser.parse_args(argv)
    try:
        names = [name for name in args.sets.split(",") if name]
        bundle = open_bundle(args.bundle)
        found = {one.depth: Calibration.from_manifest(bundle.calibration, one.depth) for one in bundle.exits}
        with tempfile.TemporaryDirectory() as scratch:
            sources = Sources(args.eval, args.trees, args.bundle, args.index_dir or Path(scratch))
            if args.read:
                found[0] = found[0]._replace(read=None)
                examples = collect(sources, 0, found[0], names, read=True)
                found[0] = found[0]._replace(read=fitted(examples, found[0])._replace(similar=None))
            for depth in () if args.read else depths(args.exits, bundle):
                examples = collect(sources, depth, found[depth], names, deepen=args.deepen_best)
                found[depth] = fitted(examples, found[depth])
    except (SetError, ModstarError) as error:
        print(f"bench.calibrate: {error}", file=sys.stderr)
        return 2
    if args.write:
        update_manifest(args.bundle, calibration={str(d): one.to_manifest() for d, one in found.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
