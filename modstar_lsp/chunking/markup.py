"""Markup with code in it (components, pages): a script is chunked by its grammar, the rest in windows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from modstar_lsp.chunking.chunk import Chunk, Outlined
from modstar_lsp.chunking.code import chunk_code, outline_code
from modstar_lsp.chunking.lines import TextRows
from modstar_lsp.chunking.prose import windows

# A line with one of these opens a part, which ends above the line with its end.
_SCRIPT = re.compile(r"<script\b([^<>]*)>[ \t]*$", re.I)
_SCRIPT_END = re.compile(r"[ \t]*</script\s*>", re.I)
_FRONT_MATTER_FENCE = re.compile(r"---[ \t]*$")  # Astro, at the top
_RAZOR = re.compile(r"[ \t]*@(?:code|functions)\b[ \t]*(\{)?[ \t]*$")
_RAZOR_END = re.compile(r"\}[ \t]*$")
# Declarations of a JSP page; `<%` may as well be Ruby or JavaScript.
_JSP = re.compile(r"[ \t]*<%![ \t]*$")
_JSP_END = re.compile(r"[ \t]*%>")
_SCRIPT_TYPE = re.compile(r"\b(?:lang|type)\s*=\s*[\"']?([\w/+.-]+)", re.I)
_LANGUAGES = {
    "js": "javascript",
    "jsx": "javascript",
    "module": "javascript",
    "babel": "javascript",
    "javascript": "javascript",
    "ecmascript": "javascript",
    "ts": "typescript",
    "typescript": "typescript",
    "tsx": "tsx",
}


class Part(NamedTuple):
    """TextRows first..end-1 are code in `language`; the rows above and below hold its tags."""

    first: int
    end: int
    language: str


def chunk_markup(language: str, path: str, text: str) -> list[Chunk]:
    """Chunks of a file in a language with scripts: code parts with their tags, windows of what is between."""
    rows = TextRows(text)
    chunks: list[Chunk] = []
    at = 0
    for part in code_parts(language, rows):
        code = chunk_code(part.language, path, rows.slice(part.first, part.end))
        if code is None:
            continue
        first, end = part.first - 1, min(part.end + 1, rows.count)
        chunks += _windows(rows, at, first)
        for number, chunk in enumerate(code):
            moved = _moved(chunk, part.first)
            start = first + 1 if not number else moved.start_line
            last = end if number + 1 == len(code) else moved.end_line
            chunks.append(replace(moved, start_line=start, end_line=last, text=rows.slice(start - 1, last)))
        at = end
    return chunks + _windows(rows, at, rows.count)


def outline_markup(language: str, path: str, text: str) -> list[Outlined]:
    """The definitions in the code parts of a file in a language with scripts, in order."""
    rows = TextRows(text)
    return [
        replace(found, start_line=found.start_line + part.first, end_line=found.end_line + part.first)
        for part in code_parts(language, rows)
        for found in outline_code(part.language, path, rows.slice(part.first, part.end))
    ]


def code_parts(language: str, rows: TextRows) -> list[Part]:
    """The parts of a file that are code, in order: whole lines, not blank."""
    parts: list[Part] = []
    row = 0
    while row < rows.count:
        line = rows.slice(row, row + 1).rstrip("\r\n")
        opened = _opened(language, row, line)
        first = row + 1
        if opened is not None:
            code, ending = opened
            end = first
            while end < rows.count and not ending.match(rows.slice(end, end + 1)):
                end += 1
            if end < rows.count and code and rows.slice(first, end).strip():
                parts.append(Part(first, end, code))
            if end < rows.count:
                first = end + 1
        row = first
    return parts


def _opened(language: str, row: int, line: str) -> tuple[str, re.Pattern[str]] | None:
    """The language of the code that begins below `line`, "" for data, and what ends it. None: none does."""
    script = _SCRIPT.search(line)
    if script:
        kind = _SCRIPT_TYPE.search(script[1])
        named = kind[1].lower().rpartition("/")[2].removeprefix("x-") if kind else "js"
        return _LANGUAGES.get(named, ""), _SCRIPT_END
    if language == "astro" and not row and _FRONT_MATTER_FENCE.match(line):
        return "typescript", _FRONT_MATTER_FENCE
    if language == "razor":
        razor = _RAZOR.match(line)
        if razor:
            return "csharp", _RAZOR_END
    if language == "html" and _JSP.match(line):
        return "java", _JSP_END
    return None


def _windows(rows: TextRows, first: int, end: int) -> list[Chunk]:
    if first >= end or not rows.slice(first, end).strip():
        return []
    return [_moved(chunk, first) for chunk in windows(rows.slice(first, end))]


def _moved(chunk: Chunk, rows: int) -> Chunk:
    """`chunk`, of a text that begins `rows` below the file's first line."""
    return replace(
        chunk,
        start_line=chunk.start_line + rows,
        end_line=chunk.end_line + rows,
        symbol_lines=tuple(line + rows for line in chunk.symbol_lines),
    )
