"""Lines of JSON in plain or zstd-compressed files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import zstandard


class CorpusError(Exception):
    """The corpus folder cannot be used; the message is one line for the user."""


def read_lines(file: Path) -> Iterator[str]:
    """Lines of a plain or zstd-compressed file; bytes that are no UTF-8 are replaced."""
    with file.open("rb") as raw:
        stream = (
            zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw, read_across_frames=True)
            if file.suffix == ".zst"
            else raw
        )
        try:
            for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
                if line.strip():
                    yield line
        except zstandard.ZstdError as error:
            raise CorpusError(f"{file}: cannot be decompressed ({error}); copy the file again") from error
