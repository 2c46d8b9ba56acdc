"""How the processes of this package start sooner. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType

from modstar_lsp.errors import ModstarError

# A question is one vector against a matrix: more threads of the linear algebra library gain nothing, and
# starting them costs 10 to 30 ms of a process that lives for 100.
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# What numpy imports only to attach its docstrings, which no process of ours shows: 5 of the 45 ms that it
# takes. With empty modules in their place there are none; numpy's own documentation build replaces one, too.
_DOCSTRINGS = ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars")

# Looking for cyclic garbage takes 13 ms of the imports and finds none: what they make stays. Indexing makes
# this many objects too, so its garbage is still collected.
_GARBAGE_THRESHOLD = 100_000


# Address space and data, in bytes, below which numpy's linear algebra ends the process by itself, with a line
# of its own and the status of "nothing found": with 150 MB of the one, 82 MB of the other it did.
_LEAST_ADDRESSES = 190_000_000
_LEAST_DATA = 100_000_000
# What loading the reranker, or exit 6, takes besides: with 88 MB and 96 MB of addresses they could be used
# when a package read their tokenizers, as it does those of other kinds; without it 20 MB less will do.
_GRAPH_BYTES = 100_000_000


def require_memory() -> None:
    """Raises ModstarError when this process is allowed too little memory to load numpy."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, least, option in (
        (resource.RLIMIT_AS, _LEAST_ADDRESSES, "-v"),
        (resource.RLIMIT_DATA, _LEAST_DATA, "-d"),
    ):
        allowed, _ = resource.getrlimit(limit)
        if 0 <= allowed < least and allowed != resource.RLIM_INFINITY:
            have, need = allowed // 1_000_000, least // 1_000_000
            raise ModstarError(
                f"out of memory: {have} MB are allowed and {need} MB needed: allow more, with ulimit {option}"
            )


def allow_files(number: int) -> None:
    """Lets this process have so many files open, where its user may: 256 are allowed at first on macOS."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    from contextlib import suppress

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # the system's own limit: the message comes with the first file
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_room() -> None:
    """Raises ModstarError when there is too little memory left to load a graph and its tokenizer.

    Where onnxruntime gets none it prints lines of its own, and the package that reads tokenizers of other
    kinds ends the process (SIGABRT), so that nobody could say why.
    """
    import mmap

    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANON} if hasattr(mmap, "MAP_ANON") else {}
    try:
        mmap.mmap(-1, _GRAPH_BYTES, **private).close()  # takes addresses alone
    except (OSError, MemoryError):
        need = _GRAPH_BYTES // 1_000_000
        raise ModstarError(
            f"out of memory: {need} MB more are needed to read with the model's deeper layers: "
            "allow more, with ulimit -v, or ask with --budget 0 and without --exit"
        ) from None


def hold_streams() -> None:
    """Puts nothing where a standard stream is closed.

    The next file that is opened would get its number, and what a library prints, or a child, would get there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free


def require_streams() -> None:
    """For who serves on standard input and output: raises ModstarError when they are closed."""
    hold_streams()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stdin is None or sys.stdout is None:
        raise ModstarError("standard input or output is closed: it serves there; start it from a client")


def spare_garbage() -> None:
    """Looks for cyclic garbage less often. The earlier in a process, the more it saves."""
    gc.set_threshold(_GARBAGE_THRESHOLD, 50, 100)


def hasten_numpy() -> None:
    """Makes numpy's import faster, for this whole process: call it in a `main`, before numpy is imported."""
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    for name in _DOCSTRINGS:
        sys.modules.setdefault(name, ModuleType(name))
