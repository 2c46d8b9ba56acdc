"""A text in lines, as an editor counts them: they end at \\n, \\r\\n or \\r and at nothing else."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode_names(data: bytes) -> str:
    """A text that names files, in UTF-8 or, as Windows PowerShell writes it, UTF-16 with a byte order mark.

    Bytes that are no text are kept as Python has them in file names, which may have the same.
    """
    if data.startswith(_UTF16_MARKS):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def with_newlines(text: str) -> str:
    """`text` with every line end as \\n."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(text: str) -> list[str]:
    """The lines of `text` without their ends; at least one, and the last of them may be empty."""
    return with_newlines(text).split("\n")


def joined(lines: Sequence[str], first: int, last: int) -> str:
    """Lines first to last, counted from 1, as one text; what is beyond the end is left out."""
    return "\n".join(lines[first - 1 : last])
