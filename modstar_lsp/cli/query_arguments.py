"""What the command line of `modstar-query` may hold."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from modstar_lsp import TYPE_CHECKING

if TYPE_CHECKING:
    from modstar_lsp.cli.arguments import Parser

PROGRAM = "modstar-query"

# The options that are not given. Ten hits, each its definition and the few lines that matter most: they are
# read at a glance or not at all.
_DEFAULTS = {
    "k": 10,
    "lang": [],
    "not_lang": [],
    "glob": [],
    "exclude": [],
    "contents": [],
    "regex": [],
    "since": None,
    "similar": False,
    "all": False,
    "lists": [],
    "min_score": None,
    "budget": None,
    "exit": None,
    "store": None,
    "repository": [],
    "label": [],
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
HTTPAdapter.send) or both, and may hold filters: "a phrase", -word, path:, lang:,
in:code (docs/questions.md).

PATH is a folder or file to search, by default the project around the current
directory. One inside a git repository, or below a folder that has an index, is
searched in that index. With several PATHs, the hits of all are ranked together.

The index is made at first use and brought up to date before every search.
Everything stays on this machine."""

_EPILOG = """\
exit status: 0 when something was found, 1 when nothing was, 2 after an error,
also where one of several folders could not be searched and others had hits

examples:
  modstar-query "parse json"
  modstar-query "where do we retry failed uploads" ~/src/shop -t py -k 3
  modstar-query "close the pool" src -g '!tests/**' --in code
  modstar-query "rate limiter" ~/src/shop ~/src/store
  modstar-query --similar src/upload.py:40-62
  git show HEAD:old.py | modstar-query --similar -
  vim -q <(modstar-query --vimgrep "close the connection pool")"""


def make_parser() -> Parser:
    """What the command line may hold."""
    import argparse
    from functools import partial

    from modstar_lsp.cli.arguments import (
        Parser,
        file_name,
        folder,
        language_argument,
        moment,
        pattern,
        place,
        positive,
        regex,
        seconds,
        share,
        whole,
    )
    from modstar_lsp.files.languages import CONTENTS

    parser = Parser(
        PROGRAM,
        _DESCRIPTION,
        _EPILOG,
        f"{PROGRAM} [options] TEXT [PATH ...]\n"
        f"       {PROGRAM} [options] --similar FILE:LINE[-LINE] [PATH ...]",
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="TEXT [PATH ...]", help=argparse.SUPPRESS)
    add("-k", type=positive, metavar="N", help="show at most N hits (default: %(default)s)")
    bound = parser.add_argument_group("what is searched (most may be given several times)").add_argument
    several = partial(bound, action="append")
    several("-t", "--lang", type=language_argument, metavar="LANG", help="only this language: python, ts, md")
    several("-T", "--not-lang", type=language_argument, metavar="LANG", help="not this language")
    several(
        "-g",
        "--glob",
        type=pattern,
        metavar="GLOB",
        help="only such paths, or with ! before it no such paths: -g '*.py' -g '!tests/**'",
    )
    several("--exclude", type=pattern, metavar="GLOB", help="no such paths, for this question alone")
    several(
        "--in",
        dest="contents",
        choices=CONTENTS,
        metavar="WHAT",
        help="only code (without tests), docs, tests or config",
    )
    several("--regex", type=regex, metavar="PATTERN", help="its lines must match this, too")
    bound(
        "--since",
        type=moment,
        metavar="WHEN",
        help="only files written since then, by their time on the disk: 2w, 3d, 12h, 2026-03-01",
    )
    add(
        "--similar",
        type=place,
        metavar="FILE:LINE[-LINE]",
        help="find code like these lines, or the definition around LINE; - reads code from standard input",
    )
    add("--min-score", type=share, metavar="X", help="show hits that score at least X (0 to 1); 0 shows all")
    add(
        "--budget",
        type=seconds,
        metavar="TIME",
        help="read the best hits with the question for so long, for a better order: 300ms, 2s, 0 for never "
        "(default: 300ms on a terminal, where the first answer is shown at once, else 0)",
    )
    add("--exit", type=whole, metavar="N", help="embed the question at this exit of the model (default: 0)")
    add("--all", action="store_true", help="search every folder that has an index (modstar indexes)")
    add(
        "--from",
        dest="lists",
        action="append",
        type=file_name,
        metavar="FILE",
        help="search the folders in this list, one a line (-: standard input), besides PATH; repeatable",
    )
    add("--no-refresh", action="store_true", help="search the index as it is")
    add(
        "--index-dir", type=folder, metavar="DIR", help="keep indexes here instead of the user's cache folder"
    )
    add("--bundle", type=folder, metavar="DIR", help="use this model instead of the built-in one")
    many = parser.add_argument_group("a store of many repositories (docs/scale.md)").add_argument
    many("--store", metavar="URL", help="search this store, and PATH if given: lance:FOLDER, ...")
    many("--repository", action="append", metavar="NAME", help="only this repository; repeatable")
    many("--label", action="append", metavar="NAME", help="see what carries this label, too; repeatable")
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


def read_arguments() -> SimpleNamespace:
    """The process's arguments. Without options they are words alone: argparse and its parser take 4.5 ms."""
    given = sys.argv[1:]
    if given and not any(word.startswith("-") for word in given):
        return SimpleNamespace(words=given, **_DEFAULTS)
    return SimpleNamespace(**vars(make_parser().parse_mixed()))
