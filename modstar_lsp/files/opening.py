"""Opens what may stand where a file is expected: regular files alone, and no further than a limit.

An unpacked archive can have a FIFO where an ignore file belongs, which waits for ever to be opened, a link to
a device that never ends, or a file of many gigabytes that takes no space on the disk.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


# What changes with a file: size, both times in ns, and what tells it from another one in its place
DiskState = tuple[int, int, int, int, int]


class NotRegularError(OSError):
    """Where a file was expected stands a folder, a FIFO, a device or a socket."""


def open_regular(path: Path | str, *, follow: bool = True) -> int:
    """A descriptor of a regular file, to be closed by the caller; never waits.

    follow: False refuses a link, with ELOOP.  Raises NotRegularError, and OSError as `os.open` does.
    """
    if not follow and not hasattr(os, "O_NOFOLLOW") and Path(path).is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    descriptor = os.open(path, _FLAGS | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise NotRegularError(f"{path}: no regular file")


def read_regular(path: Path | str, limit: int, *, follow: bool = True) -> bytes:
    """The first `limit` bytes of a regular file. Raises as `open_regular`."""
    descriptor = open_regular(path, follow=follow)
    try:
        return read_at_most(descriptor, limit)
    finally:
        os.close(descriptor)


def read_at_most(descriptor: int, limit: int) -> bytes:
    """What is left of an open file, `limit` bytes of it at most."""
    chunks = []
    while limit > 0 and (chunk := os.read(descriptor, min(limit, 1 << 20))):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def disk_state(path: Path | str) -> DiskState | None:
    """What changes with what `path` is or links to, None where nothing is."""
    try:
        status = os.stat(path)  # noqa: PTH116 - making a Path of a text takes as long again
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
