"""Hands a command over to the resident process of a running server, when there is one.

The resident (`cli/resident.py`) runs the very same command, with the arguments, folder, environment and
streams of this process: only what takes long to import is there already. Whatever is amiss before it begins
means that this process does the work itself.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from modstar_lsp import private_socket
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    import socket

# A resident that is well says who it is at once.
_GREETING_SECONDS = 0.25
_MOST_BYTES = 1_000_000
_STREAMS = (0, 1, 2)


def handed_over(arguments: list[str]) -> int | None:
    """The exit status of the resident that ran `modstar-query` with `arguments`; None when none did.

    Raises ModstarError when one began and was ended from outside.
    """
    if not private_socket.IS_AVAILABLE or None in (sys.stdin, sys.stdout, sys.stderr):
        return None
    there = _found(arguments)
    if there is None:
        return None
    with there:
        try:
            if not _is_known(there):
                return None
            request = _request(arguments)
            if len(request) > _MOST_BYTES:
                return None
            _send(there, request)
        except OSError:
            return None
        there.settimeout(None)
        return _status(there)


def _found(arguments: list[str]) -> socket.socket | None:
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


def _is_known(there: socket.socket) -> bool:
    """Whether the process that listens is of this very installation."""
    expected = private_socket.stamp().encode("utf-8", "replace") + b"\n"
    greeting = b""
    while len(greeting) < len(expected) and (piece := there.recv(len(expected) - len(greeting))):
        greeting += piece
    return greeting == expected


def _request(arguments: list[str]) -> bytes:
    """Folder, encoding of the output, arguments and environment: texts without NUL, as the system has it."""
    encodings = [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)]
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    texts = [os.getcwd(), *encodings, str(len(arguments)), *arguments, *environment]
    body = b"\0".join(map(os.fsencode, texts))
    return len(body).to_bytes(4, "big") + body


def _send(there: socket.socket, request: bytes) -> None:
    import socket

    sent = socket.send_fds(there, [request], list(_STREAMS))
    if rest := request[sent:]:
        there.sendall(rest)


def _status(there: socket.socket) -> int:
    """Waits for the end, and passes Ctrl-C on meanwhile."""
    import signal

    while True:
        try:
            told = there.recv(1)
        except KeyboardInterrupt:
            there.send(bytes([signal.SIGINT]))
            continue
        except OSError:
            told = b""
        if told:
            return told[0]
        raise ModstarError("the process that was asked has ended: ask again")
