"""A progress bar of one line on stderr: only on a terminal, only when the work takes a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modstar_lsp.cli.terminal import can_print, columns, is_terminal, width_of
from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.index import Progress

# Most refreshes end sooner, and a bar that flashes up says nothing.
DELAY = 0.25
# More often is not seen, and writing to a slow terminal takes time from the work.
INTERVAL = 0.1
# Answers are shown when the work takes longer, and again so often: asking takes time from it as well.
PREVIEW_INTERVAL = 2.0
BAR_WIDTH = 24
# The rest time is told once so much is done: what came before says too little.
_TELLING_SHARE = 0.1
# What a neighbour graph takes of the time of indexing the same chunks: between .28 and .63 on two cores, more
# for more of them (78,000: .48; 148,000: .43 to .63).
_GRAPH_SHARE, _GRAPH_POWER = 0.05, 0.2
_STAGES = {
    "index": "Indexing",
    "deepen": "Embedding deeper",
    "graph": "Building the graph",
    "import": "Taking over",
    "store": "Filling the store",
}
_ERASE = "\r\x1b[K"


class ProgressBar:
    """Call it with each Progress; as a context manager it takes its lines away at the end.

    preview: asked now and then for lines to show above the bar, none for nothing new. graph_follows:
    whether a graph will be built of so many chunks; then the rest that is told holds it too.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        preview: Callable[[], Sequence[str]] | None = None,
        graph_follows: Callable[[int], bool] | None = None,
    ) -> None:
        self._stream = sys.stderr
        self._shown = not quiet and is_terminal(self._stream)
        self._begin = time.monotonic()
        self._next = self._begin + DELAY
        self._preview = preview
        self._graph_follows = graph_follows
        self._next_preview = self._begin + PREVIEW_INTERVAL
        self._above = 0
        self._stage = ""
        self._drawn = False
        self._full, self._empty = "█░" if self._shown and can_print("█░", self._stream) else "#-"

    def __call__(self, progress: Progress) -> None:
        """Draws the bar, on a terminal, when the work takes long and the last time is a while ago."""
        now = time.monotonic()
        if progress.stage != self._stage:
            if self._stage:  # one bar shows several kinds of work, each with a time of its own
                self._begin = now
            self._stage = progress.stage
        if not self._shown or now < self._next:
            return
        if self._preview is not None and now >= self._next_preview:
            self._show_above(self._preview(), progress)
            self._next_preview = time.monotonic() + PREVIEW_INTERVAL
        self._next = now + INTERVAL
        self._write(_ERASE + self._line(progress, now - self._begin))
        self._drawn = True

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._write(_ERASE + self._back())
            self._drawn, self._above = False, 0

    def _show_above(self, lines: Sequence[str], progress: Progress) -> None:
        if not lines:
            return
        room = columns(self._stream) - 1
        lines = [f"the best of {progress.share:.0%} so far:", *(f"  {line}" for line in lines)]
        text = "".join(f"{_cut(line, room)}\n" for line in lines)
        self._write(_ERASE + self._back() + text)
        self._above = len(lines)

    def _back(self) -> str:
        """Takes away what stands above the bar."""
        return f"\x1b[{self._above}A\x1b[J" if self._above else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._shown = False  # the terminal went away; the work goes on

    def _line(self, progress: Progress, seconds: float) -> str:
        head = f"{_STAGES.get(progress.stage, clean(progress.stage))}  "
        if progress.total > 0:
            share = progress.share
            filled = int(share * BAR_WIDTH)
            head += self._full * filled + self._empty * (BAR_WIDTH - filled)
            head += f" {share:4.0%}  {progress.done:,}/{progress.total:,}"
            if _TELLING_SHARE <= share < 1 and seconds > 1:
                whole = seconds / share
                rest = 1 - share
                if self._graph_follows is not None and self._graph_follows(progress.chunks):
                    rest += _GRAPH_SHARE * progress.chunks**_GRAPH_POWER
                head += f"  {_rest(whole * rest)} left"
        else:
            head += f"{progress.done:,}"
        room = columns(self._stream) - width_of(head) - 3
        path = clean(progress.path)
        if room < 12 or not path:
            return head[: columns(self._stream) - 1]
        while width_of(path) > room:
            path = "…" + path[2:] if can_print("…", self._stream) else path[1:]
        return f"{head}  {path}"


def _rest(seconds: float) -> str:
    """A time for people, no more exact than it is known: `about 5 s`, `about 2 min`."""
    if seconds < 90:
        step = 1 if seconds < 10 else 5
        return f"about {max(1, round(seconds / step) * step)} s"
    return f"about {round(seconds / 60)} min"


def _cut(line: str, room: int) -> str:
    while width_of(line) > room:
        line = line[:-1]
    return line
