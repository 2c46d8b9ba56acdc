"""Where an index lives: one folder per workspace under the user's cache directory, never in the work tree."""

from __future__ import annotations

import os
import sys
from hashlib import blake2b
from pathlib import Path

from modstar_lsp.errors import StoreError

_NAME_LENGTH = 40  # of the workspace's own name in the folder's; the digest tells equal names apart


def index_folder(root: Path, base: Path | None = None) -> Path:
    """The folder of `root`'s index below `base` (None: the user's cache directory). Nothing is created."""
    resolved = Path(root).resolve()
    digest = blake2b(os.fsencode(resolved), digest_size=6).hexdigest()
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in resolved.name)[:_NAME_LENGTH]
    return indexes_folder(base) / f"{name or 'root'}-{digest}"


def indexes_folder(base: Path | None = None) -> Path:
    """The folder that holds all indexes: `base`, by default the user's cache directory."""
    return _user_cache() if base is None else Path(base)


def _user_cache() -> Path:
    """What `platformdirs.user_cache_path("modstar", appauthor=False)` answers.

    Importing platformdirs takes 19 to 40 ms of a query process that should need 150 in all.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute() and sys.platform not in ("win32", "darwin"):
        return configured / "modstar"
    try:
        home = Path.home()
    except RuntimeError:
        raise StoreError("no home folder is known: set HOME, or name a folder with --index-dir") from None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else home / "AppData" / "Local") / "modstar" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "modstar"
    return home / ".cache" / "modstar"
