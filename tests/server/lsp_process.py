"""The real server as a process, and a client that speaks JSON-RPC to it byte by byte."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

# A busy machine may need more.
TIMEOUT = float(os.environ.get("MODSTAR_TEST_SECONDS", "60"))

Message = dict[str, Any]


class ServerEnded(Exception):
    """The server closed its output."""


class Client:
    """A client that answers what the server asks as most editors do. Messages are kept in order of arrival.

    configuration: the answer for the section "modstar".  refuses: methods answered with an error.
    answers: the result for a method, or a function that makes it of the params.
    """

    def __init__(
        self,
        cache: Path,
        *arguments: str,
        configuration: Any = None,
        refuses: Sequence[str] = (),
        answers: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._prepare(configuration, refuses, answers or {})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modstar_lsp.server", "--index-dir", os.fspath(cache), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._talk(self.process.stdin, self.process.stdout)
        threading.Thread(target=self._read_errors, daemon=True).start()

    @classmethod
    def over(cls, connection: socket.socket) -> Client:
        """A client of a server that is there already, at the other end of a connection."""
        client = cls.__new__(cls)
        client._prepare(None, (), {})
        client._talk(connection.makefile("wb"), connection.makefile("rb"))
        return client

    def _prepare(self, configuration: Any, refuses: Sequence[str], answers: Mapping[str, Any]) -> None:
        self.configuration = configuration
        self.refuses = refuses
        self.answers = answers
        self.messages: list[Message] = []
        self.ended = False
        self._errors: list[bytes] = []
        self._ids = itertools.count(1_000)  # smaller ones are for tests that choose their own
        self._news = threading.Condition()
        self._writing = threading.Lock()

    def _talk(self, to_server: IO[bytes], from_server: IO[bytes]) -> None:
        self._to_server, self._from_server = to_server, from_server
        threading.Thread(target=self._read, daemon=True).start()

    # -- life

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(TIMEOUT)

    def initialize(
        self, *folders: Path, capabilities: Message | None = None, options: Any = None, **more: Any
    ) -> Message:
        """Say who we are and what is open; the server's capabilities."""
        params = {
            "processId": os.getpid(),
            "rootUri": None,
            "capabilities": capabilities if capabilities is not None else CAPABILITIES,
            "workspaceFolders": [{"uri": path.as_uri(), "name": path.name} for path in folders] or None,
            **({"initializationOptions": options} if options is not None else {}),
            **more,
        }
        answer = self.request("initialize", params)
        self.notify("initialized", {})
        return answer

    def exit(self) -> int:
        """Shut down as the protocol has it; the exit status."""
        self.request("shutdown")
        self.notify("exit")
        return self.process.wait(TIMEOUT)

    @property
    def stderr(self) -> str:
        return b"".join(self._errors).decode("utf-8", "replace")

    # -- speaking

    def send(self, message: Any) -> None:
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes) -> None:
        with self._writing:
            self._to_server.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._to_server.flush()

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request; its id."""
        number = next(self._ids)
        self.send({"id": number, "method": method, **({"params": params} if params is not None else {})})
        return number

    def request(self, method: str, params: Any = None) -> Any:
        """The result of a request. Raises AssertionError when it is an error."""
        answer = self.answer(self.ask(method, params))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def error(self, method: str, params: Any = None) -> Message:
        """The error that answers a request."""
        answer: Message = self.answer(self.ask(method, params))
        assert "error" in answer, answer
        error: Message = answer["error"]
        return error

    def answer(self, number: int) -> Message:
        """The response to the request `number`."""
        return self.wait(lambda message: message.get("id") == number and "method" not in message)

    # -- hearing

    def wait(self, wanted: Callable[[Message], bool], timeout: float = TIMEOUT, after: int = 0) -> Message:
        """The first message, of those from number `after` on, that is `wanted`."""
        deadline = time.monotonic() + timeout
        with self._news:
            seen = after
            while True:
                for message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.messages)
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    state = "ended" if self.ended else "said nothing like it"
                    raise ServerEnded(
                        f"the server {state}; it said {self.messages[-5:]} {self.stderr[-2000:]}"
                    )
                self._news.wait(left)

    def said(self, method: str) -> list[Any]:
        """The params of every message of a kind so far."""
        with self._news:
            return [message.get("params") for message in self.messages if message.get("method") == method]

    def _read(self) -> None:
        stream = self._from_server
        while True:
            length = 0
            while (line := stream.readline()).strip():
                name, _, value = line.decode("ascii").partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            if not line:
                break
            message = json.loads(stream.read(length))
            with self._news:
                self.messages.append(message)
                self._news.notify_all()
            if "method" in message and "id" in message:
                self._respond(message)
        with self._news:
            self.ended = True
            self._news.notify_all()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line)

    def _respond(self, message: Message) -> None:
        if message["method"] in self.refuses:
            error = {"code": -32601, "message": "no such method here"}
            self.send({"id": message["id"], "error": error})
            return
        result: Any = None
        if message["method"] == "workspace/configuration":
            result = [self.configuration for _ in message["params"]["items"]]
        elif message["method"] in self.answers:
            result = self.answers[message["method"]]
            if callable(result):
                result = result(message["params"])
        with suppress(OSError):  # it has ended meanwhile
            self.send({"id": message["id"], "result": result})

    # -- what tests do again and again

    def search(self, query: str, **filters: Any) -> Message:
        answer: Message = self.request("modstar/search", {"query": query, **filters})
        return answer

    def symbols(self, query: str, **filters: Any) -> list[str]:
        """The symbols of the hits, in rank order."""
        return [hit["symbol"] for hit in self.search(query, **filters)["hits"]]

    def comes_up(self, symbol: str, query: str = "") -> Message:
        """The answer with `symbol` among its hits, once it is."""
        return self.until_answer(
            query or symbol.replace("_", " "), lambda symbols: symbol in symbols, f"{symbol} is not found"
        )

    def goes_away(self, symbol: str, query: str = "") -> None:
        """Return once `symbol` is found no longer."""
        self.until_answer(
            query or symbol.replace("_", " "),
            lambda symbols: symbol not in symbols,
            f"{symbol} is still found",
        )

    def until_answer(self, query: str, wanted: Callable[[list[str]], bool], complaint: str) -> Message:
        """The answer to `query` once its symbols are as `wanted`."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = self.search(query)
            if wanted([hit["symbol"] for hit in answer["hits"]]):
                return answer
            assert time.monotonic() < deadline, complaint
            time.sleep(0.02)

    def changed(self, *paths: Path, kind: int = 2) -> None:
        """Tell that files were created (1), changed (2) or deleted (3)."""
        changes = [{"uri": path.as_uri(), "type": kind} for path in paths]
        self.notify("workspace/didChangeWatchedFiles", {"changes": changes})

    def command(self, name: str, *arguments: Any) -> Any:
        return self.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})

    def ready(self, folders: int = 1) -> Message:
        """Wait until every folder is indexed; the status then."""
        return self.until(
            lambda status: (
                len(status["folders"]) == folders
                and all(folder["coverage"]["state"] == "ready" for folder in status["folders"])
            )
        )

    def until(self, wanted: Callable[[Message], bool], timeout: float = TIMEOUT) -> Message:
        """The status once it is as `wanted`."""
        deadline = time.monotonic() + timeout
        while True:
            status: Message = self.request("modstar/status", {})
            if wanted(status):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.05)

    def open(self, path: Path, text: str | None = None, language: str = "python") -> str:
        """Open a document with the file's text or another; its URI."""
        document = {
            "uri": path.as_uri(),
            "languageId": language,
            "version": 1,
            "text": path.read_text("utf-8") if text is None else text,
        }
        self.notify("textDocument/didOpen", {"textDocument": document})
        return path.as_uri()


CAPABILITIES: Message = {
    "general": {"positionEncodings": ["utf-8", "utf-16"]},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "workspace": {
        "configuration": True,
        "workspaceFolders": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "symbol": {},
    },
    "textDocument": {"synchronization": {"didSave": True}, "codeAction": {}},
}
#: As Neovim is on Linux: it watches no files for the server.
NO_WATCHING: Message = {
    **CAPABILITIES,
    "workspace": {**CAPABILITIES["workspace"], "didChangeWatchedFiles": {"dynamicRegistration": False}},
}
