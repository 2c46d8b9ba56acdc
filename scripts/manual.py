"""Writes the manual page out of the parsers of the commands: python scripts/manual.py [FOLDER].

The wheel brings docs/man to share/man/man1, where man finds it. The pages of the other commands lead there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from modstar_lsp import __version__
from modstar_lsp.__main__ import PROGRAM, PROGRAMS
from modstar_lsp.completions import ALONE

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "man"

HEAD = f"""\
.\\" Made by scripts/manual.py
.TH MODSTAR 1 "" "modstar {__version__}" "User Commands"
.SH NAME
modstar \\- find code by what it does
.SH SYNOPSIS
.B modstar
.I COMMAND
\\&...
.br
.B modstar search
.RI [ options ]
.I TEXT
.RI [ PATH " ...]"
.SH DESCRIPTION
Local, private, semantic code search: a sentence, a name or a piece of code finds its place in a project,
offline.
.SH COMMANDS"""

FOOT = """\
.SH EXIT STATUS
0 when something was found or done, 1 when nothing was found, 2 after an error.
.SH FILES
.TP
.I ~/.cache/modstar
The indexes, one folder per project; on macOS
.IR ~/Library/Caches/modstar ;
.B $XDG_CACHE_HOME
and
.B \\-\\-index\\-dir
move it.
.TP
.I .modstarignore
What is left out of the index, in the syntax of
.IR .gitignore ."""


def page() -> str:
    """The whole page, in the macros of man(7)."""
    lines = [HEAD]
    for word, program in PROGRAMS.items():
        lines += [".TP", f".B {PROGRAM} {word}", escaped(f"{program.says}.")]
    told = set()
    for word, program in PROGRAMS.items():
        if program.module not in told:
            told.add(program.module)
            lines += section(word, program.module)
    return "\n".join([*lines, FOOT]) + "\n"


def section(word: str, module: str) -> Iterator[str]:
    """What one program takes."""
    names = [f"{PROGRAM} {name}" for name, program in PROGRAMS.items() if program.module == module]
    names += [alone for alone, other in ALONE.items() if other == word]
    yield f'.SH "{", ".join(names).upper()}"'
    program = import_module(module)
    if not hasattr(program, "make_parser"):
        command = [sys.executable, "-m", "modstar_lsp", word, "--help"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield from verbatim(told)
        return
    parser = program.make_parser()
    for number, paragraph in enumerate((parser.description or "").split("\n\n")):
        yield from [".PP"] * (number > 0)
        yield escaped(" ".join(paragraph.split()))
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS:
            yield from option(action)
    if parser.epilog:
        yield from (".PP", *verbatim(parser.epilog))


def option(action: argparse.Action) -> Iterator[str]:
    """An option, what it takes and what it does."""
    value = "" if action.nargs == 0 else action.metavar or "|".join(map(str, action.choices or ()))
    flags = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in action.option_strings)
    yield ".TP"
    yield f"{flags} \\fI{escaped(str(value))}\\fR" if value else flags
    yield escaped((action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%"))


def verbatim(text: str) -> Iterator[str]:
    """Lines that stay as they are."""
    yield from (".nf", *map(escaped, text.strip("\n").splitlines()), ".fi")


def escaped(text: str) -> str:
    """`text` as roff reads it: no dash that a hyphen could take the place of, no line that is a request."""
    return re.sub(r"^([.'])", r"\\&\1", text.replace("\\", "\\e").replace("-", "\\-"))


def main() -> None:
    """Write the page, and one for each command that stands alone."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    (folder / f"{PROGRAM}.1").write_text(page(), encoding="utf-8")
    for name in ALONE:
        (folder / f"{name}.1").write_text(f".so man1/{PROGRAM}.1\n", encoding="utf-8")


if __name__ == "__main__":
    main()
