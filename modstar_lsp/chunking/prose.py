"""Text that is no parsed code: sections of Markdown and reStructuredText, windows of everything else."""

from __future__ import annotations

import re
from itertools import pairwise

from modstar_lsp.chunking.chunk import NAME_CHARS, Chunk, short_scope
from modstar_lsp.chunking.lines import line_starts

# About the size of a code chunk, so that one length suits the encoder and the lexical scores.
WINDOW_CHARS = 1_200
# What two windows share, so that a sentence on their border is whole in one of them.
OVERLAP_CHARS = 200
# A section is cut above the first size and joined to its neighbour below the second.
SECTION_CHARS = 1_500
SMALL_SECTION_CHARS = 300

SECTIONED = frozenset({"markdown", "rst"})

_ATX = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_CODE_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
# A hyperlink target, or a directive that takes one name (Sphinx's index entries, settings, options).
_LABEL = re.compile(
    r"\.\. (?:_[^_].*:|(?!image|figure|include|literalinclude|raw|contents)[\w:.+-]+::(?: +\S+)?)[ \t]*$"
)
_UNDERLINE = re.compile(r"([=\-`:'\"~^_*+#<>.])\1{2,}[ \t]*$")


def windows(text: str, *, kind: str = "text", overlap: int = OVERLAP_CHARS) -> list[Chunk]:
    """Windows of whole lines, about WINDOW_CHARS long; two neighbours share up to `overlap` characters."""
    starts = line_starts(text)
    count = len(starts) - 1
    chunks = []
    first = 0
    while first < count:
        end = first + 1
        while end < count and starts[end + 1] - starts[first] <= WINDOW_CHARS:
            end += 1
        piece = text[starts[first] : starts[end]]
        if piece.strip() or not overlap:
            chunks.append(Chunk(first + 1, end, kind, "", "", (), (), "", piece))
        if end == count:
            break
        following = end
        while following - 1 > first and starts[end] - starts[following - 1] <= overlap:
            following -= 1
        first = following
    return chunks


def sections(language: str, text: str) -> list[Chunk]:
    """Sections by heading, tiling the text; a section's scope holds the headings above it."""
    starts = line_starts(text)
    lines = [text[a:b].rstrip("\r\n") for a, b in pairwise(starts)]
    headings = _markdown_headings(lines) if language == "markdown" else _rst_headings(lines)

    found: list[tuple[int, str, str]] = []  # first row, name, scope
    if not headings or headings[0][0] > 0:
        found.append((0, "", ""))
    above: list[tuple[int, str]] = []
    for heading, level, title in headings:
        row = _with_labels(lines, heading, found[-1][0] + 1 if found else 0) if language == "rst" else heading
        while above and above[-1][0] >= level:
            above.pop()
        found.append((row, title[:NAME_CHARS], short_scope(".".join(name for _, name in above))))
        above.append((level, title))

    chunks: list[Chunk] = []
    ends = [row for row, _, _ in found[1:]] + [len(lines)]
    for (row, name, scope), end in zip(found, ends, strict=True):
        for first, last in _pieces(lines, starts, row, end):
            piece = text[starts[first] : starts[last]]
            before = chunks[-1] if chunks else None
            if before and (
                not piece.strip()
                or not before.text.strip()
                or (len(before.text) + len(piece) <= SMALL_SECTION_CHARS and scope.startswith(before.scope))
            ):
                keep = before.name or not before.text.strip()
                chunks[-1] = Chunk(
                    before.start_line,
                    last,
                    "section",
                    before.name if keep and before.name else name,
                    before.scope if before.name else scope,
                    (),
                    (),
                    "",
                    before.text + piece,
                )
            else:
                chunks.append(Chunk(first + 1, last, "section", name, scope, (), (), "", piece))
    return chunks


def _pieces(lines: list[str], starts: list[int], first: int, end: int) -> list[tuple[int, int]]:
    """Cuts rows first..end (exclusive) at blank lines into pieces of at most SECTION_CHARS where it can."""
    pieces = []
    while starts[end] - starts[first] > SECTION_CHARS:
        cut = blank = first + 1
        while cut < end and starts[cut + 1] - starts[first] <= SECTION_CHARS:
            cut += 1
            if not lines[cut - 1].strip():
                blank = cut
        cut = blank if starts[blank] - starts[first] > SECTION_CHARS // 3 else cut
        if cut >= end:
            break
        pieces.append((first, cut))
        first = cut
    pieces.append((first, end))
    return pieces


def _markdown_headings(lines: list[str]) -> list[tuple[int, int, str]]:
    headings = []
    fence = ""
    front_matter = bool(lines) and lines[0].strip() == "---"
    for row, line in enumerate(lines):
        if front_matter:
            front_matter = row == 0 or line.strip() not in ("---", "...")
            continue
        mark = _CODE_FENCE.match(line)
        if mark:
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if fence:
            continue
        if line.startswith("#"):
            heading = _ATX.match(line)
            if heading and heading[2]:
                headings.append((row, len(heading[1]), heading[2]))
        elif row and line[:1] in ("=", "-") and not line.strip(line[0] + " \t") and _is_title(lines, row - 1):
            headings.append((row - 1, 1 if line[0] == "=" else 2, lines[row - 1].strip()))
    return headings


def _is_title(lines: list[str], row: int) -> bool:
    line = lines[row]
    alone = row == 0 or not lines[row - 1].strip()
    return (
        alone and bool(line.strip()) and not line.startswith((" ", "\t", "#", "-", "*", ">", "|", "`", "<"))
    )


def _with_labels(lines: list[str], row: int, first: int) -> int:
    """The first of the targets (`.. _label:`) and directives without content (`.. setting:: x`) right above
    the heading on `row`, which are about the section below it. Not above row `first`.
    """
    start = row
    while row > first and (not lines[row - 1].strip() or _LABEL.match(lines[row - 1])):
        row -= 1
        if lines[row].strip():
            start = row
    return start


def _rst_headings(lines: list[str]) -> list[tuple[int, int, str]]:
    headings = []
    levels: list[str] = []
    for row in range(1, len(lines)):
        line = lines[row]
        title = lines[row - 1]
        if not _UNDERLINE.match(line) or not title.strip() or title[0] in " \t" or _UNDERLINE.match(title):
            continue
        if len(line.rstrip()) < len(title.rstrip()):
            continue
        over = row >= 2 and lines[row - 2].rstrip() == line.rstrip()
        if not over and row >= 2 and lines[row - 2].strip():
            continue
        style = line[0] * (2 if over else 1)
        if style not in levels:
            levels.append(style)
        headings.append((row - 2 if over else row - 1, levels.index(style) + 1, title.strip()))
    return headings
