"""Jupyter notebooks: cells are code and prose, and their lines are those of the `.ipynb` file.

A cell's source stands in the file as JSON strings, as a rule one for each of its lines. A chunk's text is
what they say; its lines are where they stand, so that an editor goes to the right place. Outputs and metadata
are no source.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate

from modstar_lsp.chunking.chunk import Chunk
from modstar_lsp.chunking.grammars import GRAMMARS
from modstar_lsp.chunking.lines import TextRows, line_starts
from modstar_lsp.chunking.prose import sections, windows

_TOKEN = re.compile(r'("(?:[^"\\\n]|\\.)*")(\s*:)?|[{}\[\],]')
# What IPython reads and Python does not: %matplotlib inline, !pip install x, df.head?
_MAGIC = re.compile(r"^[%!](?!=)|^\?", re.M)
_OTHER_LANGUAGE = re.compile(r"\s*%%(?!time|capture|prun)")
_CELL_LINE = re.compile(r'^[ \t]*(?:"source"[ \t]*:[ \t]*\[?[ \t]*)?("(?:[^"\\]|\\.)*")[ \t]*[,\]]*[ \t]*$')


@dataclass(slots=True)
class Cell:
    """A cell: the strings that its source is made of, and for each its offset in the file's text."""

    kind: str = ""
    strings: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def rows(self, starts: list[int]) -> list[int]:
        """For each line of the source the row of the file that it stands on; `starts`: those of its rows."""
        ends = list(accumulate(map(len, self.strings)))
        lines = line_starts("".join(self.strings))[:-1]
        return [bisect_right(starts, self.offsets[bisect_right(ends, line)]) - 1 for line in lines]


def chunk_notebook(path: str, text: str) -> list[Chunk] | None:
    """Chunks of the cells of a notebook, in order; None where `text` is no notebook."""
    read = _read(text)
    if read is None:
        return None
    cells, language = read
    chunks: list[Chunk] = []
    starts = line_starts(text)
    for number, cell in cells:
        source = "".join(cell.strings)
        if not source.strip():
            continue
        lines, rows = TextRows(source), cell.rows(starts)
        for chunk in _divided(cell.kind, source, language, path):
            first, last = rows[chunk.start_line - 1], rows[chunk.end_line - 1]
            label = f"cell {number}"
            chunks.append(
                replace(
                    chunk,
                    start_line=first + 1,
                    end_line=last + 1,
                    name=chunk.name or label,
                    scope=".".join(filter(None, (label, chunk.scope))) if chunk.name else "",
                    symbol_lines=tuple(rows[line - 1] + 1 for line in chunk.symbol_lines),
                    text=lines.slice(chunk.start_line - 1, chunk.end_line),
                )
            )
    return chunks


def shown_line(line: str) -> str:
    """What a line of a notebook's file says: the string on it, or the line itself where there is none."""
    match = _CELL_LINE.match(line)
    return json.loads(match[1], strict=False).rstrip("\n") if match else line


def _divided(kind: str, source: str, language: str, path: str) -> list[Chunk]:
    if kind == "markdown":
        return sections("markdown", source)
    if kind == "code" and language in GRAMMARS and not _OTHER_LANGUAGE.match(source):
        from modstar_lsp.chunking.code import chunk_code

        code = _MAGIC.sub("#", source) if language == "python" else source
        chunks = chunk_code(language, path, code)
        if chunks is not None:
            return chunks
    return windows(source)


def _read(text: str) -> tuple[list[tuple[int, Cell]], str] | None:
    """The cells with their numbers, from 1, and the kernel's language."""
    cells: dict[int, Cell] = {}
    language = "python"
    for path, start, value in _strings(text):
        if path[0] == "cells" and len(path) > 2 and isinstance(path[1], int):
            cell = cells.setdefault(path[1] + 1, Cell())
            if path[2:] == ("cell_type",):
                cell.kind = value
            elif path[2] == "source" and len(path) <= 4:
                cell.strings.append(value)
                cell.offsets.append(start)
        elif path in (("metadata", "language_info", "name"), ("metadata", "kernelspec", "language")):
            language = value.lower()
    return (sorted(cells.items()), language) if cells else None


def _strings(text: str) -> Iterator[tuple[tuple[str | int, ...], int, str]]:
    """The values of a JSON text that are strings: path of keys and indices, offset, value."""
    path: list[str | int] = []  # a key in an object, an index in a list
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            path.append("" if token == "{" else 0)
        elif token in "}]":
            del path[-1:]
        elif token == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
        elif path and len(path) <= 4:
            try:
                value = json.loads(match[1], strict=False)
            except ValueError:
                continue
            if match[2] and isinstance(path[-1], str):
                path[-1] = value
            else:
                yield tuple(path), match.start(), value
