"""What a store answers, in the client's terms: places in files that this machine may not have."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from modstar_lsp.server.protocol import ClientHit, ClientSnippet
from modstar_lsp.server.reader import FolderAnswer

if TYPE_CHECKING:
    from modstar_lsp.stores.asking import StoreAnswer, StoredPlace
    from modstar_lsp.workspace.question import Question

#: Of the URIs of files in a store: modstar-store:REPOSITORY/PATH. No editor opens them by itself.
SCHEME = "modstar-store"


def folder_answer(answer: StoreAnswer | None, question: Question) -> FolderAnswer:
    """`answer` as if a folder had given it. A store has no text, so the snippets are empty."""
    if answer is None:
        return FolderAnswer()
    hits = tuple(_client_hit(place, rank, question) for rank, place in enumerate(answer.places, 1))
    closest = None if answer.closest is None else _client_hit(answer.closest, 1, question)
    return FolderAnswer(hits, closest, answer.results.note)


def _client_hit(place: StoredPlace, rank: int, question: Question) -> ClientHit:
    hit, seen = place.hit, place.described(question)
    folder = f"{SCHEME}:{quote(place.repository)}"
    return ClientHit(
        uri=f"{folder}/{quote(hit.path)}",
        range=((hit.start_line - 1, 0), (hit.end_line, 0)),
        selection_range=((seen.line - 1, 0), (seen.line - 1, 0)),
        path=hit.path,
        folder=folder,
        symbol=seen.symbol,
        kind=seen.kind,
        language=hit.language,
        score=hit.score,
        rank=rank,
        exit=place.exit,
        unsaved=False,
        snippet=ClientSnippet("", seen.line - 1),
    )
