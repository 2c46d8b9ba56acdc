"""Questions -> what a search answers to them, right and wrong: what a reranker is trained on.

OUT is a line a question: {id, text, right: [texts], wrong: [texts, best first]}, each text as the last stage
reads it (`modstar_lsp.search.cascade.text_to_read`). The questions are those of the training part, where a
right chunk that the search did not find at all is taken from its file; or the docstrings of Python trees,
which are cut out of what is searched.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from evaluation.docstrings import cut_docstrings
from evaluation.sets import Function
from modstar_lsp.files.lines import lines_of
from modstar_lsp.index import StoredChunk
from modstar_lsp.search import Options
from modstar_lsp.search.calibrate import Calibration
from modstar_lsp.search.cascade import text_to_read
from modstar_lsp.search.search import gather, order, weights_of
from modstar_lsp.workspace import Workspace
from train.data.questions.checks import Question, read_questions
from train.data.questions.packages import Package, Tree


def write_answers(
    packages: Sequence[Package],
    trees: Path,
    questions: Path,
    out: Path,
    indexes: Path,
    most: int,
    tell: Callable[[str], None] = lambda line: None,
) -> int:
    """Write the answers to the questions of packages that are not held out; how many have a right one.

    indexes: folder for the trees' indexes, kept for the next call.  most: wrong answers of a question.
    """
    asked: dict[str, list[Question]] = {}
    for question in read_questions(questions):
        asked.setdefault(question.package, []).append(question)
    done = 0
    with out.open("w", encoding="utf-8") as stream:
        for package in packages:
            some = [] if package.held_out else asked.get(package.name, [])
            if not some:
                continue
            root = Tree(package, trees).root
            with Workspace.open(root, index_dir=indexes) as workspace:
                workspace.refresh()
                for question in some:
                    places = _places(question)
                    right, wrong = _answers(workspace, question.text, places, most)
                    right = right or list(_from_file(workspace, places))
                    done += _write(stream, question.id, question.text, right, wrong)
            tell(f"{package.name}: {len(some)} questions asked")
    return done


def write_docstring_answers(
    trees: Sequence[Path],
    out: Path,
    indexes: Path,
    each: int,
    most: int,
    tell: Callable[[str], None] = lambda line: None,
) -> int:
    """Write the answers to the docstrings of Python trees; how many have a right one among them.

    indexes: folder for the trees' indexes.  each: docstrings of a tree at most.  most: wrong answers of one.
    """
    done = 0
    with out.open("w", encoding="utf-8") as stream, tempfile.TemporaryDirectory() as scratch:
        for tree in trees:
            copy = Path(scratch) / tree.name
            copy.mkdir()
            asked = cut_docstrings(tree, copy, each)
            with Workspace.open(copy, index_dir=indexes) as workspace:
                workspace.refresh()
                for number, one in enumerate(asked):
                    places = [Function(one.path, one.line, one.line)]
                    right, wrong = _answers(workspace, one.text, places, most)
                    done += _write(stream, f"{tree.name}-{number:04}", one.text, right, wrong)
            tell(f"{tree.name}: {len(asked)} docstrings asked")
    return done


def _write(stream: TextIO, name: str, text: str, right: Sequence[str], wrong: Sequence[str]) -> bool:
    """Write one line unless nothing is right; whether it was."""
    if right:
        row = {"id": name, "text": text, "right": right, "wrong": wrong}
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return bool(right)


def _places(question: Question) -> list[Function]:
    also = [Function(one["path"], *one["lines"]) for one in question.also]
    return [Function(question.path, *question.lines), *also]


def _answers(
    workspace: Workspace, asked: str, places: Sequence[Function], most: int
) -> tuple[list[str], list[str]]:
    """What a search finds that is one of `places`, and the best that is not."""
    weights = weights_of(Calibration.from_manifest(workspace.encoder.bundle.calibration, 0))
    right: list[str] = []
    wrong: list[str] = []
    lines: dict[str, Sequence[str]] = {}

    def text(chunk: StoredChunk) -> str:
        if chunk.path not in lines:
            lines[chunk.path] = lines_of(workspace.source(chunk.path))
        return text_to_read(chunk, lines[chunk.path])

    with workspace.snapshot() as snapshot:
        query, found = gather(snapshot, workspace.encoder, asked, Options())
        for at in order(found, query, Options(), weights):
            chunk = found.chunks[at]
            if any(place.is_hit(chunk.path, chunk.start_line, chunk.end_line) for place in places):
                right.append(text(chunk))
            elif len(wrong) < most:
                wrong.append(text(chunk))
    return right, wrong


def _from_file(workspace: Workspace, places: Sequence[Function]) -> Iterator[str]:
    """The chunks of the files themselves that show an answer."""
    from modstar_lsp.chunking import chunk_file

    for place in places:
        text = workspace.source(place.path)
        for chunk in chunk_file(place.path, text):
            if place.is_hit(place.path, chunk.start_line, chunk.end_line):
                stored = StoredChunk(
                    place.path, "", chunk.start_line, chunk.end_line, chunk.kind, chunk.name, chunk.scope, ()
                )
                yield text_to_read(stored, lines_of(text))
