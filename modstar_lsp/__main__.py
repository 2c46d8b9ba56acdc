"""`modstar`: one command for all that there is. Each word hands over to a program, which reads the rest."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple, NoReturn

from modstar_lsp import __version__

PROGRAM = "modstar"


class Program(NamedTuple):
    """Who takes over. options: put before what was given."""

    module: str
    says: str
    options: tuple[str, ...] = ()


# Nothing is imported before it is known what for: a search through here starts as fast as modstar-query.
PROGRAMS = {
    "search": Program("modstar_lsp.cli.query", "find code by what it does or by a name"),
    "similar": Program("modstar_lsp.cli.query", "find code like FILE:LINE[-LINE]", ("--similar",)),
    "index": Program("modstar_lsp.cli.index", "make or refresh the index, or watch"),
    "status": Program("modstar_lsp.cli.index", "what the index holds", ("--status",)),
    "indexes": Program("modstar_lsp.cli.indexes", "list all indexes; prune those whose folder is gone"),
    "mcp": Program("modstar_lsp.mcp.main", "serve coding agents (Model Context Protocol)"),
    "install": Program("modstar_lsp.mcp.install", "put the server into an agent's configuration"),
    "uninstall": Program("modstar_lsp.mcp.install", "take it out again"),
    "completions": Program("modstar_lsp.completions", "what bash, zsh, fish or PowerShell complete"),
    "lsp": Program("modstar_lsp.server.main", "serve editors (Language Server Protocol)"),
}


def main() -> NoReturn:
    """Hand over to the program that the first word names."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    program = PROGRAMS.get(word)
    if program is None:
        _explain(word)
    given = sys.argv[2:]
    options = () if given[:1] in (["-h"], ["--help"]) else program.options
    sys.argv[:] = [f"{PROGRAM} {word}", *options, *given]
    import_module(program.module).main()
    raise AssertionError("a program ends its process")


def _explain(word: str) -> NoReturn:
    """What there is; status 2 when that was not what was asked."""
    if word == "--version":
        print(f"{PROGRAM} {__version__}")
        sys.exit(0)
    if word in ("-h", "--help", "help"):
        print(f"usage: {PROGRAM} COMMAND ...\n\nLocal, private, semantic code search.\n")
        for name, program in PROGRAMS.items():
            print(f"  {name:<11} {program.says}")
        print(f"\n{PROGRAM} COMMAND --help tells more.")
        sys.exit(0)
    wrong = f"no such command: {word[:40]}." if word else "what shall it do?"
    print(f"{PROGRAM}: {wrong} There are {', '.join(PROGRAMS)} (see {PROGRAM} --help)", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
