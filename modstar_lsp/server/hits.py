"""What the search found, in the client's terms: URIs, ranges in its units, the lines to show."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from modstar_lsp.search.snippet import last_name
from modstar_lsp.server.positions import Encoding
from modstar_lsp.server.protocol import ClientHit, ClientSnippet
from modstar_lsp.server.uris import file_uri
from modstar_lsp.workspace.description import Description

if TYPE_CHECKING:
    from modstar_lsp.index import View
    from modstar_lsp.index.records import Stat
    from modstar_lsp.search import Hit, Results
    from modstar_lsp.server.documents import UnsavedDocuments
    from modstar_lsp.server.texts import Texts


class Describer:
    """Turns the hits of one folder and one question into the client's.

    stats: of the files on the disk that hits are in.
    """

    def __init__(
        self,
        texts: Texts,
        stats: Mapping[str, Stat],
        uri: str,
        unsaved: UnsavedDocuments,
        encoding: Encoding,
        words: Collection[str],
        size: int,
    ) -> None:
        self._texts = texts
        self._stats = stats
        self._uri = uri
        self._unsaved = unsaved
        self._encoding = encoding
        self._words = words
        self._size = size

    def hits(self, results: Results, view: View) -> tuple[tuple[ClientHit, ...], ClientHit | None]:
        """(the hits, the closest that fell short). view: what was searched."""
        exit_at = _exits_of(view)
        places = [*results.hits, *([] if results.closest is None else [results.closest])]
        seen = [self._hit(hit, n, exit_at(hit.path, hit.start_line)) for n, hit in enumerate(places, 1)]
        count = len(results.hits)
        return tuple(seen[:count]), next((hit._replace(rank=1) for hit in seen[count:]), None)

    def _hit(self, hit: Hit, rank: int, depth: int) -> ClientHit:
        """`hit` as the file or the open document stands now, which may be newer than what was indexed."""
        document = self._unsaved.document(hit.path)
        lines = self._texts.lines(hit.path, self._stats.get(hit.path)) if document is None else document.lines
        first = min(hit.start_line, lines.count)
        last = min(hit.end_line, lines.count)
        seen = Description.of(hit._replace(start_line=first), lines.contents(first, last), self._words)
        stretch = seen.stretch(self._size)
        return ClientHit(
            uri=file_uri(self._uri, hit.path) if document is None else document.uri,
            range=lines.whole(first, last, self._encoding),
            selection_range=lines.named(seen.line, seen.line, last_name(seen.focus.symbol), self._encoding),
            path=hit.path,
            folder=self._uri,
            symbol=seen.symbol,
            kind=seen.kind,
            language=hit.language,
            score=hit.score,
            rank=rank,
            exit=depth,
            unsaved=document is not None and document.is_unsaved(),
            snippet=ClientSnippet("\n".join(seen.lines[n] for n in stretch), first + stretch.start - 1),
        )


def _exits_of(view: View) -> Callable[[str, int], int]:
    """Tells at which exit the chunk that starts at a line of a file was embedded."""
    exits = view.exits
    if not len(exits) or exits.min() == exits.max():
        only = int(exits[0]) if len(exits) else 0
        return lambda path, line: only

    def exit_at(path: str, line: int) -> int:
        file = bisect_left(view.paths, path)
        rows = range(bisect_left(view.file_of, file), bisect_right(view.file_of, file))
        inside = exits[rows.start : rows.stop]
        if len(inside) and inside.min() == inside.max():
            return int(inside[0])
        starts = [chunk.start_line for chunk in view.chunks(rows)]
        return int(inside[starts.index(line)]) if line in starts else 0

    return exit_at
