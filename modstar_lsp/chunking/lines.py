"""Lines as an editor counts them: they end at \\n, \\r\\n or \\r and at nothing else."""

from __future__ import annotations

import re
from itertools import accumulate

_BREAK = re.compile(r"\r\n|\r|\n")


def line_starts(text: str) -> list[int]:
    """Offset of every line's first character, then the length of the text: line i is
    ``text[starts[i]:starts[i + 1]]`` with its line break. A break at the very end opens no new line.
    """
    if "\r" in text:
        starts = [0, *(match.end() for match in _BREAK.finditer(text))]
    else:
        starts = [0, *accumulate(map((1).__add__, map(len, text.split("\n"))))]
        starts.pop()  # the end of the last line, counted with a line break that it lacks
    if starts[-1] != len(text):
        starts.append(len(text))
    return starts


class TextRows:
    """The lines of a text by number, from 0."""

    __slots__ = ("count", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = line_starts(text)
        self.count = len(self.starts) - 1

    def chars(self, first: int, last: int) -> int:
        """Characters of rows first..last."""
        return self.starts[min(last + 1, self.count)] - self.starts[min(first, self.count)]

    def slice(self, first: int, end: int) -> str:
        """Text of the rows from `first` up to, not including, `end`."""
        return self.text[self.starts[first] : self.starts[end]]
