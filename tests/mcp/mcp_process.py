"""The real `modstar mcp` as a process, and a client that writes it lines and reads lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

TIMEOUT = 60.0

Message = dict[str, Any]


class Client:
    """A client. Answers are kept until they are asked for. reads: False leaves them in the pipe."""

    def __init__(self, cache: Path, *folders: Path, cwd: Path | None = None, reads: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modstar_lsp", "mcp", "--index-dir", os.fspath(cache), *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
        )
        self._asked = 0
        self._answers: dict[Any, Message] = {}
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, params: Any = None, *, asked: Any = None, **more: Any) -> Any:
        """Send a request; its id."""
        if asked is None:
            self._asked += 1
            asked = self._asked
        message = {"jsonrpc": "2.0", "id": asked, "method": method, "params": params or {}, **more}
        self.write(json.dumps(message).encode() + b"\n")
        return asked

    def notify(self, method: str, params: Any = None) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode() + b"\n")

    def next(self, seconds: float = TIMEOUT) -> Message:
        """The next message. Raises Empty when there is none in time."""
        return json.loads(self._lines.get(timeout=seconds))

    def answer(self, asked: Any) -> Message:
        """The answer to a request, with its result or error."""
        while asked not in self._answers:
            message = self.next()
            self._answers[message["id"]] = message
        return self._answers.pop(asked)

    def ask(self, method: str, params: Any = None) -> Message:
        return self.answer(self.send(method, params))

    def begin(self, version: str = "2025-06-18") -> Message:
        """Say hello; what the server says about itself."""
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
        result = self.ask("initialize", hello)["result"]
        self.notify("notifications/initialized")
        return result

    def call(self, tool: str, **arguments: Any) -> str:
        """What a tool answers; fails when it says that something is wrong."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]
        assert not result["isError"], result
        return result["content"][0]["text"]

    def refused(self, tool: str, **arguments: Any) -> str:
        """The line by which a tool says that something is wrong."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]
        assert result["isError"], result
        text = result["content"][0]["text"]
        assert "\n" not in text
        return text

    def close(self) -> int:
        """Close the input, as a client that ends; the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(OSError):  # what was still to be written
                    stream.close()


__all__ = ["TIMEOUT", "Client", "Empty", "Message"]
