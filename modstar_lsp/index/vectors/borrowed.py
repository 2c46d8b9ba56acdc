"""Vectors that another index of the same model already has: that of another worktree of the same repository,
or the one that an earlier version made of this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.store.database import (
    CHECKED_FORMATS,
    OLDER_FILES,
    Unsound,
    database_name,
)
from modstar_lsp.index.vectors.table import find, find_unchecked

# (depth, scale, codes)
Borrowed = tuple[int, float, NDArray[np.int8]]


class BorrowedVectors:
    """Index folders to look embedded texts up in. One unreadable or of another model gives none."""

    def __init__(self, folders: Sequence[Path], bundle_digest: str, dimension: int) -> None:
        self._dimension = dimension
        self._connections: list[tuple[sqlite3.Connection, bool]] = []  # and whether it has checks
        self._found: dict[bytes, Borrowed | None] = {}
        names = (*(database_name(bundle_digest, version) for version in CHECKED_FORMATS), *OLDER_FILES)
        for file in (folder / name for folder in folders for name in names):
            with suppress(sqlite3.Error, OSError):
                uri = f"{file.absolute().as_uri()}?mode=ro"
                connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
                meta = dict(connection.execute("SELECT key, value FROM meta"))
                if (meta.get("bundle"), meta.get("dimension")) == (bundle_digest, dimension):
                    self._connections.append((connection, meta.get("format") in CHECKED_FORMATS))
                else:
                    connection.close()

    def __contains__(self, digest: bytes) -> bool:
        return self.get(digest) is not None

    def get(self, digest: bytes) -> Borrowed | None:
        """The deepest vector that a lender has for an embedded text; asked again, the answer is the same."""
        if not self._connections:
            return None
        if digest not in self._found:
            self._found[digest] = self._best(digest)
        return self._found[digest]

    def _best(self, digest: bytes) -> Borrowed | None:
        best: Borrowed | None = None
        for connection, has_checks in self._connections:
            look = find if has_checks else find_unchecked
            with suppress(sqlite3.Error, ValueError, IndexError, Unsound):
                connection.execute("BEGIN")
                found = look(connection, digest, self._dimension)
                connection.execute("COMMIT")
                if found is not None and (best is None or found[0] > best[0]):
                    best = found
        return best

    def close(self) -> None:
        """Closes the lenders' databases."""
        for connection, _ in self._connections:
            connection.close()
