"""Vectors that another index of the same model already has: a second worktree of the same repository."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.database import FILE
from modstar_lsp.index.vectors import BLOCK

# (exit, scale, codes)
Donated = tuple[int, float, NDArray[np.int8]]


class Donors:
    """Index folders to look embedded texts up in. One unreadable or of another model gives none."""

    def __init__(self, folders: Sequence[Path], bundle_digest: str, dimension: int) -> None:
        self._dimension = dimension
        self._connections: list[sqlite3.Connection] = []
        self._found: dict[bytes, Donated | None] = {}
        for folder in folders:
            with suppress(sqlite3.Error, OSError):
                uri = f"{(folder / FILE).absolute().as_uri()}?mode=ro"
                connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
                meta = dict(connection.execute("SELECT key, value FROM meta"))
                if (meta.get("bundle"), meta.get("dimension")) == (bundle_digest, dimension):
                    self._connections.append(connection)
                else:
                    connection.close()

    def __contains__(self, digest: bytes) -> bool:
        return self.get(digest) is not None

    def get(self, digest: bytes) -> Donated | None:
        """The deepest vector that a donor has for an embedded text; asked again, the answer is the same."""
        if not self._connections:
            return None
        if digest not in self._found:
            self._found[digest] = self._best(digest)
        return self._found[digest]

    def _best(self, digest: bytes) -> Donated | None:
        best: Donated | None = None
        for connection in self._connections:
            with suppress(sqlite3.Error, ValueError, IndexError):
                connection.execute("BEGIN")
                found = self._find(connection, digest)
                connection.execute("COMMIT")
                if found is not None and (best is None or found[0] > best[0]):
                    best = found
        return best

    def _find(self, connection: sqlite3.Connection, digest: bytes) -> Donated | None:
        row = connection.execute(
            "SELECT vector, exits, scales, codes FROM digests, vectors "
            f"WHERE digest = ? AND block = vector / {BLOCK}",
            (digest,),
        ).fetchone()
        if row is None:
            return None
        at = row[0] % BLOCK
        codes = np.frombuffer(row[3], np.int8).reshape(-1, self._dimension)[at]
        return row[1][at], float(np.frombuffer(row[2], "<f4")[at]), codes

    def close(self) -> None:
        """Closes the donors' databases."""
        for connection in self._connections:
            connection.close()
