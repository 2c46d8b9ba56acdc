"""Hands a command over to the resident process of a running server, when there is one.

The resident (`cli/resident.py`) runs the very same command, with the arguments, folder, environment and
streams of this process: only what takes long to import is there already.

Whatever is amiss before the resident used one of these streams means that this process does the work itself:

    resident: who it is, a line      command: what is to be done, and the streams
    resident: READY, and a handle to end it by (a pidfd, where the system has them)
                                     command: GO, from which on it waits, and passes on Ctrl-C
    resident: ALIVE, now and then; USED, once, before it reads or writes a stream; at the end the exit status

One that is alive may take as long as it needs. One that is silent was stopped: from then on it can say
nothing, and so use no stream should it go on, and it is ended.
"""

from __future__ import annotations

import os
import sys
import time

from modstar_lsp import TYPE_CHECKING, private_socket
from modstar_lsp.cli.process import ERROR, FOUND, INTERRUPTED, NOTHING
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from _socket import socket as Socket

READY, GO, USED, ALIVE = b"\xfc", b"\xfd", b"\xfe", b"\xfb"
#: Of a request.
MOST_REQUESTED = 1_000_000
# A resident that is well says who it is at once, and soon afterwards that it is ready.
_GREETING_SECONDS = 0.25
_READY_SECONDS = 1.0
#: So often it says that it is alive.
ALIVE_SECONDS = 0.5
# One that does not for so long was stopped. A thread says it, which had to wait .12 s at most while 2.2 GB of
# sources were indexed; the rest is for a machine that is short of memory.
_STOPPED_SECONDS = 5.0
_STATUSES = (FOUND, NOTHING, ERROR, INTERRUPTED)
# The first Ctrl-C has the resident end in good order, the second at once. If it does not, we do.
_PATIENCE = 2
_STREAMS = (0, 1, 2)


def handed_over(arguments: list[str]) -> int | None:
    """The exit status of the resident that ran `modstar-query` with `arguments`; None when none did.

    Raises ModstarError when one was ended from outside while it answered.
    """
    if not private_socket.IS_AVAILABLE or None in (sys.stdin, sys.stdout, sys.stderr):
        return None
    there = _found(arguments)
    if there is None:
        return None
    try:
        try:
            if not _is_known(there):
                return None
            handles = _begun(there, arguments)
        except OSError:
            return None
        return None if handles is None else _status(there, handles)
    finally:
        there.close()


def _found(arguments: list[str]) -> Socket | None:
    """The resident for the indexes that the command is about."""
    try:
        path = private_socket.address(_indexes(arguments))
    except ModstarError:  # no home folder is known
        return None
    return private_socket.connect(path, _GREETING_SECONDS) if path else None


def _indexes(arguments: list[str]) -> str:
    """The folder of the indexes that the command line names, by default the user's cache folder."""
    from modstar_lsp.cache_folder import user_cache

    for number, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == "--index-dir":
            named = value if equals else "".join(arguments[number + 1 : number + 2])
            return os.path.abspath(os.path.expanduser(named))
    return user_cache()


def heard(there: Socket, count: int, seconds: float) -> bytes:
    """The next `count` bytes, fewer at the end. Raises TimeoutError when all of them take longer."""
    deadline = time.monotonic() + seconds
    pieces = bytearray()
    while len(pieces) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        there.settimeout(left)
        piece = there.recv(min(count - len(pieces), 65_536))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def _is_known(there: Socket) -> bool:
    """Whether the process that listens is of this very installation."""
    expected = private_socket.stamp().encode("utf-8", "replace") + b"\n"
    return heard(there, len(expected), _GREETING_SECONDS) == expected


def _begun(there: Socket, arguments: list[str]) -> list[int] | None:
    """Has the resident begin; its handle, if it gave one. None when it has not taken everything over.

    Before it is told to begin it does nothing. Raises OSError.
    """
    request = _request(arguments)
    if len(request) > MOST_REQUESTED:
        return None
    _send(there, request)
    there.settimeout(_READY_SECONDS)
    said, handles = private_socket.receive_files(there, len(READY), 1)
    if said != READY:
        return None
    there.sendall(GO)
    return handles


def _request(arguments: list[str]) -> bytes:
    """Folder, encoding of the output, arguments and environment: texts without NUL, as the system has it."""
    encodings = [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)]
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    texts = [os.getcwd(), *encodings, str(len(arguments)), *arguments, *environment]
    body = b"\0".join(map(os.fsencode, texts))
    return len(body).to_bytes(4, "big") + body


def _send(there: Socket, request: bytes) -> None:
    sent = private_socket.send_files(there, request, _STREAMS)
    if rest := request[sent:]:
        there.sendall(rest)


def _status(there: Socket, handles: list[int]) -> int | None:
    """Waits for the end, and passes Ctrl-C on meanwhile. None when nothing came of it."""
    used = False
    interrupts = 0
    there.settimeout(_STOPPED_SECONDS)
    while True:
        try:
            told = there.recv(1)
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > _PATIENCE:
                raise
            _pass_on_interrupt(there)
            continue
        except TimeoutError:
            _silence(there, handles)  # what it has said before is still to be heard
            continue
        except OSError:
            told = b""
        if told == ALIVE:
            continue
        if told == USED:
            used = True
        elif told and told[0] in _STATUSES:
            return told[0]
        elif interrupts:
            raise KeyboardInterrupt
        elif used:
            raise ModstarError("the process that was asked has ended: ask again")
        else:
            return None


def _pass_on_interrupt(there: Socket) -> None:
    import signal

    try:
        there.send(bytes([signal.SIGINT]))
    except OSError:
        pass


def _silence(there: Socket, handles: list[int]) -> None:
    """Has a resident say nothing more, and ends it."""
    import _socket

    try:
        there.shutdown(_socket.SHUT_RD)
    except OSError:
        pass
    _end(handles)


def _end(handles: list[int]) -> None:
    """Ends a process that holds our streams: who reads what we write would wait for it as well."""
    import signal

    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except (OSError, AttributeError):
            pass
