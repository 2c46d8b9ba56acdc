"""Line by line: every request is answered, whatever it is, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp_process import Client, Empty

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@pytest.mark.parametrize(
    ("asked", "spoken"), [*((version, version) for version in VERSIONS), ("2099-01-01", VERSIONS[-1])]
)
def test_the_version_that_the_client_asks_for_is_spoken_or_the_newest_known(
    start: Callable[..., Client], shop: Path, asked: str, spoken: str
) -> None:
    about = start(shop, hello=False).begin(asked)
    assert about["protocolVersion"] == spoken
    assert about["serverInfo"]["name"] == "modstar" and "tools" in about["capabilities"]


def test_the_tools_are_listed_with_schemas_that_bound_their_arguments(client: Client) -> None:
    tools = {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}
    assert set(tools) == {"search", "similar", "outline", "status"}
    for tool in tools.values():
        assert tool["description"] and tool["annotations"]["readOnlyHint"]
        assert tool["inputSchema"]["type"] == "object"
        assert tool["inputSchema"]["additionalProperties"] is False
    assert tools["search"]["inputSchema"]["required"] == ["query"]


def test_a_ping_is_answered_before_anything_else(start: Callable[..., Client], shop: Path) -> None:
    assert start(shop, hello=False).ask("ping")["result"] == {}


def test_nothing_is_listed_or_called_before_initialize(start: Callable[..., Client], shop: Path) -> None:
    early = start(shop, hello=False)
    for method in ("tools/list", "tools/call"):
        assert early.ask(method)["error"]["message"] == "initialize comes first"
    early.begin()
    assert early.ask("tools/list")["result"]["tools"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{not json}\n", -32700),
        (b"[]\n", -32600),
        (b"7\n", -32600),
        (b'{"id": 1, "method": "ping"}\n', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}\n', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}\n', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}\n', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "dig"}}\n', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}\n', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}\n', -32602),
        (b"[" * 100_000 + b"\n", -32700),
        (b'"' + b"x" * 5_000_000 + b'"\n', -32600),
    ],
)
def test_what_makes_no_sense_is_answered_with_an_error_and_the_next_request_is_served(
    client: Client, line: bytes, code: int
) -> None:
    client.write(line)
    error = client.next()["error"]
    assert error["code"] == code and error["message"] and "\n" not in error["message"]
    assert client.ask("ping")["result"] == {}


def test_an_unknown_tool_is_told_which_there_are(client: Client) -> None:
    error = client.ask("tools/call", {"name": "dig"})["error"]
    assert "'dig'" in error["message"] and "search, similar, outline, status" in error["message"]


def test_several_requests_in_one_line_are_all_answered(client: Client) -> None:
    batch = [{"jsonrpc": "2.0", "id": f"n{n}", "method": "ping"} for n in range(3)]
    client.write(json.dumps(batch).encode() + b"\n")
    assert [client.answer(f"n{n}")["result"] for n in range(3)] == [{}, {}, {}]


def test_notifications_and_answers_are_not_answered(client: Client) -> None:
    client.notify("notifications/roots/list_changed")
    client.notify("notifications/cancelled", {"requestId": 99})
    client.write(b'{"jsonrpc": "2.0", "id": 5, "result": {}}\n')
    assert client.ask("ping")["result"] == {}
    with pytest.raises(Empty):
        client.next(0.3)


def test_a_cancelled_call_is_not_answered_and_others_are(client: Client) -> None:
    asked = client.send("tools/call", {"name": "search", "arguments": {"query": "weigh a parcel"}})
    client.notify("notifications/cancelled", {"requestId": asked})
    assert "weigh_parcel" in client.call("search", query="weigh a parcel")
    with pytest.raises(Empty):
        client.next(0.3)


def test_a_call_does_not_keep_a_ping_waiting(client: Client) -> None:
    asked = client.send("tools/call", {"name": "search", "arguments": {"query": "weigh a parcel"}})
    ping = client.send("ping")
    assert client.next()["id"] == ping
    assert client.answer(asked)["result"]
