"""The files of a folder in lines, read again only when they changed."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from modstar_lsp.files import Unreadable, read_source
from modstar_lsp.server.positions import Lines

if TYPE_CHECKING:
    from modstar_lsp.index.records import Stat

# Bytes of the files kept in lines, which take some four times as much: the questions that somebody types one
# after the other find much the same files.
_KEPT_BYTES = 4_000_000


class Texts:
    """The files of one folder in lines, as they stand on the disk. For any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[Stat, Lines]] = {}
        self._bytes = 0
        self._lock = Lock()

    def lines(self, path: str, stat: Stat | None) -> Lines:
        """The lines of a file with this stat; one empty line when it is gone (None) or no longer text."""
        if stat is None:
            return Lines("")
        with self._lock:
            kept = self._forget(path)
            if kept is not None and kept[0] == stat:
                self._keep(path, kept)
                return kept[1]
        try:
            lines = Lines(read_source(self._folder, path))
        except Unreadable:
            return Lines("")
        with self._lock:
            self._forget(path)
            self._keep(path, (stat, lines))
        return lines

    def _keep(self, path: str, kept: tuple[Stat, Lines]) -> None:
        self._kept[path] = kept
        self._bytes += kept[0][0]
        while self._bytes > _KEPT_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, path: str) -> tuple[Stat, Lines] | None:
        kept = self._kept.pop(path, None)
        self._bytes -= kept[0][0] if kept is not None else 0
        return kept
