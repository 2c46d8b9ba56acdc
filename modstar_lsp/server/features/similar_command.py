"""The command modstar.showSimilar: shows similar code in a client that has no code of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from modstar_lsp.errors import ModstarError
from modstar_lsp.server.features.places import described, lsp_range
from modstar_lsp.server.positions import Span
from modstar_lsp.server.protocol import (
    SHOW_SIMILAR,
    ClientHit,
    Filters,
    InvalidParams,
    SimilarRequest,
    read_range,
)

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from modstar_lsp.server.session import Session

# As many buttons as a message can hold.
CHOICES = 6


def read_place(arguments: Any) -> tuple[str, Span]:
    """The URI and the span in the command's arguments. Raises InvalidParams."""
    place = arguments[0] if isinstance(arguments, list | tuple) and len(arguments) == 1 else None
    uri = place.get("uri") if isinstance(place, dict) else None
    if not isinstance(place, dict) or not isinstance(uri, str):
        raise InvalidParams(f"{SHOW_SIMILAR}: arguments must be [{{ uri, range }}]")
    return uri, read_range(place.get("range"), f"{SHOW_SIMILAR}: range")


async def show_similar(server: LanguageServer, session: Session, uri: str, span: Span) -> None:
    """Asks the user which of the places similar to `span` to open, and opens it.

    Returns when the user has chosen, which may be never: run it as a task.
    """
    try:
        answer = await session.similar(SimilarRequest(uri, span, filters=Filters(limit=CHOICES)))
    except ModstarError as error:
        _say(server, str(error))
        return
    if not answer.hits:
        _say(server, answer.message or "no similar code found")
        return
    titles = {f"{hit.rank} {described(hit)}": hit for hit in answer.hits}
    try:
        chosen = await server.window_show_message_request_async(
            types.ShowMessageRequestParams(
                type=types.MessageType.Info,
                message="modstar: similar code",
                actions=[types.MessageActionItem(title=title) for title in titles],
            )
        )
    except JsonRpcException:  # it cannot ask, as Helix up to 25.07: the best is opened, and all are named
        await _open(server, answer.hits[0])
        _say(server, f"similar code: {', '.join(titles)}")
        return
    hit = None if chosen is None else titles.get(chosen.title)
    if hit is not None:
        await _open(server, hit)


async def _open(server: LanguageServer, hit: ClientHit) -> None:
    window = server.client_capabilities.window
    if window is not None and window.show_document is not None and window.show_document.support:
        shown = await server.window_show_document_async(
            types.ShowDocumentParams(uri=hit.uri, take_focus=True, selection=lsp_range(hit.selection_range))
        )
        if shown.success:
            return
    _say(server, described(hit))


def _say(server: LanguageServer, text: str) -> None:
    server.window_show_message(
        types.ShowMessageParams(type=types.MessageType.Info, message=f"modstar: {text}")
    )
