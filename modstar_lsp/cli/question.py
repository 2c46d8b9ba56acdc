"""What was asked: a text, or code selected in a file or given on standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError

if TYPE_CHECKING:
    from modstar_lsp.cli.arguments import Place
    from modstar_lsp.search import Options, Results
    from modstar_lsp.workspace import Workspace

# Of a long text a message repeats this much.
_QUOTED = 60


class Question(NamedTuple):
    """One of `text` and `code` is filled. origin: where in the workspace the code was selected."""

    text: str
    code: str = ""
    origin: tuple[str, int, int] | None = None

    @classmethod
    def of_text(cls, text: str) -> Question:
        """A sentence or name. Raises QueryError when it holds no word."""
        if not split_words(text):
            raise QueryError("the query holds no words: type what the code does, or a name in it")
        return cls(text)

    @classmethod
    def of_code(cls, code: str, origin: tuple[str, int, int] | None = None) -> Question:
        """Something like `code`. Raises QueryError when it holds no word."""
        if not split_words(code):
            raise QueryError("the selected code holds no words: select some lines of code")
        return cls("", code, origin)

    @classmethod
    def of_place(cls, place: Place | None, root: Path) -> Question:
        """Something like the code at `place`, or like standard input when that is None."""
        if place is None:
            return cls.of_code(sys.stdin.buffer.read().decode("utf-8", "replace") if sys.stdin else "")
        file = _selected_file(root, place.file)
        first, last, code = _selected_lines(file, place)
        inside = root in file.parents
        return cls.of_code(code, (file.relative_to(root).as_posix(), first, last) if inside else None)

    def ask(self, workspace: Workspace, options: Options) -> Results:
        """Put the question to `workspace`."""
        if self.code:
            return workspace.similar(self.code, options, origin=self.origin)
        return workspace.search(self.text, options)

    def sought(self) -> frozenset[str]:
        """Words that tell which part of a hit answers."""
        from modstar_lsp.search.snippet import asked_words

        return frozenset(split_words(self.code)) if self.code else asked_words(self.text)

    def __str__(self) -> str:
        if self.code:
            return "the selected code"
        return f'"{self.text if len(self.text) <= _QUOTED else self.text[: _QUOTED - 1] + "…"}"'


def _selected_file(root: Path, file: Path) -> Path:
    """The file of --similar, as the current directory or else the workspace knows it."""
    for candidate in (Path.cwd() / file.expanduser(), root / file):
        if candidate.is_file():
            return candidate.resolve()
    raise QueryError(f"{file}: no such file")


def _selected_lines(file: Path, place: Place) -> tuple[int, int, str]:
    """(first line, last line, their text); a single line stands for the definition around it."""
    from modstar_lsp.chunking import chunk_file
    from modstar_lsp.files.source import Unreadable, decode

    try:
        text = decode(file.name, file.read_bytes())
    except Unreadable as error:
        raise QueryError(f"{place.file}: {error.reason}, so there is no code in it") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first, last = place.first, min(place.last, len(lines))
    if first > len(lines):
        raise QueryError(f"{place.file} has {len(lines)} lines, so there is no line {first}")
    if place.first == place.last:
        chunks = (
            chunk for chunk in chunk_file(file.name, text) if chunk.start_line <= first <= chunk.end_line
        )
        first, last = next(((chunk.start_line, chunk.end_line) for chunk in chunks), (first, last))
    return first, last, "\n".join(lines[first - 1 : last])
