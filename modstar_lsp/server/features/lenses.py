"""Code lenses "3 similar" on definitions: off by default, since each that comes into view is a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from modstar_lsp.errors import ModstarError
from modstar_lsp.server.features.actions import show
from modstar_lsp.server.features.likeness import alike, words_of
from modstar_lsp.server.features.places import lsp_range
from modstar_lsp.server.handlers import handles
from modstar_lsp.server.positions import Encoding, Span
from modstar_lsp.server.protocol import (
    ClientHit,
    Filters,
    InvalidParams,
    SimilarRequest,
    read_range,
    wire_range,
)

if TYPE_CHECKING:
    from modstar_lsp.server.documents import Document
    from modstar_lsp.server.session import Session

# Definitions with a smaller share of their words in common have a subject in common, not their code. In
# pytest's own sources about one in nine has another that is so much alike.
ALIKE = 0.6
# More than so many are shown as "20+ similar".
MOST = 20
# Shorter definitions are alike without meaning anything by it.
MIN_LINES = 4


@handles(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions(resolve_provider=True))
async def code_lenses(session: Session, params: types.CodeLensParams) -> list[types.CodeLens]:
    """A lens without a command on each definition of some length; nothing is searched yet."""
    document = session.documents.get(params.text_document.uri)
    if document is None or not session.settings.code_lens_enabled:
        return []
    places = await session.in_pool(_places, document, session.encoding)
    return [
        types.CodeLens(range=lsp_range(name), data={"uri": document.uri, "range": wire_range(code)})
        for name, code in places
    ]


def _places(document: Document, encoding: Encoding) -> list[tuple[Span, Span]]:
    """Of each definition the place of its name and its lines."""
    lines = document.lines
    return [
        (
            lines.named(found.start_line, found.end_line, found.name.rpartition(".")[2], encoding),
            lines.whole(found.start_line, found.end_line, encoding),
        )
        for found in document.definitions()
        if found.end_line - found.start_line + 1 >= MIN_LINES
    ]


@handles(types.CODE_LENS_RESOLVE)
async def resolve(session: Session, lens: types.CodeLens) -> types.CodeLens:
    """The lens with its count. Raises InvalidParams when it is none of ours."""
    uri, span = _data(lens.data)
    request = SimilarRequest(uri, span, filters=Filters(limit=MOST, min_score=0.0, snippet_lines=0))
    hits = (await session.similar(request)).hits
    count = await session.in_pool(_count, session, uri, span, hits)
    if count:
        title = f"{count}{'+' if count == MOST else ''} similar"
        lens.command = show(session, uri, span, title)
    else:
        lens.command = types.Command(title="no similar code", command="")
    return lens


def _count(session: Session, uri: str, span: Span, hits: Sequence[ClientHit]) -> int:
    """How many of the hits are alike."""
    words = _words(session, uri, span)
    return sum(alike(words, _words(session, hit.uri, hit.range), ALIKE) > 0 for hit in hits)


def _words(session: Session, uri: str, span: Span) -> list[str]:
    (first, _), (last, _) = span
    try:
        return words_of(session.lines(uri), first + 1, last + 1)
    except ModstarError:
        return []  # gone since it was indexed


def _data(data: Any) -> tuple[str, Span]:
    if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
        raise InvalidParams("codeLens/resolve: data must be what textDocument/codeLens gave")
    return data["uri"], read_range(data.get("range"), "codeLens/resolve: data.range")
