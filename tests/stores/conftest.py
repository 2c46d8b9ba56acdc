"""Three small repositories, each with an index of its own, and all of them in one store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.files import walk
from modstar_lsp.stores.filling import Filling, Target
from modstar_lsp.stores.opening import open_store
from modstar_lsp.stores.pipeline import fill
from modstar_lsp.stores.store import Store
from modstar_lsp.workspace import Workspace
from tests.cli.conftest import FILES, Shell, make_shell, write_files

ROOT = Path(__file__).resolve().parents[2]
# Folders of this project that stand for repositories: Python, Lua with help texts, Markdown.
COPIED = {"walker": "modstar_lsp/files", "plugin": "editors/nvim", "pages": "docs"}
ENGINES = {"lance": "lancedb", "qdrant": "qdrant_edge", "qdrant+memory": "qdrant_client"}


@dataclass(frozen=True)
class Filled:
    """A store, and the same repositories as local indexes."""

    url: str
    store: Store
    encoder: Encoder
    local: Mapping[str, Workspace]
    trees: Path


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder(open_bundle(None), threads=1)


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trees")
    for name, source in COPIED.items():
        shutil.copytree(ROOT / source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    write_files(folder / "shop", FILES)
    return folder


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in the shop's root."""
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    return make_shell(tmp_path, write_files(tmp_path / "shop", FILES))


def in_memory(encoder: Encoder) -> Store:
    """A store by Qdrant's client, which has an engine of its own that takes a server's requests."""
    from qdrant_client import QdrantClient

    from modstar_lsp.stores.qdrant import QdrantStore
    from modstar_lsp.stores.qdrant_server import ServerPoints

    points = ServerPoints(QdrantClient(":memory:"), encoder.bundle.indexed, write=True)
    return QdrantStore("qdrant+memory:", points)


@pytest.fixture(scope="session", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, trees: Path, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    pytest.importorskip(ENGINES[request.param])
    base = tmp_path_factory.mktemp("base")
    url = f"{request.param}:{base / 'store'}"
    store = in_memory(encoder) if "memory" in url else open_store(url, encoder.bundle.indexed, write=True)
    local = {}
    for name in COPIED:
        tree = trees / name
        fill(Filling(store, tree, encoder.bundle, walk(tree), Target(name, "everyone", 0)), encoder)
        local[name] = Workspace.open(trees / name, index_dir=base / "indexes", encoder=encoder)
        local[name].refresh()
    tree = trees / "shop"
    fill(Filling(store, tree, encoder.bundle, walk(tree), Target("shop", "secret", 0)), encoder)
    yield Filled(url, store, encoder, local, trees)
    store.close()
    for workspace in local.values():
        workspace.close()
