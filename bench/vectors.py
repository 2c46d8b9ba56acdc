"""Vectors of the texts of all sets: each encoded once per encoder, exit and role, and kept on disk if asked.

A kept vector is found again by what made it (a digest of the encoder) and by its text, so an interrupted run
goes on where it was, and a new bundle beside the same baselines costs only its own vectors.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.record import progress

if TYPE_CHECKING:
    from modstar_lsp.encoder.encoder import Role

Rows = NDArray[np.float32]

# Texts handed to an encoder at once: what an interruption loses.
_BATCH = 512
_KEY_BYTES = 16
# How long a run waits for another that writes to the same file.
_PATIENCE_SECONDS = 600.0


class TextEncoder(Protocol):
    """What this project's encoder, a checkpoint and a baseline have in common."""

    def encode(self, texts: Sequence[str], depth: int = 0, role: Role = "code") -> Rows:
        """Unit rows [len(texts), dimension]."""


class VectorCache:
    """Vectors in one SQLite file, which several runs may share; sqlite3.Error when it cannot be written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS)
        self._connection.execute("PRAGMA journal_mode = WAL")  # a reader does not wait for a writer
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (made_by TEXT, text BLOB, row BLOB, "
            "PRIMARY KEY (made_by, text)) WITHOUT ROWID"
        )

    def get(self, made_by: str, texts: Sequence[str]) -> dict[str, Rows]:
        """Those of the texts that are kept."""
        ask = "SELECT row FROM vectors WHERE made_by = ? AND text = ?"
        found = ((text, self._connection.execute(ask, (made_by, _key(text))).fetchone()) for text in texts)
        return {text: np.frombuffer(row[0], dtype=np.float32) for text, row in found if row is not None}

    def put(self, made_by: str, rows: Mapping[str, Rows]) -> None:
        """Keep some more, all or none."""
        records = [(made_by, _key(text), row.astype(np.float32).tobytes()) for text, row in rows.items()]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", records)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


class Embeddings:
    """The vectors of one encoder. made_by: a digest of it, by which `cache` knows its vectors."""

    def __init__(self, encoder: TextEncoder, made_by: str = "", cache: VectorCache | None = None) -> None:
        self._encoder, self._made_by, self._cache = encoder, made_by, cache
        self._rows: dict[tuple[int, str], dict[str, Rows]] = {}

    def of(self, texts: Sequence[str], depth: int, role: Role) -> Rows:
        """Unit rows for `texts`."""
        known = self._rows.setdefault((depth, role), {})
        made_by = f"{self._made_by} exit {depth} {role}"
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new and self._cache:
            known.update(self._cache.get(made_by, new))
            new = [text for text in new if text not in known]
        for start in range(0, len(new), _BATCH):
            progress(f"exit {depth}: {start:,} of {len(new):,} texts")
            batch = new[start : start + _BATCH]
            rows = dict(zip(batch, self._encoder.encode(batch, depth, role), strict=True))
            known.update(rows)
            if self._cache:
                self._cache.put(made_by, rows)
        return np.stack([known[text] for text in texts]).astype(np.float32)
