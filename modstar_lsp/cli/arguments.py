"""Command lines: a parser whose errors are one line, and the values that several options share."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from modstar_lsp import __version__
from modstar_lsp.cli.terminal import columns
from modstar_lsp.errors import QueryError

# What people type for a language that is neither its name nor an ending of its files.
_SPOKEN = {"c#": "csharp", "golang": "go", "node": "javascript", "objc": "objective-c", "python3": "python"}
_SPOKEN |= {"shell": "bash", "f#": "fsharp"}
# Who asks for the first means all of them.
_FAMILIES = {"typescript": ("typescript", "tsx")}

# Longer lines of help are hard to read, however wide the terminal.
_HELP_WIDTH = 100

_PLACE = r"(?s)(?P<file>.+?):(?P<first>\d+)(?:-(?P<last>\d+))?"


class _Help(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for every option, and without a width each asks shutil, an import of 9 ms."""

    def __init__(self, prog: str, **options: Any) -> None:
        options["width"] = min(columns(sys.stdout), _HELP_WIDTH)
        options["max_help_position"] = 30
        super().__init__(prog, **options)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports a mistake as a QueryError: one line, without the usage text."""

    def __init__(self, program: str, description: str, epilog: str, usage: str) -> None:
        super().__init__(
            prog=program,
            usage=usage,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_Help,
        )
        self.add_argument("--version", action="version", version=f"{program} {__version__}")

    def parse_mixed(self) -> argparse.Namespace:
        """The process's arguments, options before and after the `words`; behind `--` all are words."""
        given = sys.argv[1:]
        border = given.index("--") if "--" in given else len(given)
        parsed = self.parse_intermixed_args(given[:border])
        parsed.words += given[border + 1 :]
        return parsed

    def error(self, message: str) -> NoReturn:
        raise QueryError(f"{message} (see {self.prog} --help)")


class Place(NamedTuple):
    """Lines of a file, 1-based and inclusive."""

    file: Path
    first: int
    last: int


def positive(text: str) -> int:
    """An integer of at least 1."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def whole(text: str) -> int:
    """An integer of at least 0."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text[:40]!r}") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, but is {number}")
    return number


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text[:40]!r}") from None
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, but is {text[:40]}")
    return number


def folder(text: str) -> Path:
    """A path that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must name a folder, but is empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("must not hold a NUL character")
    return Path(text).expanduser()


def pattern(text: str) -> str:
    """A glob that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a glob such as 'src/**/*.py', but is empty")
    return text


def languages_named(text: str) -> frozenset[str]:
    """The languages of files that somebody means by a name, a nickname or a file ending."""
    from modstar_lsp.files.languages import EXTENSIONS

    asked = text.strip().lower().lstrip(".")
    name = _SPOKEN.get(asked, asked)
    if name not in EXTENSIONS.values():
        name = EXTENSIONS.get(name, "")
    if not name:
        raise argparse.ArgumentTypeError(f"must name a language such as python or ts, not {text[:40]!r}")
    return frozenset(_FAMILIES.get(name, (name,)))


def place(text: str) -> Place | None:
    """FILE:LINE or FILE:FIRST-LAST; None for `-`, standard input."""
    if text == "-":
        return None
    match = re.fullmatch(_PLACE, text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be FILE:LINE, FILE:FIRST-LAST or -, not {text[:80]!r}")
    first = int(match["first"])
    last = int(match["last"] or first)
    if not 1 <= first <= last:
        raise argparse.ArgumentTypeError(f"names lines {first}-{last}: they count upwards from 1")
    return Place(Path(match["file"]), first, last)
