"""Messages that no client should send, to both servers: every request has to be answered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from bench.torture.material import HUNG_SECONDS, Counts, Rounds

_LSP = (
    "modstar/search", "modstar/similar", "modstar/status", "modstar/trust", "workspace/symbol",
    "textDocument/codeAction", "textDocument/codeLens", "codeLens/resolve", "workspace/executeCommand",
    "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose", "textDocument/didSave",
    "workspace/didChangeWatchedFiles", "workspace/didChangeConfiguration", "$/cancelRequest", "$/nonsense",
    "initialize", "textDocument/hover", "window/workDoneProgress/cancel",
    "workspace/didChangeWorkspaceFolders",
)  # fmt: skip
_MCP = (
    "tools/call",
    "tools/list",
    "ping",
    "initialize",
    "resources/list",
    "notifications/cancelled",
    "nonsense",
)
_KEYS = (
    "query", "limit", "textDocument", "uri", "range", "position", "start", "end", "line", "character", "text",
    "contentChanges", "changes", "event", "added", "removed", "name", "arguments", "command", "minScore",
    "id", "settings", "context", "diagnostics", "version", "folders", "globs", "languages", "k", "path",
)  # fmt: skip
_TEXTS = ("file:///a.py", "", "x" * 2_000, "\ud800", "../..", "search", "similar", "outline", "all")
_NAMES = ("search", "similar", "outline", "status", "nonsense")
#: Sent before their answers are waited for.
MESSAGES_A_ROUND = 20


def _value(chance: Random, depth: int = 0) -> Any:
    kind = chance.randrange(10 if depth < 4 else 7)
    if kind < 7:
        number, text = chance.randrange(-5, 1 << 40), chance.choice(_TEXTS)
        return (None, True, number, chance.random(), "socket", text, [])[kind]
    if kind == 7:
        if depth == 0 and chance.random() < 0.2:
            return [_value(chance, 4)] * 1_000
        return [_value(chance, depth + 1) for _ in range(chance.choice((0, 1, 3, 8)))]
    return {chance.choice(_KEYS): _value(chance, depth + 1) for _ in range(chance.randrange(6))}


class Talk:
    """A server process; which of the requests that it was sent are answered."""

    def __init__(self, command: Sequence[str], *, framed: bool) -> None:
        self._framed = framed
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.answers: dict[Any, Any] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, body: bytes) -> None:
        assert self._process.stdin is not None
        head = b"Content-Length: %d\r\n\r\n" % len(body) if self._framed else b""
        with suppress(OSError):
            self._process.stdin.write(head + body + (b"" if self._framed else b"\n"))
            self._process.stdin.flush()

    def say(self, **message: Any) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def is_answered(self, number: Any) -> bool:
        with self._news:
            return self._news.wait_for(lambda: number in self.answers, HUNG_SECONDS)

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := stream.readline():
            if self._framed:
                length = 0
                while line.strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                    line = stream.readline()
                line = stream.read(length)
            with suppress(ValueError):
                message = json.loads(line)
                if "method" not in message:
                    with self._news:
                        self.answers[message.get("id")] = message
                        self._news.notify_all()

    def end(self) -> bool:
        """Closes its input; whether it ends."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(HUNG_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return False
        return True


def _fuzz(
    talk: Talk, methods: Sequence[str], chance: Random, rounds: Rounds, counts: Counts, what: str
) -> None:
    number, asked = 10, dict[int, str]()
    while rounds:
        for _ in range(MESSAGES_A_ROUND):
            number += 1
            counts.tried[f"{what} messages"] += 1
            method: Any = chance.choice(methods) if chance.random() < 0.95 else _value(chance)
            message: dict[str, Any] = {"method": method, "params": _value(chance)}
            if method == "tools/call":
                message["params"] = {"name": chance.choice(_NAMES), "arguments": _value(chance)}
            kind = chance.random()
            if kind < 0.75:
                message["id"] = number
                asked[number] = json.dumps(message)[:200]
                talk.say(**message)
            elif kind < 0.9:
                talk.say(**message)
            else:
                body = json.dumps({"jsonrpc": "2.0", **message}).replace("\n", " ").encode()
                at = chance.randrange(len(body))
                talk.send(body[:at].replace(b"\n", b""))
        for one, sent in asked.items():
            if not talk.is_answered(one):
                counts.fault("unanswered", f"{what}: {sent}")
                return
    counts.outcomes[f"{what} requests answered"] += len(asked)


def language_server(
    root: Path, base: Path, name: str, chance: Random, rounds: Rounds, counts: Counts
) -> None:
    """Fuzzes modstar-lsp; at the end it still has to find `name`, and to end with its input."""
    command = [sys.executable, "-m", "modstar_lsp.server", "--index-dir", str(base / "lsp")]
    talk = Talk(command, framed=True)
    folder = {"uri": root.as_uri(), "name": "tortured"}
    talk.say(
        id=1,
        method="initialize",
        params={"processId": None, "capabilities": {}, "workspaceFolders": [folder]},
    )
    talk.say(method="initialized", params={})
    # Not the folder itself away, or there is nothing to find at the end.
    _fuzz(talk, _LSP, chance, rounds, counts, "language server")
    deadline = time.monotonic() + HUNG_SECONDS
    for number in range(1_000_000, 1_001_000):
        talk.say(id=number, method="modstar/search", params={"query": name, "minScore": 0})
        if not talk.is_answered(number) or time.monotonic() > deadline:
            counts.fault("lost", f"language server: {name} is not found at the end")
            break
        hits = talk.answers[number].get("result", {}).get("hits", [])
        if hits and hits[0]["symbol"] == name:
            break
        time.sleep(0.2)
    if not talk.end():
        counts.fault("hung", "language server: it does not end with its input")


def agents_server(root: Path, base: Path, name: str, chance: Random, rounds: Rounds, counts: Counts) -> None:
    """Fuzzes modstar mcp likewise."""
    talk = Talk(
        [sys.executable, "-m", "modstar_lsp", "mcp", "--index-dir", str(base / "mcp"), str(root)],
        framed=False,
    )
    client = {"name": "torture", "version": "0"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    talk.say(id=1, method="initialize", params=hello)
    talk.say(method="notifications/initialized", params={})
    _fuzz(talk, _MCP, chance, rounds, counts, "agents' server")
    question = {"name": "search", "arguments": {"query": name}}
    talk.say(id=1_000_000, method="tools/call", params=question)
    if not talk.is_answered(1_000_000) or name not in json.dumps(talk.answers[1_000_000]):
        counts.fault("lost", f"agents' server: {name} is not found at the end")
    if not talk.end():
        counts.fault("hung", "agents' server: it does not end with its input")
