"""The indexes that there are: whose each is, how large, when it was last used, and removing one."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from modstar_lsp.errors import StoreError
from modstar_lsp.index.store.database import DEEPEN_LOCK, LISTINGS, WRITER_LOCK, format_of
from modstar_lsp.index.store.location import index_folder, indexes_folder
from modstar_lsp.index.store.lock import FileLock

#: "gone": its folder is no longer there.  "unknown": it does not say, or not credibly, whose it is.
State = Literal["there", "gone", "unknown"]
# The databases of all versions and models.
_DATABASES = "index-*.sqlite"
# Everything that an index consists of; in its folder nothing else is touched.
_PATTERNS = (f"{_DATABASES}*", "graph-*.bin*", f"{LISTINGS}*", DEEPEN_LOCK, WRITER_LOCK)


class KnownIndex(NamedTuple):
    """The index of a workspace on disk, of each model that was used there.

    folder: its own.  root: of the sources.  files: that the one written last holds.  models: of how many
    there is one.  bytes: of all together.  used: seconds since 1970 of the last use.
    """

    folder: Path
    root: Path
    state: State
    files: int
    models: int
    bytes: int
    used: float


def has_index(root: Path, base: Path | None = None) -> bool:
    """Whether an index of exactly this folder was ever made, with whatever model."""
    return any(index_folder(root, base).glob(_DATABASES))


def known_indexes(base: Path | None = None) -> Sequence[KnownIndex]:
    """All indexes below `base` (None: the user's cache directory), the last used first."""
    try:
        folders = [folder for folder in indexes_folder(base).iterdir() if any(folder.glob(_DATABASES))]
    except OSError:  # nothing was ever indexed, or nothing may be seen
        return []
    found = []
    for folder in folders:
        with suppress(OSError):  # it is being removed
            found.append(_described(folder))
    return sorted(found, key=lambda known: (-known.used, known.root))


def remove_index(known: KnownIndex) -> None:
    """Deletes an index. Raises StoreError when it is in use, or cannot be deleted."""
    try:
        with FileLock(known.folder / WRITER_LOCK) as lock:
            if not lock.acquire(0):
                raise StoreError(f"{known.folder} is being written: try again when that is done")
            for pattern in _PATTERNS:
                for file in known.folder.glob(pattern):
                    if file.name != WRITER_LOCK:
                        file.unlink(missing_ok=True)
        (known.folder / WRITER_LOCK).unlink(missing_ok=True)
        known.folder.rmdir()
    except OSError as error:
        raise StoreError(f"cannot remove {known.folder} ({error.strerror})") from None


def _described(folder: Path) -> KnownIndex:
    before = folder.stat()
    size = 0
    for file in folder.iterdir():
        with suppress(OSError):
            size += file.lstat().st_size
    newest_first = sorted(folder.glob(_DATABASES), key=_written, reverse=True)
    # A damaged one does not hide what the others say.
    told = (_contents(file) for file in newest_first)
    text, files = next((one for one in told if one[0]), ("", 0))
    root = next((root for root in _roots(text) if _is_index_of(root, folder)), None)
    models = sum(format_of(file.name) == format_of(newest_first[0].name) for file in newest_first)
    with suppress(OSError):  # looking is no use, and SQLite makes and removes files when it looks
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    state: State = "unknown" if root is None else "gone" if _is_gone(root) else "there"
    return KnownIndex(folder, root or Path(), state, files, models, size, before.st_mtime)


def _roots(text: str) -> Iterator[Path]:
    """The folders that an index may mean by the `text` in it: one that is no UTF-8 has its bytes escaped."""
    if text and "\0" not in text:
        yield Path(text)
        escaped = re.sub(
            rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), text.encode()
        )
        yield Path(os.fsdecode(escaped))


def _is_index_of(root: Path, folder: Path) -> bool:
    return index_folder(root, folder.parent).name == folder.name


def _written(file: Path) -> tuple[int, int]:
    return format_of(file.name), file.lstat().st_mtime_ns


def _contents(file: Path) -> tuple[str, int]:
    """(whose it is, number of files); ("", 0) for one that cannot be read."""
    if not file.is_file():  # a FIFO would be waited for
        return "", 0
    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
            root = connection.execute("SELECT value FROM meta WHERE key = 'root'").fetchone()
            files = connection.execute("SELECT count(*) FROM files WHERE skipped IS NULL").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return "", 0
    return (root[0] if root and isinstance(root[0], str) else ""), int(files[0])


def _is_gone(root: Path) -> bool:
    try:
        return not stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # there, and forbidden
        return False
