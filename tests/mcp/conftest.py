"""Servers that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mcp_process import Client
from mcp_shop import lay_out


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "shop")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts a server over some folders; all share the indexes of one folder."""
    clients: list[Client] = []

    def begin(*folders: Path, hello: bool = True, cwd: Path | None = None, reads: bool = True) -> Client:
        client = Client(tmp_path / "indexes", *folders, cwd=cwd, reads=reads)
        clients.append(client)
        if hello:
            client.begin()
        return client

    yield begin
    for client in clients:
        client.kill()


@pytest.fixture
def client(start: Callable[..., Client], shop: Path) -> Client:
    return start(shop)
