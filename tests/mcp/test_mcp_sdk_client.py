"""The official SDK's client, as agents have it, against the real process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client


def server(shop: Path) -> StdioServerParameters:
    indexes = str(shop.parent / "indexes")
    return StdioServerParameters(
        command=sys.executable, args=["-m", "modstar_lsp", "mcp", "--index-dir", indexes, str(shop)]
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_it_connects_lists_calls_and_hears_errors(shop: Path, mode: str) -> None:
    async with Client(stdio_client(server(shop)), mode=mode) as client:
        assert client.server_info is not None and client.server_info.name == "modstar"
        listed = await client.list_tools()
        assert {tool.name for tool in listed.tools} == {"search", "similar", "outline", "status"}
        found = await client.call_tool("search", {"query": "send a file again after a failure"})
        assert not found.is_error
        assert "retry_upload" in found.content[0].text
        wrong = await client.call_tool("search", {"query": "x", "paths": ["/etc/passwd"]})
        assert wrong.is_error and "outside" in wrong.content[0].text
        with pytest.raises(MCPError, match="unknown tool 'dig'"):
            await client.call_tool("dig", {})
