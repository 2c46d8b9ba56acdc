"""The evaluation sets on disk: `queries.jsonl`, `qrels.tsv`, and `corpus.jsonl` or `repos.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.record import file_digest

# Sets whose queries share few words with the code: what a model is for.
FEW_SHARED_WORDS = ("cosqa_dev", "concode_dev", "nl2bash")


class SetError(Exception):
    """An evaluation set or its trees are missing or broken: one line for the user."""


@dataclass(frozen=True, slots=True)
class FlatSet:
    """Queries against a flat corpus of snippets.

    relevant: query id -> {corpus id: grade}.  code_to_code: the queries are code themselves, and what answers
    them is in another language.
    """

    name: str
    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    query_languages: tuple[str, ...]
    doc_ids: tuple[str, ...]
    codes: tuple[str, ...]
    doc_languages: tuple[str, ...]
    relevant: dict[str, dict[str, int]]
    code_to_code: bool
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class RepoQuery:
    """A question inside one repository. targets: the files that answer it, as paths inside the tree."""

    id: str
    repo: str
    text: str
    language: str
    category: str
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class RepoSet:
    """Questions inside repositories. missing: targets that the trees do not hold, as `repo/path`."""

    name: str
    queries: tuple[RepoQuery, ...]
    trees: dict[str, Path]
    digests: dict[str, str]
    missing: tuple[str, ...] = field(default=())
    moved: int = 0


def flat_set_names(folder: Path) -> list[str]:
    """The sets below `folder` whose corpus is flat, sorted."""
    if not folder.is_dir():
        raise SetError(f"no evaluation sets at {folder}: give --eval the folder that holds them")
    return sorted(path.parent.name for path in folder.glob("*/corpus.jsonl"))


def load_flat(folder: Path, name: str) -> FlatSet:
    """Read one flat set."""
    at = folder / name
    queries, corpus, relevant = (
        json_lines(at / "queries.jsonl"),
        json_lines(at / "corpus.jsonl"),
        _qrels(at / "qrels.tsv"),
    )
    queries = [query for query in queries if relevant.get(query["id"])]
    languages = {doc["id"]: doc["lang"] for doc in corpus}
    return FlatSet(
        name=name,
        query_ids=tuple(query["id"] for query in queries),
        queries=tuple(query["text"] for query in queries),
        query_languages=tuple(query["lang"] for query in queries),
        doc_ids=tuple(doc["id"] for doc in corpus),
        codes=tuple(doc["code"] for doc in corpus),
        doc_languages=tuple(doc["lang"] for doc in corpus),
        relevant=relevant,
        code_to_code=all(
            languages.get(doc) != query["lang"] for query in queries for doc in relevant[query["id"]]
        ),
        digests=_digests(at, ("queries.jsonl", "corpus.jsonl", "qrels.tsv")),
    )


def load_repos(folder: Path, name: str, trees: Path, only: Sequence[str] = ()) -> RepoSet:
    """Read one repository set and find its trees at `<trees>/<name>/<repo>` (or `<trees>/<repo>`).

    The targets are those of qrels.tsv (`repo/path`). Where such a path is not in the tree it is looked for
    below the repository's `benchmark_root`, since some annotations are relative to that.
    """
    at = folder / name
    if not (at / "repos.json").is_file():
        raise SetError(f"no repository set at {at}: give --eval the folder that holds it")
    relevant = _qrels(at / "qrels.tsv")
    roots = {
        row["name"]: row.get("benchmark_root") or ""
        for row in json.loads((at / "repos.json").read_text("utf-8"))
    }
    base = trees / name if (trees / name).is_dir() else trees
    found = {repo: base / repo for repo in roots if (not only or repo in only) and (base / repo).is_dir()}
    if not found:
        raise SetError(
            f"no tree of the set {name} below {trees}: lay them out as TREES/{name}/<repository>/..."
        )
    queries: list[RepoQuery] = []
    missing: list[str] = []
    moved = 0
    for row in json_lines(at / "queries.jsonl"):
        repo = row["repo"]
        if repo not in found or not relevant.get(row["id"]):
            continue
        targets = []
        for target in relevant[row["id"]]:
            path = target.removeprefix(f"{repo}/")
            below = f"{roots[repo]}/{path}".lstrip("/")
            if not (found[repo] / path).is_file() and (found[repo] / below).is_file():
                path, moved = below, moved + 1
            elif not (found[repo] / path).is_file():
                missing.append(f"{repo}/{path}")
            targets.append(path)
        text = (row.get("title") or row["text"]).strip().splitlines()[0]
        queries.append(
            RepoQuery(row["id"], repo, text, row["lang"], row.get("category", ""), frozenset(targets))
        )
    return RepoSet(
        name=name,
        queries=tuple(queries),
        trees=found,
        digests=_digests(at, ("queries.jsonl", "qrels.tsv", "repos.json")),
        missing=tuple(dict.fromkeys(missing)),
        moved=moved,
    )


@dataclass(frozen=True, slots=True)
class Function:
    """A function that answers a question: its file, first and last line (1-based)."""

    path: str
    start: int
    end: int

    def is_hit(self, path: str, start: int, end: int) -> bool:
        """Whether lines `start` to `end` of `path` show it: they share half of the shorter of the two."""
        shared = min(end, self.end) - max(start, self.start) + 1
        return path == self.path and 2 * shared >= min(end - start, self.end - self.start) + 1


@dataclass(frozen=True, slots=True)
class FunctionQuery:
    """A question inside one repository that a function answers, any of `answers`."""

    id: str
    repo: str
    text: str
    category: str
    answers: tuple[Function, ...]


@dataclass(frozen=True, slots=True)
class FunctionSet:
    """Questions for functions. trees: what is searched, by repository."""

    name: str
    queries: tuple[FunctionQuery, ...]
    trees: dict[str, Path]
    digests: dict[str, str]


def load_functions(
    folder: Path, name: str, trees: Path, *, whole: bool = False, asks: str = "text"
) -> FunctionSet:
    """Read a set of questions for functions; its trees are at `<trees>/<name>/<repo>` or `<trees>/<repo>`.

    What is searched is a repository's `benchmark_root` (told by repos.json in the set's folder, or in that of
    the set `repos`), or with `whole` all of it: documentation and tests are in the way then. asks: what of a
    row is the question.
    Raises SetError when the set or all its trees are missing.
    """
    at = folder / name
    rows = json_lines(at / "queries.jsonl")
    about = next((path for path in (at, folder / "repos") if (path / "repos.json").is_file()), None)
    told = json.loads((about / "repos.json").read_text("utf-8")) if about is not None else []
    roots = {row["name"]: (row.get("benchmark_root") or "").strip("/") for row in told}
    base = trees / name if (trees / name).is_dir() else trees
    found: dict[str, Path] = {}
    for repo in dict.fromkeys(row["repo"] for row in rows):
        root = base / repo if whole else base / repo / roots.get(repo, "")
        if root.is_dir():
            found[repo] = root
    if not found:
        raise SetError(
            f"no tree of the set {name} below {trees}: lay them out as TREES/{name}/<repository>/..."
        )

    def function(repo: str, answer: dict[str, Any]) -> Function:
        path = f"{roots.get(repo, '')}/{answer['path']}".lstrip("/") if whole else answer["path"]
        return Function(path, answer["start"], answer["end"])

    queries = tuple(
        FunctionQuery(
            row["id"],
            row["repo"],
            row[asks],
            row.get("category", ""),
            tuple(function(row["repo"], answer) for answer in row["answers"]),
        )
        for row in rows
        if row["repo"] in found
    )
    return FunctionSet(name, queries, found, _digests(at, ("queries.jsonl",)))


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of a set. Raises SetError where it is missing or broken."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except FileNotFoundError:
        raise SetError(f"{path} is missing: the set {path.parent.name} is not complete") from None
    except json.JSONDecodeError as error:
        raise SetError(f"{path} holds a line that is no JSON: {error}") from None


def _qrels(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[1:]
    except FileNotFoundError:
        raise SetError(f"{path} is missing: the set {path.parent.name} is not complete") from None
    for line in lines:
        if line.strip():
            query, doc, grade = line.split("\t")
            if int(grade) > 0:
                relevant.setdefault(query, {})[doc] = int(grade)
    return relevant


def _digests(at: Path, names: Sequence[str]) -> dict[str, str]:
    return {f"{at.name}/{name}": file_digest(at / name) for name in names}
