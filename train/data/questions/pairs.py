"""Questions and trees -> training rows, and the questions of the trees held out as an evaluation set.

OUT/train/questions.jsonl      {text, code, lang, name, path, src, licence}, as `train.data.corpus` reads it,
                               and {id, category, language, start, end, also} for who needs to know more
OUT/held_out/queries.jsonl     {id, repo, lang, category, language, text, answers: [{path, name, start, end}]}
OUT/held_out/repos.json        [{name, repo, revision, benchmark_root, licence}]
OUT/held_out/trees/NAME/       the trees of those
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.data.lines import CorpusError
from train.data.questions.checks import Question, read_questions
from train.data.questions.packages import Function, Package, Tree


def write_pairs(packages: Sequence[Package], trees: Path, questions: Path, out: Path) -> str:
    """Write both parts below `out`, over what was there; a line that says what was written.

    CorpusError when a question points to what the trees do not hold.
    """
    named = {one.name: one for one in packages}
    opened: dict[str, Tree] = {}
    rows: list[dict[str, Any]] = []
    queries: list[dict[str, Any]] = []
    for one in read_questions(questions):
        if one.package not in named:
            raise CorpusError(f"{one.id}: the manifest holds no package {one.package}")
        if one.package not in opened:
            opened[one.package] = Tree(named[one.package], trees)
        function = _function(one, opened[one.package])
        # The manifest decides, so that a tree held out later takes its questions with it.
        if named[one.package].held_out:
            queries.append(_query(one))
        else:
            rows.append(_row(one, function, named[one.package]))
    _write_rows(out / "train" / "questions.jsonl", rows)
    _write_rows(out / "held_out" / "queries.jsonl", queries)
    held = [named[name] for name in dict.fromkeys(row["repo"] for row in queries)]
    _lay_out(held, trees, out / "held_out")
    return f"{len(rows)} training rows, {len(queries)} held-out questions of {len(held)} trees in {out}"


def _function(question: Question, tree: Tree) -> Function:
    start, end = question.lines
    function = tree.at(question.path, start, end)
    if function is None or (function.start, function.end) != (start, end):
        raise CorpusError(
            f"{question.id}: {question.package} has no function at {question.path}:{start}-{end}; "
            "lay the trees out again, by the manifest the questions came with"
        )
    return function


def _row(question: Question, function: Function, package: Package) -> dict[str, Any]:
    return {
        "text": question.text,
        "code": function.code,
        "lang": function.lang,
        "name": function.name.rpartition(".")[2],
        "path": function.path,
        "src": package.repository.replace("/", "+", 1),
        "licence": function.licence,
        "id": question.id,
        "category": question.category,
        "language": question.language,
        "start": function.start,
        "end": function.end,
        "also": question.also,
    }


def _query(question: Question) -> dict[str, Any]:
    places = [{"path": question.path, "name": question.name, "lines": list(question.lines)}, *question.also]
    return {
        "id": question.id,
        "repo": question.package,
        "lang": question.lang,
        "category": question.category,
        "language": question.language,
        "text": question.text,
        "answers": [
            {"path": one["path"], "name": one["name"], "start": one["lines"][0], "end": one["lines"][1]}
            for one in places
        ],
    }


def _write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8")


def _lay_out(held: Sequence[Package], trees: Path, folder: Path) -> None:
    if (folder / "trees").exists():
        shutil.rmtree(folder / "trees")
    repos = []
    for one in held:
        shutil.copytree(trees / one.name, folder / "trees" / one.name)
        repos.append(
            {
                "name": one.name,
                "repo": one.repository,
                "revision": one.package,
                "benchmark_root": "",
                "licence": one.licence,
            }
        )
    (folder / "repos.json").write_text(json.dumps(repos, indent=1) + "\n", encoding="utf-8")
