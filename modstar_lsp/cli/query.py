"""`modstar-query`: a sentence, a name or a piece of code finds its place in a project."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

from modstar_lsp.cli.process import FOUND, NOTHING, complain, leave, run
from modstar_lsp.cli.terminal import say_json, style
from modstar_lsp.errors import QueryError, StoreError, WorkspaceError

if TYPE_CHECKING:
    from modstar_lsp.cli.arguments import Parser
    from modstar_lsp.cli.question import Question
    from modstar_lsp.search import Options, Results
    from modstar_lsp.workspace import Workspace

PROGRAM = "modstar-query"

# The options that are not given. Ten hits, each its definition and the few lines that matter most: they are
# read at a glance or not at all.
_DEFAULTS = {
    "k": 10,
    "lang": [],
    "glob": [],
    "similar": False,
    "min_score": None,
    "exit": None,
    "no_refresh": False,
    "index_dir": None,
    "bundle": None,
    "json": False,
    "vimgrep": False,
    "snippet": True,
    "lines": 4,
    "explain": False,
    "color": "auto",
}

_DESCRIPTION = """\
Find code by what it does, by a name in it, or by other code that is like it.

TEXT is a sentence ("where do we retry failed uploads"), a name (parseJson,
HTTPAdapter.send) or both. PATH is the folder to search, by default the project
around the current directory. Its index is made at first use and brought up to
date before every search. Everything stays on this machine."""

_EPILOG = """\
exit status: 0 when something was found, 1 when nothing was, 2 after an error

examples:
  modstar-query "parse json"
  modstar-query "where do we retry failed uploads" ~/src/shop --lang python -k 3
  modstar-query --similar src/upload.py:40-62
  git show HEAD:old.py | modstar-query --similar -
  vim -q <(modstar-query --vimgrep "close the connection pool")"""


def main() -> NoReturn:
    """Run the command and end the process with its exit status."""
    leave(run(PROGRAM, _command))


def _parser() -> Parser:
    import argparse

    from modstar_lsp.cli.arguments import (
        Parser,
        folder,
        languages_named,
        pattern,
        place,
        positive,
        share,
        whole,
    )

    parser = Parser(
        PROGRAM,
        _DESCRIPTION,
        _EPILOG,
        f"{PROGRAM} [options] TEXT [PATH]\n       {PROGRAM} [options] --similar FILE:LINE[-LINE] [PATH]",
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="TEXT [PATH]", help=argparse.SUPPRESS)
    add("-k", type=positive, metavar="N", help="show at most N hits (default: %(default)s)")
    add(
        "--lang",
        action="append",
        type=languages_named,
        metavar="LANG",
        help="only this language; repeatable",
    )
    add("--glob", action="append", type=pattern, metavar="GLOB", help="only such paths; repeatable")
    add(
        "--similar",
        type=place,
        metavar="FILE:LINE[-LINE]",
        help="find code like these lines, or the definition around LINE; - reads code from standard input",
    )
    add("--min-score", type=share, metavar="X", help="show hits that score at least X (0 to 1); 0 shows all")
    add("--exit", type=whole, metavar="N", help="embed the question at this exit of the model (default: 0)")
    add("--no-refresh", action="store_true", help="search the index as it is")
    add(
        "--index-dir", type=folder, metavar="DIR", help="keep indexes here instead of the user's cache folder"
    )
    add("--bundle", type=folder, metavar="DIR", help="use this model instead of the built-in one")
    show = parser.add_argument_group("output")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--vimgrep", action="store_true", help="path:line:column:text, one line a hit")
    show.add_argument("--snippet", action=argparse.BooleanOptionalAction, help="show code (default)")
    show.add_argument(
        "--lines", type=positive, metavar="N", help="lines of code a hit (default: %(default)s)"
    )
    show.add_argument("--explain", action="store_true", help="say where each score came from")
    show.add_argument("--color", choices=("auto", "always", "never"), help="colours (default: on a terminal)")
    parser.set_defaults(**_DEFAULTS)
    return parser


def _arguments() -> SimpleNamespace:
    """The process's arguments. Without options they are words alone: argparse and its parser take 4.5 ms."""
    given = sys.argv[1:]
    if given and not any(word.startswith("-") for word in given):
        return SimpleNamespace(words=given, **_DEFAULTS)
    return SimpleNamespace(**vars(_parser().parse_mixed()))


def _command() -> int:
    arguments = _arguments()
    by_code = arguments.similar is not False
    text, path = _text_and_path(arguments.words, by_code)

    from modstar_lsp.cli.indexing import chosen_root
    from modstar_lsp.cli.question import Question

    root = chosen_root(path)
    question = Question.of_place(arguments.similar, root.resolve()) if by_code else Question.of_text(text)
    with _open_fresh(root, arguments) as workspace:
        results = _answer(workspace, question, _options(arguments))
        _print(workspace, question, results, arguments)
        if results.coverage < 1:
            complain(
                PROGRAM, f"{results.coverage:.0%} of the files are indexed so far; ask again for the rest"
            )
        if not results.hits and not arguments.json:
            complain(PROGRAM, _why_nothing(workspace, question, results))
        return FOUND if results.hits else NOTHING


def _text_and_path(words: Sequence[str], by_code: bool) -> tuple[str, Path | None]:
    """What was asked and where, from the positional arguments."""
    if by_code:
        if len(words) > 1:
            raise QueryError("--similar takes the place of TEXT: give it FILE:LINE and at most a PATH")
        return "", Path(words[0]) if words else None
    if not words:
        raise QueryError(f'nothing to look for: {PROGRAM} "what the code does" (see {PROGRAM} --help)')
    if len(words) > 2:
        raise QueryError(
            f'put quotes around a question of several words: {PROGRAM} "{" ".join(words)[:200]}"'
        )
    if len(words) == 1:
        return words[0], None
    text, path = words
    if path == Path(path).name and not Path(path).exists():
        raise WorkspaceError(f'{path}: no such folder; quote a question of several words: "{text} {path}"')
    return text, Path(path)


def _options(arguments: SimpleNamespace) -> Options:
    # Only now: a helper that indexes starts while this process imports what searching needs.
    from modstar_lsp.search import Options

    return Options(
        k=arguments.k,
        languages=frozenset().union(*arguments.lang),
        globs=tuple(arguments.glob),
        min_score=arguments.min_score,
        exit=arguments.exit,
    )


def _open_fresh(root: Path, arguments: SimpleNamespace) -> Workspace:
    """The workspace brought up to date, as far as was asked for and can be.

    An index that cannot be written now (no permission, no space, another writer) still answers as it is.
    """
    from modstar_lsp.cli.indexing import bring_up_to_date, graph_advice
    from modstar_lsp.workspace import Workspace

    where = {"index_dir": arguments.index_dir, "bundle": arguments.bundle}
    if arguments.no_refresh:
        return Workspace.open(root, **where, write=False)
    try:
        workspace = Workspace.open(root, **where)
    except StoreError as error:
        try:
            workspace = Workspace.open(root, **where, write=False)
        except StoreError:
            raise error from None
        complain(PROGRAM, f"{error}; searched as it is")
        return workspace
    if workspace.notice:
        complain(PROGRAM, workspace.notice)
    try:
        report = bring_up_to_date(workspace)
    except StoreError as error:
        if not workspace.status().files:
            raise
        complain(PROGRAM, f"{error}; searched as it is")
        return workspace
    if report.added == report.files and (advice := graph_advice(report.chunks)):
        complain(PROGRAM, advice)  # when the index is made and not at every question
    return workspace


def _answer(workspace: Workspace, question: Question, options: Options) -> Results:
    """What the index answers; one that turns out to be damaged was thrown away, and is made anew first."""
    from modstar_lsp.cli.indexing import bring_up_to_date
    from modstar_lsp.index import DamagedIndex

    try:
        return question.ask(workspace, options)
    except DamagedIndex as error:
        complain(PROGRAM, str(error))
        bring_up_to_date(workspace)
        return question.ask(workspace, options)


def _print(workspace: Workspace, question: Question, results: Results, arguments: SimpleNamespace) -> None:
    """Write the hits on standard output in the form that was asked for."""
    from modstar_lsp.cli.output import Found, Layout, as_json, human, vimgrep

    out = sys.stdout
    if out is None:
        return
    sought = question.sought()
    found = [Found.look(workspace, hit, sought) for hit in results.hits]
    # Of code that would be nearly all its words, so none.
    marked = frozenset() if question.code else sought
    if arguments.json:
        closest = Found.look(workspace, results.closest, sought) if results.closest else None
        answer = {
            "query": question.text,
            "root": str(workspace.root),
            "coverage": round(results.coverage, 4),
            "seconds": round(results.took, 4),
            "hits": [as_json(hit, arguments.snippet, arguments.explain) for hit in found],
            "closest": as_json(closest, arguments.snippet, arguments.explain) if closest else None,
        }
        say_json(answer)
    elif arguments.vimgrep:
        out.writelines(vimgrep(hit, marked) for hit in found)
    else:
        lines = arguments.lines if arguments.snippet else 0
        layout = Layout.fit(out, style(arguments.color, out), marked, lines, arguments.explain)
        between = "\n" if lines or arguments.explain else ""
        out.write(between.join(human(hit, layout) for hit in found))
    out.flush()


def _why_nothing(workspace: Workspace, question: Question, results: Results) -> str:
    """One line for a search without hits: what was searched, and what came closest."""
    from modstar_lsp.cli.indexing import count
    from modstar_lsp.cli.output import Found

    files = workspace.status().files
    if not files:
        return f"{workspace.root} holds no file that can be searched (modstar-index --dry-run -v says why)"
    message = f"no good match for {question} in {count(files, 'file')}"
    if results.closest is None:
        return message
    found = Found.look(workspace, results.closest, question.sought())
    place = f"{found.path}:{found.line}{' ' + found.symbol if found.symbol else ''}"
    return f"{message}; the closest is {place}, {found.hit.score:.2f} (--min-score 0 shows it)"


if __name__ == "__main__":
    main()
