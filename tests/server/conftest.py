"""A small project, and servers for it as real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lsp_process import Client
from shop import FILES, lay_out


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "shop", FILES)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts servers that share one folder of indexes, and ends them with the test."""
    started: list[Client] = []

    def start_one(*arguments: str, **options: Any) -> Client:
        started.append(Client(tmp_path / "indexes", *arguments, **options))
        return started[-1]

    yield start_one
    for client in started:
        client.__exit__()


@pytest.fixture
def client(start: Callable[..., Client], project: Path) -> Client:
    """A server that has indexed the project."""
    client = start()
    client.initialize(project)
    client.ready()
    return client


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A project that takes so long to index, with SLOWLY, that a test can look at it meanwhile."""
    body = "\n\n".join(
        f"def step_{n}(value):\n    total = value * {n}\n    return total + offset_{n}(value)"
        for n in range(60)
    )
    return lay_out(
        tmp_path / "large",
        {f"part{n // 50}/stage{n}.py": body.replace("step", f"stage{n}") for n in range(400)},
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `served`, which no test changes."""
    return lay_out(tmp_path_factory.mktemp("served") / "shop", FILES)


@pytest.fixture(scope="module")
def served(shop: Path) -> Iterator[Client]:
    """One server for tests that only ask."""
    with Client(shop.parent / "indexes") as client:
        client.initialize(shop)
        client.ready()
        yield client
