"""How likely is a hit with these features the right one? Fits the calibration that a bundle carries.

    python -m bench.calibrate --eval EVAL --trees TREES [--bundle DIR] [--write]

The questions of the repository sets are asked in their own repository, where hits in the right files count
as right, and in other ones, where nothing does; docstrings (bench.docstrings) in their own tree, where their
function alone is right. A logistic regression on the absolute features of the first
hits (modstar_lsp.search.ranking.absolute_features) gives the probability; the threshold for "no good match"
is the one at which KEEP of the questions answered at the first place keep their answer.
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

from bench import docstrings
from bench.sets import RepoSet, SetError, load_repos
from export.manifest import update_manifest
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.index import StoredChunk
from modstar_lsp.search import Options, analyse
from modstar_lsp.search.calibrate import DEFAULT
from modstar_lsp.search.ranking import absolute_features
from modstar_lsp.search.search import gather, order
from modstar_lsp.workspace import Workspace

KEEP = 0.97  # a right answer withheld is worse than a wrong one shown with a low score
HITS = 10  # hits of a question that count as examples
STRANGERS = 2  # other repositories in which each question is asked
SEED = 7
FEATURES = tuple(DEFAULT.weights)  # what the runtime knows how to weigh

Rows = NDArray[np.float64]


class Examples:
    """Hits with their features, whether each is right, and whether it is a first hit at home or abroad."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.right: list[bool] = []
        self.first: list[bool] = []
        self.home: list[bool] = []

    def ask(self, space: Workspace, text: str, home: bool, is_right: Callable[[StoredChunk], bool]) -> None:
        """Adds the first hits of a question asked in `space`."""
        with space.snapshot() as snapshot:
            try:
                query, found = gather(snapshot, space.encoder, text, Options())
            except QueryError:
                return
            best = order(found, query)[:HITS]
            columns = absolute_features(found, query, best)
            for rank, row in enumerate(best):
                self.rows.append([float(columns[name][rank]) for name in FEATURES])
                self.right.append(home and is_right(found.chunks[row]))
                self.first.append(rank == 0)
                self.home.append(home)


def add_repository_questions(examples: Examples, repos: RepoSet, spaces: dict[str, Workspace]) -> None:
    """Each question at home, and in STRANGERS other repositories."""
    rng = random.Random(SEED)
    for query in repos.queries:
        others = [name for name in sorted(spaces) if name != query.repo]

        def holds(chunk: StoredChunk, targets: frozenset[str] = query.targets) -> bool:
            return chunk.path in targets

        # A name that is defined elsewhere too is found there, and rightly so: only sentences go abroad.
        abroad = [] if analyse(query.text).is_name else rng.sample(others, min(STRANGERS, len(others)))
        for place in (query.repo, *abroad):
            examples.ask(spaces[place], query.text, place == query.repo, holds)


def add_docstrings(examples: Examples, trees: Path, bundle: Path, work: Path) -> None:
    """Each docstring in its own tree."""
    for space, questions in docstrings.workspaces(trees, docstrings.REPOS, bundle, work):
        for asked in questions:

            def holds(chunk: StoredChunk, asked: docstrings.Question = asked) -> bool:
                return chunk.path == asked.path and chunk.start_line <= asked.line <= chunk.end_line

            examples.ask(space, asked.text, True, holds)


def monotone_logistic(rows: Rows, right: Rows) -> Rows:
    """Weights [features + 1], the bias last, none of the others negative."""
    kept = np.arange(rows.shape[1])
    while True:
        fitted = logistic(rows[:, kept], right)
        if (fitted[:-1] >= 0).all():
            weights = np.zeros(rows.shape[1] + 1)
            weights[[*kept, -1]] = fitted
            return weights
        kept = np.delete(kept, int(fitted[:-1].argmin()))


def logistic(rows: Rows, right: Rows, ridge: float = 1e-3, steps: int = 100) -> Rows:
    """Weights [features + 1], the bias last, by Newton's method on the regularised likelihood."""
    x = np.c_[rows, np.ones(len(rows))]
    weights = np.zeros(x.shape[1])
    penalty = ridge * len(rows) * np.diag([*[1.0] * rows.shape[1], 0.0]) / 100
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - right) + penalty @ weights
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__.split("\n")[0])
    parser.add_argument("--eval", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--trees", type=Path, required=True, help="folder of the repositories' trees")
    parser.add_argument("--bundle", type=Path, default=DEFAULT_FOLDER, help="bundle to calibrate")
    parser.add_argument("--write", action="store_true", help="write the result into the bundle's manifest")
    args = parser.parse_args(argv)
    examples = Examples()
    try:
        with tempfile.TemporaryDirectory() as work:
            for name in ("repos", "issues_python"):
                _add_set(examples, args, name, Path(work))
            add_docstrings(examples, args.trees, args.bundle, Path(work))
    except (SetError, ModstarError) as error:
        print(f"bench.calibrate: {error}", file=sys.stderr)
        return 2
    rows, right = np.array(examples.rows), np.array(examples.right, float)
    first, home = np.array(examples.first), np.array(examples.home)
    weights = monotone_logistic(rows, right)
    likely = 1 / (1 + np.exp(-(np.c_[rows, np.ones(len(rows))] @ weights)))
    answered = np.sort(likely[first & home & (right > 0)])
    threshold = float(answered[int((1 - KEEP) * len(answered))])
    refused = float((likely[first & ~home] < threshold).mean())
    fitted = {
        "bias": round(float(weights[-1]), 4),
        "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights[:-1], strict=True)},
        "threshold": round(threshold, 4),
    }
    print(json.dumps(fitted, indent=2))
    print(f"{len(rows)} hits; of the right first hits {KEEP:.0%} stay above the threshold;")
    print(f"of the questions asked in a repository that cannot answer them {refused:.1%} are refused")
    for low in np.arange(0, 1, 0.1):
        inside = (likely >= low) & (likely < low + 0.1)
        if inside.any():
            print(
                f"score {low:.1f}-{low + 0.1:.1f}: {inside.sum():6d} hits, {right[inside].mean():.2f} right"
            )
    if args.write:
        update_manifest(args.bundle, calibration=fitted)
    return 0


def _add_set(examples: Examples, args: argparse.Namespace, name: str, work: Path) -> None:
    repos = load_repos(args.eval, name, args.trees)
    spaces = {}
    try:
        for repo, tree in repos.trees.items():
            print(f"indexing {repo}", file=sys.stderr)
            spaces[repo] = Workspace.open(tree, index_dir=work / "indexes", bundle=args.bundle)
            spaces[repo].refresh()
        add_repository_questions(examples, repos, spaces)
    finally:
        for space in spaces.values():
            space.close()


if __name__ == "__main__":
    sys.exit(main())
