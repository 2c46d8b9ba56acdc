"""Messages in and out of the process: a thread that reads, the event loop that handles and writes."""

from __future__ import annotations

import asyncio
import codecs
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from pygls.io_ import StdoutWriter

if TYPE_CHECKING:
    from modstar_lsp.server.server import Server

# A message that says it is larger than this is none of a client's.
_MAX_BYTES = 1 << 30
# What the event loop has left at the end takes so long at most.
_LAST_SECONDS = 1.0


def serve_pipe(server: Server, source: BinaryIO, target: BinaryIO) -> None:
    """Handle the messages of `source` until it ends, and write ours to `target`."""
    asyncio.run(_serve(server, source, target))


def serve_socket(server: Server, host: str, port: int) -> None:
    """Wait for one client at an address, and serve it until it hangs up."""
    with socket.create_server((host, port)) as listener:
        where, number = listener.getsockname()[:2]
        print(f"waiting for a client on {where}:{number}", file=sys.stderr, flush=True)
        connection, _ = listener.accept()
    with connection, connection.makefile("rb") as source, connection.makefile("wb") as target:
        serve_pipe(server, source, target)  # type: ignore[arg-type]


async def _serve(server: Server, source: BinaryIO, target: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    server.protocol.set_writer(StdoutWriter(target))

    def read() -> None:
        try:
            for body in bodies(source):
                try:
                    message: Any = json.loads(body)
                except (ValueError, RecursionError):
                    loop.call_soon_threadsafe(server.protocol.refuse_unreadable)
                else:
                    loop.call_soon_threadsafe(server.protocol.receive, message, len(body))
                    if isinstance(message, dict) and message.get("method") == "exit" and "id" not in message:
                        break  # the loop ends the process
        except (OSError, ValueError):
            pass  # the other end broke off
        loop.call_soon_threadsafe(ended.set)
        time.sleep(_LAST_SECONDS)
        server.leave(server.protocol.exit_status)  # the loop is at something that no end waits for

    threading.Thread(target=read, name="modstar-read", daemon=True).start()
    await ended.wait()
    server.leave(0)


def bodies(source: BinaryIO) -> Iterator[bytes]:
    """The body of each message, until the end of the input or a length that cannot be."""
    while True:
        length = None
        while line := source.readline():
            line = line.removeprefix(codecs.BOM_UTF8)  # a shell may begin a pipe with it
            name, colon, value = line.partition(b":")
            if not line.strip():
                if length is None:
                    continue  # a blank line between messages
                break
            if colon and name.strip().lower() == b"content-length":
                length = int(value)
        if not line or length is None or not 0 <= length <= _MAX_BYTES:
            return
        body = source.read(length)
        if len(body) < length:
            return
        yield body
