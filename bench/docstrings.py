"""Does a sentence find its *function*? Docstrings taken out of real Python trees, asked of what is left.

    python -m bench.docstrings --trees TREES [--bundle DIR] [--repos flask,xarray] [--exits 0,4]

The repository sets judge files. Here the answer is one chunk: every docstring is cut out of a copy of a tree,
the copy is indexed, and the first sentence of a function's docstring is the question; the chunk that holds
the function's first line is right. Scored with and without vectors, MRR@10 and recall@1/10.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.options import numbers
from evaluation.docstrings import Question, cut_docstrings
from evaluation.metrics import interval
from modstar_lsp.errors import ModstarError
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace

REPOS = ("seaborn", "xarray", "flask", "requests", "pytest")


def workspaces(
    trees: Path, repos: Sequence[str], bundle: Path | None, work: Path, index_dir: Path
) -> Iterator[tuple[Workspace, list[Question]]]:
    """Each tree without its docstrings, indexed, with its questions; closed when the next is asked for.

    work: where the copies of the trees go.
    """
    base = trees / "issues_python" if (trees / "issues_python").is_dir() else trees
    for repo in repos:
        if not (base / repo).is_dir():
            continue
        questions = cut_docstrings(base / repo, work / repo)
        with Workspace.open(work / repo, index_dir=index_dir, bundle=bundle) as workspace:
            workspace.refresh()
            yield workspace, questions


def rows(depth: int) -> dict[str, Options]:
    """What is asked at `depth`, by name; what needs no model is asked once, at exit 0."""
    plain = Options(k=10, min_score=0.0, depth=depth)
    found = {
        f"exit {depth} alone": plain._replace(lexical=False, rules=False),
        f"everything, exit {depth}": plain,
    }
    if depth:
        return found
    without = {
        "words alone": plain._replace(dense=False, rules=False),
        "ranking without a model": plain._replace(dense=False),
    }
    return without | found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.docstrings", description=__doc__.split("\n")[0])
    parser.add_argument("--trees", type=Path, required=True, help="folder of the repositories' trees")
    parser.add_argument("--repos", default=",".join(REPOS), help="trees to use (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, help="bundle (default: the one that ships)")
    parser.add_argument("--exits", type=numbers, default=(0,), help="depths, e.g. 0,4 (default: 0)")
    args = parser.parse_args(argv)
    repos = args.repos.split(",")
    exits = sorted({0, *args.exits})
    ranks: dict[str, list[float]] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            for workspace, questions in workspaces(args.trees, repos, args.bundle, work, work / "indexes"):
                for depth in exits:
                    if depth:
                        workspace.deepen(depth)
                    for name, options in rows(depth).items():
                        values = ranks.setdefault(name, [])
                        values += [_reciprocal_rank(workspace, question, options) for question in questions]
    except ModstarError as error:
        print(f"bench.docstrings: {error}", file=sys.stderr)
        return 2
    if not ranks:
        print(f"bench.docstrings: none of the trees {args.repos} below {args.trees}", file=sys.stderr)
        return 2
    for name, values in ranks.items():
        scores = np.array(values)
        mrr = interval(scores)
        print(
            f"{name:24} MRR@10 {mrr.mean:.3f} [{mrr.low:.3f}, {mrr.high:.3f}]  recall@1 "
            f"{(scores == 1).mean():.3f}  recall@10 {(scores > 0).mean():.3f}  ({len(values)} questions)"
        )
    return 0


def _reciprocal_rank(workspace: Workspace, question: Question, options: Options) -> float:
    for rank, hit in enumerate(workspace.search(question.text, options).hits, 1):
        if hit.path == question.path and hit.start_line <= question.line <= hit.end_line:
            return 1 / rank
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
