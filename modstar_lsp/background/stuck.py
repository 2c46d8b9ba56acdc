"""The end of a process that can no longer end itself."""

from __future__ import annotations

import faulthandler
import threading
import time

# No single call into a library takes so long, not on a machine with ten times the work that it can do.
_STUCK_SECONDS = 600.0


def end_when_stuck() -> None:
    """From now on the process ends once nothing in it has run for ten minutes.

    A library that holds the interpreter keeps every thread from seeing that the parent is gone, or that it
    should end. faulthandler waits outside the interpreter.
    """
    threading.Thread(target=_show_life, name="modstar-alive", daemon=True).start()


def _show_life() -> None:
    while True:
        faulthandler.dump_traceback_later(_STUCK_SECONDS, exit=True)
        time.sleep(_STUCK_SECONDS / 20)
