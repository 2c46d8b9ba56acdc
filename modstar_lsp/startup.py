"""How the processes of this package start sooner. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType

# A question is one vector against a matrix: more threads of the linear algebra library gain nothing, and
# starting them costs 10 to 30 ms of a process that lives for 100.
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# What numpy imports only to attach its docstrings, which no process of ours shows: 5 of the 45 ms that it
# takes. With empty modules in their place there are none; numpy's own documentation build replaces one, too.
_DOCSTRINGS = ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars")

# Looking for cyclic garbage takes 13 ms of the imports and finds none: what they make stays. Indexing makes
# this many objects too, so its garbage is still collected.
_GARBAGE_THRESHOLD = 100_000


def spare_garbage() -> None:
    """Looks for cyclic garbage less often. The earlier in a process, the more it saves."""
    gc.set_threshold(_GARBAGE_THRESHOLD, 50, 100)


def hasten_numpy() -> None:
    """Makes numpy's import faster, for this whole process: call it in a `main`, before numpy is imported."""
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    for name in _DOCSTRINGS:
        sys.modules.setdefault(name, ModuleType(name))
