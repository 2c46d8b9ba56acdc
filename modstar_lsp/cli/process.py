"""What a command owes the shell: a status as grep has it, one line an error, and no traceback.

Nothing heavy is imported here, and the commands import the workspace inside the call that `run` guards:
an interrupt or an error during an import is told like any other.
"""

from __future__ import annotations

import os
import sys
import warnings

from modstar_lsp import TYPE_CHECKING
from modstar_lsp.errors import ModstarError, shortage, told_of
from modstar_lsp.startup import hasten_numpy, hold_streams, require_memory, spare_garbage
from modstar_lsp.trusted_path import keep_to_trusted_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

FOUND = 0
NOTHING = 1
ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count it

DEBUG_VARIABLE = "MODSTAR_DEBUG"


def run(program: str, command: Callable[[], int]) -> int:
    """Run `command` and return the exit status; whatever goes wrong becomes one line on stderr."""
    keep_to_trusted_path()
    hold_streams()
    spare_garbage()
    hasten_numpy()
    if not sys.warnoptions and not os.environ.get(DEBUG_VARIABLE):
        warnings.simplefilter("ignore")  # they speak to whoever wrote the code
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        require_memory()
        try:
            status = command()
        except SystemExit as end:  # --help and --version
            status = int(end.code or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return FOUND  # the reader, `head` say, has seen enough
    except Exception as error:
        if isinstance(error, OSError):
            _forget_output()
        try:
            complain(program, _message(error))
        except Exception:  # no memory: then no traceback, which would end with the status of an empty answer
            complain(program, f"{type(error).__name__}, and no memory is left to say more")
        if not isinstance(error, ModstarError):
            _debug()
    return ERROR


def _message(error: Exception) -> str:
    """In a line, what went wrong."""
    if isinstance(error, ModstarError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory: name a smaller folder, or leave files out with --exclude"
    if isinstance(error, ImportError):
        from modstar_lsp.installation import packages_missing

        return packages_missing(error)
    if told := shortage(error):
        return told
    if isinstance(error, OSError):
        return told_of(error)
    return f"unexpected {type(error).__name__}: {error} (set {DEBUG_VARIABLE}=1 for the traceback)"


def leave(status: int) -> NoReturn:
    """End the process at once: tearing numpy down object by object takes longer than a query."""
    os._exit(flushed(status))


def flushed(status: int) -> int:
    """Write out what is still to be written; the exit status, which is another when that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = ERROR if stream is sys.stdout else status
    return status


def complain(program: str, message: str) -> None:
    """Print one line on stderr."""
    if sys.stderr is None:
        return
    from contextlib import suppress

    from modstar_lsp.printable import clean

    with suppress(OSError):  # when nobody listens, the exit status still speaks
        print(f"{program}: {clean(' '.join(message.split()))}", file=sys.stderr, flush=True)


def _debug() -> None:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exc()


def _forget_output() -> None:
    """Let what is still buffered for a broken stdout go nowhere, or Python complains about it at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass
