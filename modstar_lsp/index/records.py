"""What travels between the rooms of the index. It imports nothing heavy: opening an index loads it too."""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from modstar_lsp.files import Skipped

# What a chunk can be; the database holds the position in this list, so only append.
KINDS = ("text", "function", "method", "class", "type", "module", "section")
# In place of the symbols of a chunk with a name that defines nothing (the later part of a long definition).
NO_SYMBOLS = "\n"


class Job(NamedTuple):
    """A file to read: its stat from the walk, and the digest that the index has for it (b"" for none)."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: bytes


class Progress(NamedTuple):
    """done of total files are read; `path` is the last one.

    part: of the whole work, 0 to 1, where that is better known than by counting.
    chunks: what a first index will hold, by what was read so far.
    """

    stage: str
    done: int
    total: int
    path: str
    part: float | None = None
    chunks: int = 0

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        if self.part is not None:
            return min(1.0, self.part)
        return min(1.0, self.done / self.total) if self.total else 0.0


#: size, mtime_ns, ctime_ns of a file. The ctime counts too: `cp -p` and `rsync -t` set the mtime.
Stat = tuple[int, int, int]
OnProgress = Callable[[Progress], None]
Cancelled = Callable[[], bool]


class RefreshReport(NamedTuple):
    """files, chunks: in the index now.  added, changed, removed: files.  skipped: by the walk, or unreadable.

    complete: False when it was cancelled, or when another process is still at it.
    """

    files: int
    chunks: int
    added: int
    changed: int
    removed: int
    skipped: tuple[Skipped, ...]
    seconds: float
    complete: bool = True


# A row of `chunks` but for its id: start line, end line, number of the kind, name, scope, symbols, symbol
# lines, pieces.
Detail = tuple[int, int, int, str, str, "str | None", bytes, bytes]


class StoredChunk(NamedTuple):
    """What the index knows about a chunk; its text is in the file.

    lines_below: of each symbol, how far below the first line it is defined, uint16; see `symbol_lines`.
    pieces: the distinct pieces of the chunk's words, as `Encoder.pieces` numbers them, uint16.
    """

    path: str
    language: str
    start_line: int
    end_line: int
    kind: str
    name: str
    scope: str
    symbols: tuple[str, ...]
    lines_below: bytes = b""
    pieces: bytes = b""

    @classmethod
    def of_detail(cls, path: str, language: str, detail: Detail) -> StoredChunk:
        """The chunk of a file as the table keeps it."""
        first, last, kind, name, scope, symbols, lines_below, pieces = detail
        return cls(
            path,
            language,
            first,
            last,
            KINDS[kind],
            name,
            scope,
            stored_symbols(name, symbols),
            lines_below,
            pieces,
        )

    @property
    def symbol_lines(self) -> tuple[int, ...]:
        """Of each symbol, the line that defines it."""
        below = unpack(f"<{len(self.lines_below) // 2}H", self.lines_below)
        return tuple(self.start_line + line for line in below)


def stored_symbols(name: str, stored: str | None) -> tuple[str, ...]:
    """The symbols of a chunk from the column that keeps them."""
    if stored is None:
        return (name,) if name else ()
    return () if stored == NO_SYMBOLS else tuple(stored.split("\n"))
