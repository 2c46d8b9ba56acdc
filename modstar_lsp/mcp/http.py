"""The streamable HTTP transport of the Model Context Protocol, on this machine alone and behind a token.

One address, `/mcp`: a message is a POST, its answer comes as JSON. There is no stream of events, as the
server says nothing unasked. Web pages cannot get through: requests must name the loopback address as their
host (a name that leads there may be anybody's), come from no other origin, and carry the token.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from modstar_lsp import __version__
from modstar_lsp.mcp.rpc import MESSAGE_BYTES, Methods

HOST = "127.0.0.1"
PATH = "/mcp"
# What may follow "http://" in the address of this machine.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Clients that begin and never end: of more than these the one that was silent for longest is forgotten.
_SESSIONS = 64
# A connection that says nothing for so long is closed; a client opens another.
_SILENT_SECONDS = 120.0

# Open at the same time; a further one is turned away. Each has a thread of its own.
_CONNECTIONS = 100
# When none can be had because the process has too many files open.
_PAUSE_SECONDS = 0.1
_TURNED_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# Of a length; Python reads no number of thousands.
_DIGITS = 20
# Of a message that nobody reads so much at a time.
_SKIPPED_BYTES = 65_536

HttpAnswer = tuple[HTTPStatus, Mapping[str, Any] | None, Mapping[str, str]]


class Sessions:
    """All clients. made: what a new client may ask. For any thread."""

    def __init__(self, made: Callable[[], Methods]) -> None:
        self._made = made
        self._known: OrderedDict[str, Methods] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> tuple[str, Methods]:
        """A new client: (what it is to name, what it may ask)."""
        name, methods = secrets.token_urlsafe(24), self._made()
        with self._lock:
            self._known[name] = methods
            while len(self._known) > _SESSIONS:
                self._known.popitem(last=False)
        return name, methods

    def of(self, name: str) -> Methods | None:
        """What the client of that name may ask; None for one that did not begin or has ended."""
        with self._lock:
            methods = self._known.get(name)
            if methods is not None:
                self._known.move_to_end(name)
            return methods

    def end(self, name: str) -> bool:
        """Forgets a client; whether there was one."""
        with self._lock:
            return self._known.pop(name, None) is not None


class HttpServer(ThreadingHTTPServer):
    """Listens from the beginning. Raises OSError when the port cannot be had.

    versions: of the protocol that are spoken.
    """

    daemon_threads = True
    request_queue_size = _CONNECTIONS

    def __init__(self, port: int, token: str, made: Callable[[], Methods], versions: tuple[str, ...]) -> None:
        self.token = token
        self.sessions = Sessions(made)
        self.versions = versions
        self._room = threading.Semaphore(_CONNECTIONS)
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{HOST}:{self.server_port}{PATH}"

    def get_request(self) -> tuple[socket, Any]:
        """The next connection. Raises OSError when there can be none now, and then not at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(
                _PAUSE_SECONDS
            )  # it still waits, so that whoever listens would be called again at once
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serves a connection on a thread of its own, or turns it away where there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.send(_TURNED_AWAY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See `process_request`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone, or speaks no HTTP, is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = f"modstar/{__version__}"
    timeout = _SILENT_SECONDS

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            return
        refusal = self._refusal()
        if refusal is None:
            self._send(*self._answer(self.rfile.read(length)))
            return
        while length > 0 and (read := len(self.rfile.read(min(length, _SKIPPED_BYTES)))):
            length -= read
        self._send(*refusal)

    def do_DELETE(self) -> None:
        """The client ends its session."""
        self._expect_no_body()
        self._send(*(self._refusal() or self._ended()))

    def do_GET(self) -> None:
        """Asks for a stream of events, which there is none of."""
        self._expect_no_body()
        self._send(
            *(self._refusal() or _said(HTTPStatus.METHOD_NOT_ALLOWED, "POST only", Allow="POST, DELETE"))
        )

    # -- who may ask

    def _refusal(self) -> HttpAnswer | None:
        """Why whoever asks gets no answer, None for somebody who does."""
        origin, version = self.headers.get("Origin"), self.headers.get("MCP-Protocol-Version")
        if not _is_here(f"http://{self.headers.get('Host', '')}"):
            return _said(HTTPStatus.FORBIDDEN, "Host must be the loopback address")
        if origin is not None and not _is_here(origin):
            return _said(HTTPStatus.FORBIDDEN, "Origin must be the loopback address")
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            return _said(HTTPStatus.UNAUTHORIZED, "a token is needed", **{"WWW-Authenticate": "Bearer"})
        if urlsplit(self.path).path != PATH:
            return _said(HTTPStatus.NOT_FOUND, f"ask {PATH}")
        if version is not None and version not in self.server.versions and self._session() is not None:
            return _said(HTTPStatus.BAD_REQUEST, "no such MCP-Protocol-Version")
        return None

    def _session(self) -> str | None:
        return self.headers.get("Mcp-Session-Id")

    # -- what is asked

    def _expect_no_body(self) -> None:
        """What comes with such a request all the same would be taken for the next one."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True

    def _length(self) -> int | None:
        """Of the message; None when the request was refused, as its end is not known."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(*_said(HTTPStatus.LENGTH_REQUIRED, "Content-Length is needed"))
            return None
        if len(length) > _DIGITS or int(length) > MESSAGE_BYTES:
            self.close_connection = True
            said = f"a message has {MESSAGE_BYTES:,} bytes at most"
            self._send(*_said(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said))
            return None
        return int(length)

    def _answer(self, body: bytes) -> HttpAnswer:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return _said(HTTPStatus.BAD_REQUEST, "not valid JSON")
        if not isinstance(message, dict):
            return _said(HTTPStatus.BAD_REQUEST, "one JSON-RPC message at a time")
        name, headers = self._session(), {}
        if name is None and message.get("method") == "initialize":
            name, methods = self.server.sessions.begin()
            headers["Mcp-Session-Id"] = name
        elif name is None:
            return _said(
                HTTPStatus.BAD_REQUEST, "initialize comes first, then Mcp-Session-Id in every request"
            )
        elif (known := self.server.sessions.of(name)) is None:
            return _said(HTTPStatus.NOT_FOUND, "no such session: initialize again")
        else:
            methods = known
        job = methods.take(message)
        answer = None if job is None else job.run()
        return (HTTPStatus.ACCEPTED if answer is None else HTTPStatus.OK), answer, headers

    def _ended(self) -> HttpAnswer:
        if self.server.sessions.end(self._session() or ""):
            return HTTPStatus.NO_CONTENT, None, {}
        return _said(HTTPStatus.NOT_FOUND, "no such session")

    # -- what is said

    def _send(
        self, status: HTTPStatus, message: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> None:
        body = b"" if message is None else json.dumps(message).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if message is not None:
            self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing is logged: questions are nobody's business."""


def _is_here(address: str) -> bool:
    """Whether a URL names this machine by its loopback address."""
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return False
    return host is not None and (host in _LOOPBACK or f"[{host}]" in _LOOPBACK)


def _said(status: HTTPStatus, message: str, **headers: str) -> HttpAnswer:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    return status, error, headers
