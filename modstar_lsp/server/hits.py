"""What the search found, in the client's terms: URIs, ranges in its units, the lines to show."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from modstar_lsp.search.snippet import focus, last_name
from modstar_lsp.server.positions import Encoding, Lines
from modstar_lsp.server.protocol import Hit, Snippet
from modstar_lsp.server.uris import file_uri

if TYPE_CHECKING:
    from modstar_lsp.search import Hit as Place
    from modstar_lsp.server.overlay import Overlay
    from modstar_lsp.server.texts import Texts


class Describer:
    """Turns the hits of one folder and one question into the client's."""

    def __init__(
        self, texts: Texts, uri: str, overlay: Overlay, encoding: Encoding, words: Collection[str], size: int
    ) -> None:
        self._texts = texts
        self._uri = uri
        self._overlay = overlay
        self._encoding = encoding
        self._words = words
        self._size = size

    def hit(self, place: Place, rank: int, exit: int) -> Hit:
        """`place` as the file or the open document stands now, which may be newer than what was indexed."""
        document = self._overlay.document(place.path)
        lines = self._texts.lines(place.path) if document is None else document.lines
        first = min(place.start_line, lines.count)
        last = min(place.end_line, lines.count)
        shown = lines.contents(first, last)
        seen = focus(shown, place.name, place.symbols, self._words)
        line = first + seen.line
        return Hit(
            uri=file_uri(self._uri, place.path) if document is None else document.uri,
            range=lines.whole(first, last, self._encoding),
            selection_range=lines.named(line, line, last_name(seen.symbol), self._encoding),
            path=place.path,
            folder=self._uri,
            symbol=".".join(part for part in (place.scope, seen.symbol) if part),
            kind=_kind(place.kind, place.name, seen.symbol),
            language=place.language,
            score=place.score,
            rank=rank,
            exit=exit,
            unsaved=document is not None and document.is_unsaved(),
            snippet=self._snippet(lines, first, last, line),
        )

    def _snippet(self, lines: Lines, first: int, last: int, line: int) -> Snippet:
        """Lines of the hit from the one that defines it on, or further up when few are left."""
        start = max(first, min(line, last - self._size + 1))
        end = min(last, start + self._size - 1)
        return Snippet(lines.text(start, end) if self._size else "", start - 1)


def _kind(kind: str, name: str, symbol: str) -> str:
    """What is shown of a chunk may be a member of the class that it begins with."""
    return "method" if kind == "class" and symbol.startswith(f"{name}.") else kind
