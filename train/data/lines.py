"""Lines of JSON in plain or zstd-compressed files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO


class CorpusError(Exception):
    """The corpus folder cannot be used; the message is one line for the user."""


def read_lines(file: Path) -> Iterator[str]:
    """Lines of a plain or zstd-compressed file; bytes that are no UTF-8 are replaced."""
    with file.open("rb") as raw:
        yield from _compressed(file, raw) if file.suffix == ".zst" else _lines(raw)


def _compressed(file: Path, raw: IO[bytes]) -> Iterator[str]:
    import zstandard  # plain files are read without it: whoever measures the ranking need not have it

    unpacked = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw, read_across_frames=True)
    try:
        yield from _lines(unpacked)
    except zstandard.ZstdError as error:
        raise CorpusError(f"{file}: cannot be decompressed ({error}); copy the file again") from error


def _lines(stream: IO[bytes]) -> Iterator[str]:
    for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
        if line.strip():
            yield line
