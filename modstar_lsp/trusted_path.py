"""Where the programs of this package look for modules: never in the current folder, which may be a workspace.

Files in a workspace are data, and a `numpy.py` among them must not run. Nothing is imported here that Python
has not loaded by itself, not even `__future__`: until the path is trusted, a workspace may answer any import.

What `python -m` imports before it comes to us (runpy, importlib) is beyond our reach: the installed commands
do not look in the current folder at all, nor does `python -P -m`.
"""

import os
import sys


def trusted_path() -> list[str]:
    """`sys.path` without the current folder and what is relative to it, unless we ourselves live there."""
    home = _real(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    try:
        here = _real(os.getcwd())  # noqa: PTH109
    except OSError:  # it was deleted
        here = ""
    kept = [entry for entry in sys.path if os.path.isabs(entry) and _real(entry) != here]  # noqa: PTH117
    return [home, *kept] if here == home else kept


def keep_to_trusted_path() -> None:
    """Have this process import from the trusted path alone: the first thing that a program does."""
    sys.path[:] = trusted_path()


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))
