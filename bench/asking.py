"""The development questions beside the trees that answer them, asked at any exit of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import docstrings
from evaluation.docstrings import Question as Docstring
from evaluation.sets import FunctionQuery, FunctionSet, load_functions, load_repos
from modstar_lsp.errors import QueryError
from modstar_lsp.index import StoredChunk
from modstar_lsp.search import Hit, Options
from modstar_lsp.search.query import Query
from modstar_lsp.search.ranking import Candidates
from modstar_lsp.search.search import gather, order
from modstar_lsp.workspace import Workspace

DOCSTRINGS = "docstrings"
COMMITS = "commits"  # made by bench.commits, so not everybody has it
# Questions in plain words whose answer is a function: asked of a repository's sources, and of all of it.
ASKED = "asked"
ASKED_ROOT = "asked_root"
# Ours: those of `train/data/questions` that are held out by repository.
HELD_OUT = "held_out"
ISSUES = "issues_python"
# Whole issues, or their titles alone, for the functions that the fixes changed: see bench.issue_functions.
ISSUE_FUNCTIONS = "issue_functions"
ISSUE_TITLES = "issue_function_titles"
# Sets whose answers are functions: judged by MRR over chunks, the others by nDCG over files.
FUNCTION_SETS = (DOCSTRINGS, ASKED, ASKED_ROOT, HELD_OUT, ISSUE_FUNCTIONS, ISSUE_TITLES)
REPO_SETS = ("repos", ISSUES, COMMITS)
# Seconds in which all that is to be read is.
PLENTY = 600.0
# What is asked when nothing else is said.
SETS = ("repos", ISSUES, DOCSTRINGS, ASKED)


@dataclass(frozen=True, slots=True)
class Question:
    """A question in a tree. answers: how many places are right.  shown: those that a chunk shows or is in."""

    text: str
    answers: int
    shown: Callable[[StoredChunk | Hit], frozenset[object]]

    def is_right(self, chunk: StoredChunk | Hit) -> bool:
        """Whether a chunk is (in) a right place."""
        return bool(self.shown(chunk))


@dataclass(frozen=True, slots=True)
class Place:
    """A tree of a set, open and indexed, with the questions that it answers."""

    of_set: str
    name: str
    workspace: Workspace
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where questions and trees come from, and the model to ask.

    index_dir: holds an index of each tree for each exit; what is there already is not made again.
    """

    evaluation: Path
    trees: Path
    bundle: Path | None
    index_dir: Path

    def places(self, name: str, depth: int) -> Iterator[Place]:
        """The trees of the set `name`, each closed when the next is asked for.

        Their vectors are those of exit 0, or what earlier runs deepened to `depth`. Raises SetError when
        there is no such set or no tree of it.
        """
        folder = self.index_dir / f"exit-{depth}"
        if name == DOCSTRINGS:
            for workspace, asked in docstrings.workspaces(
                self.trees, docstrings.REPOS, self.bundle, self.index_dir / DOCSTRINGS, folder
            ):
                yield Place(name, workspace.root.name, workspace, [_of_docstring(one) for one in asked])
            return
        if name in FUNCTION_SETS:
            found = self.functions(name)
            for repo, tree in found.trees.items():
                with Workspace.open(tree, index_dir=folder, bundle=self.bundle) as workspace:
                    workspace.refresh()
                    questions = [_of_function(query) for query in found.queries if query.repo == repo]
                    yield Place(name, repo, workspace, questions)
            return
        repos = load_repos(self.evaluation, name, self.trees)
        for repo, tree in repos.trees.items():
            with Workspace.open(tree, index_dir=folder, bundle=self.bundle) as workspace:
                workspace.refresh()
                questions = [
                    _of_files(query.text, query.targets) for query in repos.queries if query.repo == repo
                ]
                yield Place(name, repo, workspace, questions)

    def functions(self, name: str) -> FunctionSet:
        """The questions of one of FUNCTION_SETS but DOCSTRINGS. Raises SetError where it is not there."""
        if name in (ISSUE_FUNCTIONS, ISSUE_TITLES):
            asks = "text" if name == ISSUE_FUNCTIONS else "title"
            return load_functions(self.evaluation, ISSUE_FUNCTIONS, self.trees / ISSUES, asks=asks)
        whole = name == ASKED_ROOT
        return load_functions(self.evaluation, ASKED if whole else name, self.trees, whole=whole)


def _of_files(text: str, targets: frozenset[str]) -> Question:
    return Question(text, len(targets), lambda chunk: targets & {chunk.path})


def _of_function(asked: FunctionQuery) -> Question:
    def shown(chunk: StoredChunk | Hit) -> frozenset[object]:
        at = chunk.path, chunk.start_line, chunk.end_line
        return frozenset(one for one in asked.answers if one.is_hit(*at))

    return Question(asked.text, len(asked.answers), shown)


def _of_docstring(asked: Docstring) -> Question:
    def shown(chunk: StoredChunk | Hit) -> frozenset[object]:
        holds = chunk.path == asked.path and chunk.start_line <= asked.line <= chunk.end_line
        return frozenset({asked.line} if holds else ())

    return Question(asked.text, 1, shown)


@dataclass(frozen=True, slots=True)
class Answer:
    """The candidates for one question at one exit (None: without a model). right: which of them are right.

    answers: how many right places there are.  found: None for a question that nothing can answer.
    """

    of_set: str
    tree: str
    depth: int | None
    answers: int
    found: tuple[Query, Candidates] | None
    right: NDArray[np.bool_]


def ask(workspace: Workspace, text: str, options: Options) -> tuple[Query, Candidates] | None:
    """The question and its unranked candidates, None where there are none."""
    with workspace.snapshot() as snapshot:
        try:
            query, found = gather(snapshot, workspace.encoder, text, options)
        except QueryError:
            return None
    return (query, found) if len(found.rows) else None


def deepen_where_asked(
    workspace: Workspace, texts: Sequence[str], depth: int, best: int | None = None
) -> None:
    """Embed at `depth` the chunks that may answer `texts`, as an editor embeds first what is asked for.

    The other chunks keep their vectors: they are far from the questions and share no word with them.
    best: only so many for each question, the first by what is known so far.
    """
    if depth:
        found = [
            asked[1].rows[order(asked[1], asked[0])[:best]]
            for text in texts
            if (asked := ask(workspace, text, Options()))
        ]
        rows = np.unique(np.concatenate([np.zeros(0, np.int32), *found]))
        workspace.deepen(depth, order=rows.tolist())
