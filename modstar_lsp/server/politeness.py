"""How background work leaves the machine to its user: last in the queue, and on a share of the cores."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

# Added to the niceness: any other program comes first, and idle cores are still used in full.
NICENESS = 10

_LINUX = sys.platform == "linux"
_CORES = sorted(os.sched_getaffinity(0)) if _LINUX else []


class Share:
    """A share (above 0, at most 1) of the machine's cores.

    On Linux a thread that takes it, and whatever that starts, is bound to so many cores, always the last
    ones: several windows together keep to it, too. A share smaller than a core is kept by resting in between.
    """

    def __init__(self, share: float) -> None:
        self._cores = share * (len(_CORES) or os.cpu_count() or 1)
        self.begin()

    def take(self) -> None:
        """Bind the calling thread to this share, and put it last in the queue."""
        if not _LINUX:
            _be_nice_together()
            return
        with suppress(OSError):  # a container may forbid either
            os.sched_setaffinity(0, _CORES[-max(1, int(self._cores + 1e-9)) :])
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)

    def begin(self) -> None:
        """A piece of work begins."""
        self._used, self._began = time.process_time(), time.monotonic()

    def rest(self, part: float = 1.0) -> None:
        """Rest until the time used since `begin`, or the last rest, is within `part` of the share."""
        cores = self._cores * part
        if cores < 1:
            rest = (time.process_time() - self._used) / cores - (time.monotonic() - self._began)
            if rest > 0:
                time.sleep(rest)
        self.begin()


def _be_nice_together() -> None:
    """Where threads have no niceness of their own, the process has it; Windows got it from its parent."""
    if hasattr(os, "getpriority"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
