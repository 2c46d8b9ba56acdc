"""Command lines: a parser whose errors are one line, and the values that several options share."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from modstar_lsp import __version__
from modstar_lsp.cache_folder import expanded
from modstar_lsp.cli.terminal import columns
from modstar_lsp.errors import QueryError

# Longer lines of help are hard to read, however wide the terminal.
_HELP_WIDTH = 100

# Nobody waits longer for a better order.
LONGEST = 60.0

_PLACE = r"(?s)(?P<file>.+?):(?P<first>\d+)(?:-(?P<last>\d+))?"


_SECONDS_IN = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_629_800, "y": 31_557_600}


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
        """Wrong arguments are reported as every error is: raises QueryError."""
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


def seconds(text: str) -> float:
    """A time such as `300ms`, `1.5s` or `0`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)?", text.strip())
    if not match or (match[2] is None and float(match[1])):
        raise argparse.ArgumentTypeError(f"must be a time such as 300ms or 1s, not {text[:40]!r}")
    found = float(match[1]) / (1000 if match[2] == "ms" else 1)
    if found > LONGEST:
        raise argparse.ArgumentTypeError(f"must be at most {LONGEST:g}s, but is {text[:40]}")
    return found


def folder(text: str) -> Path:
    """A path that is not empty."""
    return _path(text, "folder")


def repository(text: str) -> str:
    """A folder or URL that is not empty."""
    _path(text, "folder")
    return text


def file_name(text: str) -> Path:
    """A path that is not empty."""
    return _path(text, "file")


def _path(text: str, what: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must name a {what}, but is empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("must not hold a NUL character")
    return expanded(text)


def pattern(text: str) -> str:
    """A glob that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a glob such as 'src/**/*.py', but is empty")
    return text


def regex(text: str) -> str:
    """A regular expression, as Python reads them."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no regular expression: {error}") from None
    return text


def moment(text: str) -> float:
    """A time so long ago (`2w`), or the beginning of a day (`2026-03-01`), in seconds since 1970."""
    ago = re.fullmatch(r"(\d{1,4})(min|h|d|w|mo|y)", text.strip())
    if ago:
        return time.time() - int(ago[1]) * _SECONDS_IN[ago[2]]
    try:
        return time.mktime(time.strptime(text.strip(), "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"must be like 30min, 12h, 3d, 2w, 6mo, 1y or 2026-03-01, not {text[:40]!r}"
        ) from None


def language_argument(text: str) -> frozenset[str]:
    """The languages that somebody means by a name, a nickname or a file ending."""
    from modstar_lsp.workspace.languages import languages_named

    try:
        return languages_named(text)
    except QueryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
