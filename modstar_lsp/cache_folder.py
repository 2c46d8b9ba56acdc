"""The user's cache folder, and what `~` means, by a few lines of our own."""

from __future__ import annotations

import os
import sys

from modstar_lsp import TYPE_CHECKING
from modstar_lsp.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """`path` with the home folder for a `~`, as shells have it: where none is known, `~` is a name as any.

    `Path.expanduser` raises RuntimeError then, which no caller expects.
    """
    from pathlib import Path

    return Path(os.path.expanduser(path))


def user_cache() -> str:
    """What `platformdirs.user_cache_path("modstar", appauthor=False)` answers. Raises StoreError.

    Importing platformdirs takes 19 to 40 ms of a query process that should need 150 in all, and pathlib 5 of
    one that needs 20.
    """
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured) and sys.platform not in ("win32", "darwin"):
        return os.path.join(configured, "modstar")
    home = os.path.expanduser("~")
    if not os.path.isabs(home) or (os.environ.get("HOME") == "" and sys.platform != "win32"):
        raise StoreError("no home folder is known: set HOME, or name a folder with --index-dir")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return os.path.join(local or os.path.join(home, "AppData", "Local"), "modstar", "Cache")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "modstar")
    return os.path.join(home, ".cache", "modstar")
