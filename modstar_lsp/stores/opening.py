"""Which engine a URL names. It is imported here, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from modstar_lsp.errors import StoreError, reason
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.stores.store import Store, one_line

#: The key of a server that wants one. It is never read from a workspace.
KEY = "MODSTAR_STORE_KEY"
# Seconds that a server may take for one request.
_TIMEOUT = 15
_LOCK = "filling.lock"
_URLS = "lance:FOLDER, lance+s3://BUCKET/PREFIX, qdrant:FOLDER or qdrant+https://HOST:6333"


def open_store(url: str, dimension: int, *, write: bool = False) -> Store:
    """The store at a URL. dimension: of its vectors.  write: it is made if need be.

    Raises StoreError for a URL that names none, an engine that is not installed, and a store that is not
    there.
    """
    engine, transport, rest = _taken_apart(url)
    if not transport and not write and not Path(rest).is_dir():
        raise StoreError(f"there is no store at {url}: fill it first, with modstar-index --store")
    place = f"{transport}:{rest}" if transport else str(Path(rest).absolute())
    try:
        with one_line(url):
            return (_lance if engine == "lance" else _qdrant)(url, place, dimension, write)
    except ImportError as error:
        missing = error.name or "a package"
        raise StoreError(f"{missing} is missing: pip install '.[scale]' in the clone brings it") from None


def _taken_apart(url: str) -> tuple[str, str, str]:
    """(engine, how to get there or "" for a folder, the rest). Raises StoreError for a URL of no store."""
    scheme, _, rest = url.partition(":")
    engine, _, transport = scheme.partition("+")
    if transport == "file":  # a folder under another name, which is locked under one
        transport, rest = "", unquote(rest.removeprefix("//"))
    if not rest.strip("/") or engine not in ("lance", "qdrant"):
        raise StoreError(f"{url[:80]!r} names no store: give {_URLS}")
    return engine, transport, rest


@contextmanager
def filling_alone(store: Store) -> Iterator[None]:
    """Nobody else fills the store meanwhile: of two, either would write what the other has.

    Raises StoreError when somebody else does.
    """
    url = store.url
    _, transport, rest = _taken_apart(url)
    if transport:
        with store.held():
            yield
        return
    folder = Path(rest).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the store {url} ({reason(error)}): name a folder elsewhere") from None
    if not os.access(folder, os.W_OK):
        raise StoreError(f"cannot write in the store {url}: make it writable, or name a folder elsewhere")
    # A store may belong to several users: what they may, the umask says.
    with FileLock(folder / _LOCK, mode=0o666) as lock:
        if not lock.acquire():
            raise StoreError(f"another program is filling the store {url}: try again when it is done")
        yield


def _lance(url: str, place: str, dimension: int, write: bool) -> Store:
    from modstar_lsp.stores.lance import LanceStore

    return LanceStore(url, place, write=write)


def _qdrant(url: str, place: str, dimension: int, write: bool) -> Store:
    from modstar_lsp.stores.qdrant import QdrantStore

    if "://" not in place:
        from modstar_lsp.stores.qdrant_edge import EdgePoints

        return QdrantStore(url, EdgePoints(Path(place), dimension))
    from qdrant_client import QdrantClient

    from modstar_lsp.stores.qdrant_server import ServerPoints

    client = QdrantClient(url=place, api_key=os.environ.get(KEY), timeout=_TIMEOUT, check_compatibility=False)
    return QdrantStore(url, ServerPoints(client, dimension, write=write))
