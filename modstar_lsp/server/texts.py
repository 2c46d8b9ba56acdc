"""The files of a folder in lines, read again only when they changed."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from modstar_lsp.files import Unreadable, read_source
from modstar_lsp.server.positions import Lines

# Files kept in lines: the questions that somebody types one after the other find much the same ones.
_KEPT_FILES = 200


class Texts:
    """The files of one folder in lines, as they stand on the disk. For any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[int, int, Lines]] = {}
        self._lock = Lock()

    def lines(self, path: str) -> Lines:
        """The lines of a file; one empty line when it is gone or no longer text."""
        try:
            status = (self._folder / path).lstat()
        except OSError:
            return Lines("")
        with self._lock:
            kept = self._kept.pop(path, None)
            if kept is not None and kept[:2] == (status.st_mtime_ns, status.st_size):
                self._kept[path] = kept
                return kept[2]
        try:
            lines = Lines(read_source(self._folder, path))
        except Unreadable:
            return Lines("")
        with self._lock:
            self._kept[path] = (status.st_mtime_ns, status.st_size, lines)
            if len(self._kept) > _KEPT_FILES:
                del self._kept[next(iter(self._kept))]
        return lines
