"""`modstar mcp --http`: the same tools by HTTP, for who has the token, and for no page of the web."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_process import TIMEOUT
from mcp_shop import lay_out

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}


class Served:
    """The real process, and where it says that it listens."""

    def __init__(self, *arguments: str, token: str = "") -> None:
        environment = {**os.environ, **({"MODSTAR_MCP_TOKEN": token} if token else {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modstar_lsp", "mcp", "--http", "0", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.authorization = self.process.stdout.readline().strip().removeprefix("Authorization: ")
        self.port = int(self.url.split(":")[2].split("/")[0])
        self.session = ""

    def request(
        self, method: str, body: bytes | None = None, path: str = "/mcp", **headers: str | None
    ) -> tuple[int, Any]:
        """(status, message); headers in place of what a client would send, None for none."""
        sent: dict[str, str | None] = {
            "Authorization": self.authorization,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Mcp-Session-Id": self.session or None,
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            given = {name: value for name, value in sent.items() if value is not None}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            self.session = answer.getheader("Mcp-Session-Id") or self.session
            text = answer.read()
            is_json = answer.getheader("Content-Type") == "application/json"
            return answer.status, json.loads(text) if is_json else None
        finally:
            connection.close()

    def ask(self, method: str, params: Any = None, **headers: str | None) -> tuple[int, Any]:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return self.request("POST", json.dumps(message).encode(), **headers)

    def close(self) -> int:
        self.process.terminate()
        status = self.process.wait(TIMEOUT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("http") / "shop")


@pytest.fixture(scope="module")
def server(shop: Path) -> Iterator[Served]:
    served = Served("--index-dir", str(shop.parent / "indexes"), str(shop))
    assert served.ask("initialize", HELLO)[0] == 200
    yield served
    assert served.close() == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_connects_lists_calls_and_hears_errors(server: Served, mode: str) -> None:
    headers = {"Authorization": server.authorization}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=TIMEOUT) as web,
        Client(streamable_http_client(server.url, http_client=web), mode=mode) as client,
    ):
        assert client.server_info is not None and client.server_info.name == "modstar"
        listed = await client.list_tools()
        assert {tool.name for tool in listed.tools} == {"search", "similar", "outline", "status"}
        found = await client.call_tool("search", {"query": "send a file again after a failure"})
        assert not found.is_error and "retry_upload" in found.content[0].text
        wrong = await client.call_tool("search", {"query": "x", "paths": ["/etc/passwd"]})
        assert wrong.is_error and "outside" in wrong.content[0].text
        with pytest.raises(MCPError, match="unknown tool 'dig'"):
            await client.call_tool("dig", {})


def test_it_listens_on_this_machine_alone(server: Served) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}/mcp"
    listening = Path("/proc/net/tcp")
    if listening.exists():
        mine = [line.split()[1] for line in listening.read_text().splitlines()[1:] if line.split()[3] == "0A"]
        assert [one.split(":")[0] for one in mine if int(one.split(":")[1], 16) == server.port] == [
            "0100007F"
        ]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer guess"}, 401),
        ({"Authorization": "Basic guess"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "localhost"}, 200),
        ({"MCP_Protocol_Version": "1999-01-01"}, 400),
        ({"MCP_Protocol_Version": "2025-06-18"}, 200),
        ({"Mcp_Session_Id": None}, 400),
        ({"Mcp_Session_Id": "guess"}, 404),
    ],
)
def test_who_may_ask(server: Served, headers: dict[str, str | None], status: int) -> None:
    answered, message = server.ask("tools/list", **headers)
    assert answered == status
    assert ("result" in message) == (status == 200)


@pytest.mark.parametrize(
    ("method", "body", "path", "status"),
    [
        ("GET", None, "/mcp", 405),
        ("POST", b"{}", "/other", 404),
        ("POST", b"{broken", "/mcp", 400),
        ("POST", b"[]", "/mcp", 400),
        ("POST", b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', "/mcp", 202),
        ("POST", b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}', "/mcp", 200),
        ("PUT", b"{}", "/mcp", 501),
    ],
)
def test_what_may_be_asked(server: Served, method: str, body: bytes | None, path: str, status: int) -> None:
    assert server.request(method, body, path)[0] == status


def test_too_long_a_message_is_refused_unread(server: Served) -> None:
    assert server.request("POST", b"", Content_Length="9000000")[0] == 413
    assert server.request("POST", b"", Content_Length="many")[0] == 411
    assert server.request("POST", b"", Content_Length="9" * 5_000)[0] == 413
    assert server.request("POST", b"0\r\n\r\n", Transfer_Encoding="chunked")[0] == 411
    assert server.request("POST", b"x" * 3_000_000, Authorization="Bearer guess")[0] == 401


@pytest.mark.parametrize(("method", "status"), [("GET", b"405"), ("DELETE", b"404")])
def test_what_comes_behind_a_request_is_no_request_of_its_own(
    server: Served, method: str, status: bytes
) -> None:
    inside = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    lines = [f"{method} /mcp HTTP/1.1", "Host: localhost", f"Authorization: {server.authorization}"]
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        head = "\r\n".join([*lines, f"Content-Length: {len(inside)}", "", ""])
        connection.sendall(head.encode() + inside)
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answers.startswith(b"HTTP/1.1 " + status) and answers.count(b"HTTP/1.1 ") == 1


def test_a_flood_of_connections_is_turned_away_and_over_when_it_ends(server: Served) -> None:
    with ExitStack() as flood:
        for _ in range(110):
            connection = flood.enter_context(socket.create_connection(("127.0.0.1", server.port), TIMEOUT))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 503")
    deadline = time.monotonic() + TIMEOUT
    while (status := server.ask("tools/list")[0]) != 200 and time.monotonic() < deadline:
        pass
    assert status == 200


def test_a_client_that_ends_its_session_is_forgotten_and_others_are_not(server: Served) -> None:
    mine = server.session
    server.session = ""
    assert server.ask("initialize", HELLO)[0] == 200 and server.session != mine
    assert server.request("DELETE")[0] == 204
    assert server.ask("tools/list")[0] == 404
    server.session = mine
    assert server.ask("tools/list")[0] == 200


def test_a_token_of_ones_own_is_taken_and_a_short_one_refused(shop: Path) -> None:
    served = Served("--index-dir", str(shop.parent / "indexes"), str(shop), token="x" * 40)
    assert served.authorization == f"Bearer {'x' * 40}"
    assert served.ask("initialize", HELLO)[0] == 200
    assert served.close() == 0
    command = [sys.executable, "-m", "modstar_lsp", "mcp", "--http", "0", str(shop)]
    environment = {**os.environ, "MODSTAR_MCP_TOKEN": "secret"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "MODSTAR_MCP_TOKEN must be" in done.stderr and "secret" not in done.stderr


def test_a_port_that_cannot_be_had_is_one_line_and_status_2(server: Served, shop: Path) -> None:
    for port, said in ((str(server.port), "cannot listen"), ("99999", "needs a port"), ("", "needs a port")):
        command = [sys.executable, "-m", "modstar_lsp", "mcp", str(shop), "--http", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr
