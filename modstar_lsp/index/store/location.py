"""Where an index lives: one folder per workspace under the user's cache directory, never in the work tree."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from modstar_lsp.cache_folder import user_cache

_NAME_LENGTH = 40  # of the workspace's own name in the folder's; the digest tells equal names apart


def index_folder(root: Path, base: Path | None = None) -> Path:
    """The folder of `root`'s index below `base` (None: the user's cache directory). Nothing is created."""
    resolved = Path(root).resolve()
    digest = blake2b(os.fsencode(resolved), digest_size=6).hexdigest()
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in resolved.name)[:_NAME_LENGTH]
    return indexes_folder(base) / f"{name or 'root'}-{digest}"


def indexes_folder(base: Path | None = None) -> Path:
    """The folder that holds all indexes: `base`, by default the user's cache directory."""
    return Path(user_cache()) if base is None else Path(base)
