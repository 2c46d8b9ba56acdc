"""How background work leaves the machine to its user: last in the queue, and on a share of the cores."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from functools import cache

from modstar_lsp.allowance import core_quota

# Added to the niceness: any other program comes first, and idle cores are still used in full.
NICENESS = 10

_LINUX = sys.platform == "linux"


class Share:
    """A share (above 0, at most 1) of the machine's cores, or of what a container may use of them.

    Who takes it, and whatever that starts, is bound to so many cores, always the last ones: several windows
    together keep to it, too. On Linux that is a thread, on Windows the process; macOS binds nothing. A share
    smaller than a core is kept by resting in between.
    """

    def __init__(self, share: float) -> None:
        self._cores = share * min(len(_all_cores()) or os.cpu_count() or 1, core_quota())
        self.begin()

    def take(self) -> None:
        """Bind the calling thread to this share, and put it last in the queue."""
        cores = _all_cores()[-max(1, int(self._cores + 1e-9)) :]
        if not _LINUX:
            _take_as_a_process(cores)
            return
        with suppress(OSError):  # a container may forbid either
            os.sched_setaffinity(0, cores)
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


@cache
def _all_cores() -> list[int]:
    """The numbers of the cores that this process was given, [] where they have none.

    The first call counts: it comes before anything is bound.
    """
    if _LINUX:
        return sorted(os.sched_getaffinity(0))
    import psutil

    process = psutil.Process()
    return sorted(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else []


def _take_as_a_process(cores: list[int]) -> None:
    """What `take` does where a thread has neither niceness nor cores of its own."""
    import psutil

    process = psutil.Process()
    with suppress(OSError, psutil.Error):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(max(NICENESS, process.nice()))
    if cores:
        with suppress(OSError, psutil.Error):
            process.cpu_affinity(cores)
