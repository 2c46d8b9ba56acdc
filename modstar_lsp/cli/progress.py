"""A progress bar of one line on stderr: only on a terminal, only when the work takes a moment."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from modstar_lsp.cli.terminal import can_print, clean, columns, is_terminal, width_of

if TYPE_CHECKING:
    from modstar_lsp.index import Progress

# Most refreshes end sooner, and a bar that flashes up says nothing.
DELAY = 0.25
# More often is not seen, and writing to a slow terminal takes time from the work.
INTERVAL = 0.1
BAR_WIDTH = 24
_STAGES = {"index": "Indexing", "deepen": "Embedding deeper", "graph": "Building the graph"}
_ERASE = "\r\x1b[K"


class ProgressBar:
    """Call it with each Progress; as a context manager it takes its line away at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._stream = sys.stderr
        self._shown = not quiet and is_terminal(self._stream)
        self._next = time.monotonic() + DELAY
        self._drawn = False
        self._full, self._empty = "█░" if self._shown and can_print("█░", self._stream) else "#-"

    def __call__(self, progress: Progress) -> None:
        if not self._shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + INTERVAL
        self._write(_ERASE + self._line(progress))
        self._drawn = True

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._write(_ERASE)
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._shown = False  # the terminal went away; the work goes on

    def _line(self, progress: Progress) -> str:
        head = f"{_STAGES.get(progress.stage, clean(progress.stage))}  "
        if progress.total > 0:
            share = min(1.0, progress.done / progress.total)
            filled = int(share * BAR_WIDTH)
            head += self._full * filled + self._empty * (BAR_WIDTH - filled)
            head += f" {share:4.0%}  {progress.done:,}/{progress.total:,}"
        else:
            head += f"{progress.done:,}"
        room = columns(self._stream) - width_of(head) - 3
        path = clean(progress.path)
        if room < 12 or not path:
            return head[: columns(self._stream) - 1]
        while width_of(path) > room:
            path = "…" + path[2:] if can_print("…", self._stream) else path[1:]
        return f"{head}  {path}"
