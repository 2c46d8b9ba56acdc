"""Make a repository set out of git histories: a commit's subject asks for the files that it changed.

    python -m bench.commits okio=clones/okio.git tornado=clones/tornado ... --out FOLDER [--questions 40]

Written are FOLDER/commits (queries.jsonl, qrels.tsv, repos.json) and FOLDER/trees/commits/NAME, the
repository as it was before the first of these commits, so that nothing in it answers a question by having
been changed for it. `--eval FOLDER --trees FOLDER/trees --sets commits` has `bench.tune` ask them. Such
questions are like titles of issues, and a few histories give hundreds of them, in any language.

Give it repositories that no corpus took commits from and that no other evaluation set is made of.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.asking import COMMITS
from bench.options import history
from evaluation.record import progress
from evaluation.sets import SetError
from modstar_lsp.files.kinds import MAX_BYTES
from modstar_lsp.files.languages import language_by_name
from train.data.history import MOST_CHANGED_FILES, subject_of
from train.data.sources import SourceError, git, is_wanted, lay_out

# Of the newest commits that ask, one in so many becomes a question: neighbours are often about one thing.
SPREAD = 3
# Newest commits that are looked at.
NEWEST = 6_000


@dataclass(frozen=True, slots=True)
class Asking:
    """A commit whose subject is a question. files: the code that it changed, without tests."""

    commit: str
    subject: str
    files: tuple[str, ...]


def asking_commits(repository: Path) -> Iterator[Asking]:
    """The commits of a history that ask for one file to three, newest first."""
    listed = git(
        repository, "-c", "core.quotePath=false", "log", "--no-merges", f"-n{NEWEST}", "--no-renames",
        "--name-only", "--diff-filter=M", "--format=%x00%H %s", "HEAD",
    )  # fmt: skip
    for entry in listed.split("\0")[1:]:
        head, *paths = entry.strip().split("\n")
        commit, _, said = head.partition(" ")
        files = tuple(path for path in paths if path and is_wanted(path))
        subject = subject_of(said)
        if subject and 0 < len(files) <= MOST_CHANGED_FILES:
            yield Asking(commit, subject, files)


def questions(name: str, repository: Path, trees: Path, most: int) -> list[Asking]:
    """Lay out the tree `trees/name`; the questions for it, with the files that were there already."""
    found = list(islice(asking_commits(repository), most * SPREAD))
    if not found:
        raise SetError(f"{repository}: no commit asks for a file or a few")
    tree = trees / name
    if tree.exists():
        raise SetError(f"{tree} exists already: give an empty --out, or remove it")
    lay_out(repository, f"{found[-1].commit}~1", tree, MAX_BYTES)
    asked = [
        Asking(one.commit, one.subject, files)
        for one in found[::SPREAD]
        if (files := tuple(path for path in one.files if (tree / path).is_file()))
    ]
    if not asked:
        shutil.rmtree(tree, ignore_errors=True)  # none when nothing could be written
        raise SetError(f"{repository}: its commits changed none of the files that were there before")
    return asked


def make_set(histories: dict[str, Path], out: Path, most: int) -> int:
    """Write the set; how many questions it has. SetError, SourceError where a history gives none."""
    folder = out / COMMITS
    folder.mkdir(parents=True, exist_ok=True)
    rows, relevant, repos = [], ["query-id\tcorpus-id\tscore"], []
    for name, repository in histories.items():
        progress(name)
        for one in questions(name, repository, out / "trees" / COMMITS, most):
            identity = f"{name}-{one.commit[:12]}"
            language = language_by_name(one.files[0].rpartition("/")[2].lower())
            rows.append({"id": identity, "repo": name, "text": one.subject, "lang": language})
            relevant += [f"{identity}\t{name}/{path}\t1" for path in one.files]
        repos.append({"name": name})
    progress("")
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels.tsv").write_text("\n".join(relevant) + "\n", encoding="utf-8")
    (folder / "repos.json").write_text(json.dumps(repos, indent=1) + "\n", encoding="utf-8")
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the set; 2 when it cannot be made."""
    parser = argparse.ArgumentParser(
        "python -m bench.commits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("histories", type=history, nargs="+", metavar="NAME=GIT", help="repositories")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--questions", type=int, default=40, help="a repository (default %(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        asked = make_set(dict(chosen.histories), chosen.out, chosen.questions)
    except (SetError, SourceError) as error:
        print(f"bench.commits: {error}", file=sys.stderr)
        return 2
    print(f"{asked} questions for {len(chosen.histories)} repositories: {chosen.out / COMMITS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
