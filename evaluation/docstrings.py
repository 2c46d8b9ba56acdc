"""Docstrings as questions: cut out of a copy of a Python tree, asked of what is left.

The first sentence of a function's docstring is the question; the chunk that holds the function's first line
is the answer.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = 70  # of each tree, drawn by SEED
SEED = 3
MIN_WORDS, MAX_WORDS = 4, 25
MIN_LINES = 3  # shorter functions say less than their docstring
_NOT_SOURCE = re.compile(r"(^|/)(tests?|testing|docs?|examples?)(/|_|\b)")


@dataclass(frozen=True, slots=True)
class Question:
    """The first sentence of a docstring, and where its function stands once all docstrings are gone."""

    text: str
    path: str
    line: int


def without_docstrings(source: str, path: str) -> tuple[str, list[Question]]:
    """`source` with every docstring cut out, and the questions they make. Raises SyntaxError."""
    lines = source.split("\n")
    gone: set[int] = set()
    asked: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or len(node.body) < 2:
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        first = node.body[0]
        gone.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        sentence = re.split(r"(?<=[a-z)])\. ", " ".join(text.split("\n\n")[0].split()))[0].rstrip(".")
        long_enough = (node.end_lineno or 0) - node.lineno >= MIN_LINES
        if (
            not isinstance(node, ast.ClassDef)
            and long_enough
            and MIN_WORDS <= len(sentence.split()) <= MAX_WORDS
        ):
            asked.append((sentence, node.lineno))
    kept = [number for number in range(1, len(lines) + 1) if number not in gone]
    place = {old: new for new, old in enumerate(kept, 1)}
    questions = [Question(text, path, place[line]) for text, line in asked if line in place]
    return "\n".join(lines[number - 1] for number in kept), questions


def cut_docstrings(tree: Path, copy: Path, most: int = QUESTIONS) -> list[Question]:
    """Write the Python files of `tree` without docstrings below `copy`; at most `most` of what they ask."""
    questions: list[Question] = []
    for file in sorted(tree.rglob("*.py")):
        path = file.relative_to(tree).as_posix()
        try:
            text, asked = without_docstrings(file.read_text("utf-8"), path)
        except (SyntaxError, ValueError):
            continue
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        if not _NOT_SOURCE.search(path):
            questions += asked
    times = Counter(question.text for question in questions)
    unique = [question for question in questions if times[question.text] == 1]
    random.Random(SEED).shuffle(unique)
    return unique[:most]
