"""What lies in the cache folder is its user's alone: nobody else reads it, nor made it beforehand."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from modstar_lsp.errors import StoreError

#: Of files and folders, whatever the umask says.
FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_private_folder(folder: Path) -> None:
    """Makes `folder` and those above it that are missing, for this user alone. Raises OSError."""
    if not folder.parent.is_dir():
        if folder.parent.exists():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder.parent} is no folder")
        make_private_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_private_file(file: Path) -> None:
    """Makes `file` empty, for this user alone, if it is not there. Raises OSError."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, FILE_MODE))


def write_private_file(file: Path, content: bytes) -> None:
    """Puts `content` where `file` is or was, all of it or nothing, for this user alone. Raises OSError."""
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        make_private_file(temporary)
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def refuse_foreign(folder: Path) -> None:
    """Raises StoreError when another user made the index folder: they could read what is written into it."""
    owner = foreign_owner(folder)
    if owner:
        raise StoreError(
            f"the index folder {folder} belongs to another user ({owner}): "
            "remove it, or choose another folder with --index-dir"
        )


def foreign_owner(folder: Path) -> str:
    """The name of the user whose folder this is, or what links to it; "" for one's own or none."""
    if not hasattr(os, "geteuid"):
        return ""
    try:
        owners = {folder.lstat().st_uid, folder.stat().st_uid} - {os.geteuid()}
    except OSError:
        return ""
    return _name(min(owners)) if owners else ""


def _name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"number {number}"
