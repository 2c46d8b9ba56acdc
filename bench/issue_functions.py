"""Make a set of questions for functions out of issues and git histories: which did the fix change?

    python -m bench.issue_functions flask=clones/flask.git ... --eval FOLDER --trees FOLDER --out FOLDER

Read are the set `issues_python` below `--eval` (whole issues, each with the commit before its fix and the
hunks of the fix there), the files of those commits from the histories, and the trees that are searched, one
version of each repository. Written is OUT/issue_functions: the whole issue asks, and every function that a
hunk changed answers, at the lines where the tree has it under the same name in the same file. `left_out.json`
says which issues ask for nothing: those whose fix changed no function, and those whose functions the tree
does not have. `bench.issues` measures the set; `bench.tune --sets issue_functions` asks it, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.asking import ISSUE_FUNCTIONS, ISSUES
from bench.options import history
from evaluation.issues import Hunk, changed_functions, found_again, functions
from evaluation.record import progress
from evaluation.sets import SetError, json_lines
from train.data.sources import SourceError, git

LEFT_OUT = "left_out.json"
NO_FUNCTION = "no function changed"
GONE = "its functions are not in the tree"


def answers(issue: Mapping[str, Any], repository: Path, tree: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The functions that the fix of an issue changed, as the set has them, and the names of those gone.

    Raises SourceError where the history has no such version of a file.
    """
    hunks: dict[str, list[Hunk]] = {}
    for path, start, length, _ in issue["hunks_base"]:
        hunks.setdefault(path, []).append(Hunk(path, start, length))
    there: list[dict[str, Any]] = []
    gone: list[str] = []
    for path, some in hunks.items():
        before = git(repository, "show", f"{issue['base_commit']}:{path}")
        changed = changed_functions(functions(path, before), some)
        file = tree / path
        now = file.read_text("utf-8", "replace") if file.is_file() else ""
        for one, place in found_again(changed, path, now):
            if place is None:
                gone.append(one.name)
            else:
                there.append({"path": path, "name": one.name, "start": place.start, "end": place.end})
    return there, gone


def make_set(evaluation: Path, trees: Path, histories: Mapping[str, Path], out: Path) -> tuple[int, int, int]:
    """Write the set; how many issues ask, changed no function, changed functions that are gone.

    Raises SetError, SourceError where an issue cannot be read.
    """
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for issue in json_lines(evaluation / ISSUES / "queries.jsonl"):
        if (repo := issue["repo"]) not in histories:
            continue
        progress(issue["id"])
        tree = trees / ISSUES / repo
        if not tree.is_dir():
            raise SetError(f"no tree of {repo} below {trees}: lay it out as TREES/{ISSUES}/{repo}/...")
        there, gone = answers(issue, histories[repo], tree)
        if there:
            asks = {key: issue[key] for key in ("id", "repo", "lang", "title", "text")}
            rows.append(asks | {"answers": there, "gone": gone})
        else:
            left_out[issue["id"]] = GONE if gone else NO_FUNCTION
    progress("")
    if not rows:
        raise SetError(f"no issue of {', '.join(histories)} in {ISSUES} asks for a function")
    folder = out / ISSUE_FUNCTIONS
    folder.mkdir(parents=True, exist_ok=True)
    repos = [{"name": name} for name in dict.fromkeys(row["repo"] for row in rows)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "repos.json").write_text(json.dumps(repos, indent=1) + "\n", encoding="utf-8")
    (folder / LEFT_OUT).write_text(json.dumps(left_out, indent=1) + "\n", encoding="utf-8")
    reasons = list(left_out.values())
    return len(rows), reasons.count(NO_FUNCTION), reasons.count(GONE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the set; 2 when it cannot be made."""
    parser = argparse.ArgumentParser(
        "python -m bench.issue_functions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("histories", type=history, nargs="+", metavar="NAME=GIT", help="repositories")
    parser.add_argument("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    parser.add_argument(
        "--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/..."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the set goes")
    chosen = parser.parse_args(arguments)
    try:
        asked, none, gone = make_set(chosen.eval, chosen.trees, dict(chosen.histories), chosen.out)
    except (SetError, SourceError) as error:
        print(f"bench.issue_functions: {error}", file=sys.stderr)
        return 2
    print(
        f"{asked} issues ask for functions; left out: {none} whose fix changed none, "
        f"{gone} whose functions the tree does not have: {chosen.out / ISSUE_FUNCTIONS}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
