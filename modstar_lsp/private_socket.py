"""A Unix socket between programs of one person: where it is, and whether who speaks there is that person.

It lies in a folder that nobody else may enter, and each side asks the system who the other is. Linux alone:
elsewhere there is no such socket. Nothing heavy is imported before there is somebody to speak to, and who
connects does so by `_socket`, on which Python's `socket` stands: that takes 3 ms more to import.
"""

from __future__ import annotations

import os
import stat
import sys
from binascii import crc32

from modstar_lsp import TYPE_CHECKING, __version__

if TYPE_CHECKING:
    import socket
    from _socket import socket as Socket
    from collections.abc import Callable, Sequence

#: Whether there are such sockets here.
IS_AVAILABLE = sys.platform == "linux"

# Of what is said there. Sources in a clone may change under a server that runs.
_SPOKEN_VERSION = 3
# The folder of the sockets, in that of the indexes.
_FOLDER = "resident"
# What the system allows for a path, with the end of the string, and what `listen` adds while it makes one.
_LONGEST = 107
_NEW = ".new"
_BACKLOG = 64
# Of a C int; pid, uid and gid of the process at the other end are one each.
_INT_BYTES = 4
_CREDENTIALS_BYTES = 3 * _INT_BYTES


def stamp() -> str:
    """What distinguishes this installation from others: what another would answer may differ.

    The environment counts and not how its Python is called: editors start `python`, scripts name `python3`.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    found = os.stat(f"{package}/__init__.py")
    parts = (_SPOKEN_VERSION, __version__, package, found.st_ino, found.st_mtime_ns, sys.prefix, sys.version)
    return " ".join(map(str, parts)).replace("\n", " ")


def address(indexes: str) -> str:
    """The socket of this installation beside the indexes in the folder `indexes`, "" for none."""
    path = f"{indexes}/{_FOLDER}/{crc32(stamp().encode('utf-8', 'replace')):08x}.sock"
    return path if IS_AVAILABLE and len(os.fsencode(path)) <= _LONGEST - len(_NEW) else ""


def connect(path: str, seconds: float) -> Socket | None:
    """Who listens at `path`, if that is a process of this user; else None. Waits for so long at most."""
    if not _is_ours(os.path.dirname(path), stat.S_ISDIR) or not _is_ours(path, stat.S_ISSOCK):
        return None
    import _socket

    there = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        there.settimeout(seconds)
        there.connect(path)
        if is_same_user(there):
            return there
    except OSError:  # nobody listens any more
        pass
    there.close()
    return None


def listen(path: str) -> socket.socket | None:
    """Listens at `path`, in place of whoever did before; None where nobody can do so in private."""
    import socket

    if not make_folder(path):
        return None
    here = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        new = path + _NEW
        if os.path.lexists(new):
            os.unlink(new)
        here.bind(new)
        os.chmod(new, 0o600)
        here.listen(_BACKLOG)
        os.rename(new, path)
    except OSError:
        here.close()
        return None
    return here


def make_folder(path: str) -> bool:
    """Makes the folder of the socket at `path` if need be; whether it is there, and this user's alone."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return False
    return _is_ours(folder, stat.S_ISDIR)


def is_same_user(there: Socket) -> bool:
    """Whether the process at the other end is one of this user's."""
    import _socket

    found = there.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS_BYTES)
    return int.from_bytes(found[4:8], sys.byteorder) == os.geteuid()


def send_files(there: Socket, data: bytes, files: Sequence[int]) -> int:
    """Sends `data` with open files, by their numbers here; how many bytes were sent."""
    import _socket

    numbers = b"".join(number.to_bytes(_INT_BYTES, sys.byteorder) for number in files)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)] if files else []
    return there.sendmsg([data], rights)


def receive_files(there: Socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """(up to `size` bytes, the numbers that the open files with them have here, `most` at most)."""
    import _socket

    data, rights, _, _ = there.recvmsg(size, _socket.CMSG_LEN(most * _INT_BYTES))
    files: list[int] = []
    for level, kind, numbers in rights:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            for start in range(0, len(numbers) - _INT_BYTES + 1, _INT_BYTES):
                files.append(int.from_bytes(numbers[start : start + _INT_BYTES], sys.byteorder))
    return data, files


def _is_ours(path: str, is_kind: Callable[[int], bool]) -> bool:
    """Whether `path` is of such a kind, and this user's alone."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return is_kind(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
