"""Ctrl-C while something is made that may as well be kept."""

from __future__ import annotations

import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modstar_lsp.index import Progress


class Interruption:
    """Once work has begun, the first Ctrl-C asks it to end in good order; the second ends it at once.

    Call it with each Progress. Before the first, and in a process that ignores Ctrl-C, nothing is changed.
    progress: the last one, None before that.  asked: whether it is to end.
    """

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.asked = False
        self._restore = False

    def __call__(self, progress: Progress) -> None:
        """Notes how far the work is."""
        if self.progress is None and threading.current_thread() is threading.main_thread():
            import signal

            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._ask)
                self._restore = True
        self.progress = progress

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> Interruption:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._restore:
            import signal

            signal.signal(signal.SIGINT, signal.default_int_handler)
