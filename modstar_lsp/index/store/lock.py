"""Locks between processes (and threads) that the system drops when their holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from modstar_lsp.errors import StoreError, reason
from modstar_lsp.private_files import FILE_MODE

_POLL = 0.02  # seconds between two tries


class FileLock:
    """An exclusive lock on a file of its own. Each `acquire` excludes every other, in this process too.

    A lock object belongs to one thread at a time; two threads make two objects for the same file.
    """

    def __init__(self, file: Path, mode: int = FILE_MODE) -> None:
        """mode: of the file, where it is made, less what the umask says."""
        self.file = file
        self._mode = mode
        self._descriptor: int | None = None

    def acquire(self, wait: float = 0.0, cancelled: Callable[[], bool] | None = None) -> bool:
        """Whether the lock was had within `wait` seconds. Raises StoreError when the file cannot be made."""
        deadline = time.monotonic() + wait
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), self._mode)
        except OSError as error:
            raise StoreError(
                f"cannot write the index in {self.file.parent} ({reason(error)}): "
                "make the folder writable or choose another with --index-dir"
            ) from None
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline or (cancelled is not None and cancelled()):
                os.close(descriptor)
                return False
            time.sleep(_POLL)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets the next one in; nothing happens when the lock is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: SQLite's own transactions still keep the index whole
        return True
