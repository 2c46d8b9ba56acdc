"""Hits as people read them, and as lines that an editor jumps to."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from modstar_lsp.cli.terminal import Style, can_print, columns, is_terminal, width_of
from modstar_lsp.printable import clean
from modstar_lsp.search.snippet import last_name, marks, name_at

if TYPE_CHECKING:
    from modstar_lsp.search import Hit
    from modstar_lsp.search.snippet import Snippet
    from modstar_lsp.workspace.description import Description

# What editors take for the end of a path.
_LINE_NUMBER = re.compile(r":\d")
# A pipe has no width; lines beyond this are data rather than code.
PIPE_WIDTH = 200
# Scores are calibrated: above this it is likelier right than wrong.
GOOD_SCORE = 0.5


class Layout(NamedTuple):
    """How people's output looks. marked: words to mark. lines: how many of a snippet, 0 for none."""

    style: Style
    marked: Collection[str]
    lines: int
    explain: bool
    width: int
    gap: str
    bar: str
    cut: str

    @classmethod
    def fit(
        cls, stream: TextIO | None, style: Style, marked: Collection[str], lines: int, explain: bool
    ) -> Layout:
        """The layout for `stream`: its width, and ASCII where its encoding has no more."""
        width = columns(stream) if is_terminal(stream) else PIPE_WIDTH
        gap, bar, cut = "⋮│…" if can_print("⋮│…", stream) else ":|>"
        return cls(style, marked, lines, explain, width, gap, bar, cut)


def shown_path(root: Path, path: str) -> str:
    """A path of the workspace as the user would type it here: relative within the project, else absolute."""
    target = root / path
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was deleted
        return str(target)
    if here == root or root in here.parents or here in root.parents:
        return os.path.relpath(target, here)
    return str(target)


def human(path: str, found: Description, layout: Layout) -> str:
    """A header (`path:line  symbol  (kind)  score`), the explanation if wanted, and a snippet.

    path: as `shown_path` has it, here and below.
    """
    style = layout.style
    parts = [header(path, found, style)]
    if layout.explain:
        parts.append("  " + style.paint(style.dim, explained(found.hit)))
    if layout.lines and found.lines:
        parts.extend(_numbered(found.snippet(layout.marked, layout.lines), layout))
    elif layout.lines:
        parts.append("  " + style.paint(style.dim, "(these lines are gone since the file was indexed)"))
    return "\n".join(parts) + "\n"


def is_misread(path: str) -> bool:
    """Whether editors take a part of the path for the line's number, or cannot be told it on one line."""
    return bool(_LINE_NUMBER.search(path)) or clean(path) != path


def vimgrep(path: str, found: Description, marked: Collection[str]) -> str:
    """`path:line:column:text`, the column in bytes from 1 as editors count it."""
    text = found.lines[found.focus.line] if found.lines else ""
    return f"{clean(path)}:{found.line}:{_column(text, found.focus.symbol, marked)}:{_one_line(text)}\n"


def explained(hit: Hit) -> str:
    """What ranked the hit where it is: the addends, the weightiest first, and their sum."""
    addends = sorted(hit.explanation.items(), key=lambda item: -abs(item[1]))
    shown = {rule: round(value, 2) for rule, value in addends if abs(value) >= 0.005}
    total = round(sum(hit.explanation.values()), 2)
    rest = round(total - sum(shown.values()), 2)  # of the small ones and of rounding
    if rest:
        shown["rest"] = rest
    return "  ".join([*(f"{rule} {value:+.2f}" for rule, value in shown.items()), f"= {total:.2f}"])


def header(path: str, found: Description, style: Style) -> str:
    """The first line of a hit."""
    hit = found.hit
    parts = [
        style.paint(style.path, clean(path)) + ":" + style.paint(style.line, str(found.line)),
        style.paint(style.symbol, clean(found.symbol)) if found.symbol else "",
        style.paint(style.dim, f"({clean(found.kind)})"),
        style.paint(style.good if hit.score >= GOOD_SCORE else style.dim, f"{hit.score:.2f}"),
    ]
    return "  ".join(part for part in parts if part)


def _numbered(chosen: Snippet, layout: Layout) -> list[str]:
    style = layout.style
    digits = max(len(str(chosen.numbers[-1])), 4)
    room = max(20, layout.width - digits - 4)
    printed = []
    before = chosen.numbers[0] - 1
    for number, line in zip(chosen.numbers, chosen.lines, strict=True):
        if number != before + 1:
            printed.append(style.paint(style.dim, f"{layout.gap:>{digits}}"))
        gutter = style.paint(style.dim, f"{number:>{digits}} {layout.bar}")
        printed.append(f"{gutter} {_marked(clean(line), room, layout)}".rstrip())
        before = number
    return printed


def _marked(line: str, room: int, layout: Layout) -> str:
    """`line` cut to `room` cells around its first asked word, the asked words marked."""
    spans = marks(line, layout.marked)
    if width_of(line) > room:
        begin = max(0, spans[0][0] - room // 3) if spans and width_of(line[: spans[0][1]]) > room - 1 else 0
        line = (layout.cut if begin else "") + line[begin:]
        kept = line[: room + 1]
        while width_of(kept) > room - 1:
            kept = kept[:-1]
        line = kept + (layout.cut if len(kept) < len(line) else "")
        spans = marks(line, layout.marked)
    painted, at = [], 0
    for start, end in spans:
        painted += [line[at:start], layout.style.paint(layout.style.match, line[start:end])]
        at = end
    return "".join(painted) + line[at:]


def _column(line: str, symbol: str, marked: Collection[str]) -> int:
    at = name_at(line, last_name(symbol)) if symbol else -1
    if at < 0:
        spans = marks(line, marked)
        at = spans[0][0] if spans else len(line) - len(line.lstrip())
    return len(line[:at].encode("utf-8", "replace")) + 1


def _one_line(line: str) -> str:
    """A line as it is, tabs too, but for what a terminal would obey."""
    return "\t".join(map(clean, line.split("\t")))
