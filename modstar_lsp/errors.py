"""The errors a user can meet. Each carries one line: what happened, where, and what to do."""

from __future__ import annotations

import errno
import os

# What the system has too little of, and what to do about it.
_SHORT_OF = {
    errno.EMFILE: "too many open files: allow this process more, with ulimit -n 1024",
    errno.ENFILE: "the system has too many open files: close some programs",
    errno.ENOMEM: "out of memory: close some programs, or allow this one more, with ulimit -v unlimited",
}
# The same, by what is said where no number is told: by the interpreter, by the dynamic linker.
_SHORT_BY_TEXT = {
    "can't start new thread": "out of memory or of processes: no thread can be started (see ulimit -v, -u)",
    "failed to map segment": _SHORT_OF[errno.ENOMEM],
}


class ModstarError(Exception):
    """Base of the errors that a face prints as one line before it exits with status 2."""


class WorkspaceError(ModstarError):
    """The folder asked for is missing, is no folder, or cannot be read."""


class BundleError(ModstarError):
    """A model bundle is missing, incomplete, altered or of an unknown format."""


class StoreError(ModstarError):
    """The index cannot be written or read: full disk, read-only folder, held by another writer."""


class QueryError(ModstarError):
    """The question or one of its options makes no sense."""


class ReaderError(ModstarError):
    """The reader of a user's own is not allowed, does not answer, or answers without an order."""


class ProviderError(ModstarError):
    """The environment names an execution provider that there is not."""


def reason(error: OSError) -> str:
    """Why the system refused something, and what to do where that is known."""
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return "the folder that this runs in was deleted: go to one that there is"
    return shortage(error) or error.strerror or str(error)


def told_of(error: OSError) -> str:
    """`reason`, and of which file where that is known."""
    named = isinstance(error.filename, str | bytes) and not shortage(error)
    return f"{reason(error)}: {os.fsdecode(error.filename)}" if named else reason(error)


def _is_nowhere() -> bool:
    """Whether the current folder is gone."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False


def shortage(error: BaseException) -> str:
    """What the system has too little of, and what to do; "" when that is not what is wrong."""
    if isinstance(error, OSError):
        return _SHORT_OF.get(error.errno or 0, "")
    return next((told for text, told in _SHORT_BY_TEXT.items() if text in str(error)), "")
