"""The files of a workspace in lines, for a search that looks at many chunks of few files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modstar_lsp.files.lines import joined, lines_of

if TYPE_CHECKING:
    from modstar_lsp.index import StoredChunk
    from modstar_lsp.search.filters import Sources


class SourceLines:
    """Files in lines, each read once. Safe to use from several threads."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lines: dict[str, Sequence[str]] = {}

    def of(self, path: str) -> Sequence[str]:
        """The lines of a file as it stands now; one that is empty when it is gone."""
        if path not in self._lines:
            self._lines[path] = lines_of(self._sources.source(path))
        return self._lines[path]

    def text(self, chunk: StoredChunk) -> str:
        """The lines of a chunk as its file stands now, as one text."""
        return joined(self.of(chunk.path), chunk.start_line, chunk.end_line)
