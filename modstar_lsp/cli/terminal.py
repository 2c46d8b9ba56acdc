"""How to write to a terminal: in which colours, and how much fits on a line.

The records of this package are NamedTuples: making a frozen dataclass takes 0.5 ms of every query's start,
making one of these a tenth of that.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, TextIO

from modstar_lsp import __version__

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

DEFAULT_WIDTH = 80


def say(line: str) -> None:
    """Print a line on standard output, if there is one."""
    if sys.stdout is not None:
        sys.stdout.write(line + "\n")


def say_json(value: Mapping[str, Any], indent: int | None = 2) -> None:
    """Print an object as JSON, in ASCII so that every console and pipe can carry it, and say whose it is."""
    import json

    say(json.dumps({"version": __version__, **value}, indent=indent))


class Style(NamedTuple):
    """The escape sequences in use; every one is empty where there are no colours."""

    path: str = ""
    line: str = ""
    symbol: str = ""
    match: str = ""
    good: str = ""
    dim: str = ""
    reset: str = ""

    def paint(self, code: str, text: str) -> str:
        """`text` in one of the style's colours."""
        return f"{code}{text}{self.reset}" if code else text


PLAIN = Style()
COLOURED = Style(
    path="\x1b[35m",
    line="\x1b[32m",
    symbol="\x1b[1m",
    match="\x1b[1;31m",
    good="\x1b[32m",
    dim="\x1b[2m",
    reset="\x1b[0m",
)


def style(wish: str, stream: TextIO | None) -> Style:
    """The style for `--color` auto, always or never. https://no-color.org is honoured unless always."""
    if wish == "always":
        return COLOURED
    if wish == "never" or os.environ.get("NO_COLOR") or not is_terminal(stream):
        return PLAIN
    return COLOURED if os.name != "nt" or _windows_understands_escapes() else PLAIN


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody is looking at `stream` and it can move its cursor."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def columns(stream: TextIO | None) -> int:
    """How many characters a line of the terminal holds."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH if stream else DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def rows_of(text: str, stream: TextIO) -> int | None:
    """How many rows of the terminal `text` takes; None when it does not fit on the screen."""
    try:
        height = os.get_terminal_size(stream.fileno()).lines
    except (OSError, ValueError):
        return None
    width = columns(stream)
    lines = _ESCAPE.sub("", text).split("\n")[:-1]
    rows = sum(max(1, -(-width_of(line) // width)) for line in lines)
    return rows if rows < height else None


def can_print(text: str, stream: TextIO | None) -> bool:
    """Whether the encoding of `stream` holds every character of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width_of(text: str) -> int:
    """Cells that `text` takes on a terminal: letters of East Asia take two, combining marks none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def _windows_understands_escapes() -> bool:
    """Switch escape sequences on in the consoles of Windows that have them off."""
    if sys.platform != "win32":
        return False
    import ctypes

    console = ctypes.windll.kernel32
    handle, mode = console.GetStdHandle(-11), ctypes.c_uint32()
    processed = 0x0004  # ENABLE_VIRTUAL_TERMINAL_PROCESSING
    return bool(
        console.GetConsoleMode(handle, ctypes.byref(mode))
        and console.SetConsoleMode(handle, mode.value | processed)
    )
