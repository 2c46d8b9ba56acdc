"""Linux's inotify(7), folder by folder.

watchdog watches either one folder or all below it; ours are those that the walk enters, and a thread for each
would be too many. On other systems one watch covers a tree, and watchdog is used.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys

MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x8, 0x40, 0x80
CREATE, DELETE = 0x100, 0x200
OVERFLOW, IGNORED, IS_FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDER, _DONT_FOLLOW, _EXCLUDE_UNLINKED = 0x01000000, 0x02000000, 0x04000000
_MASK = (
    MODIFY
    | CLOSE_WRITE
    | MOVED_FROM
    | MOVED_TO
    | CREATE
    | DELETE
    | _ONLY_FOLDER
    | _DONT_FOLLOW
    | _EXCLUDE_UNLINKED
)
_HEADER = struct.Struct("iIII")
_BUFFER_BYTES = 65_536


def is_available() -> bool:
    """Whether this system has inotify."""
    return sys.platform == "linux"


class Inotify:
    """One instance. `add` and `remove` may be called from other threads than `read`. Raises OSError."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, folder: str) -> int:
        """The number of the watch on a folder; the one that there is when it is watched.

        Raises OSError: ENOSPC when the user's allowance of watches is used up.
        """
        return self._checked(self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _MASK))

    def remove(self, watch: int) -> None:
        """Ends a watch; one that is gone already is no error."""
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def read(self, seconds: float) -> list[tuple[int, int, str]]:
        """(watch, mask, name) of each event; waits for some so long."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return []
        try:
            data = os.read(self._descriptor, _BUFFER_BYTES)
        except BlockingIOError:
            return []
        events = []
        at = 0
        while at + _HEADER.size <= len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            events.append((watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
            at += length
        return events

    def close(self) -> None:
        """Ends all watches."""
        os.close(self._descriptor)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number))
        return result
