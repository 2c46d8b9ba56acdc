"""Hits and spans in the types of the protocol, and as people read them."""

from __future__ import annotations

from lsprotocol import types

from modstar_lsp.server.positions import Span
from modstar_lsp.server.protocol import ClientHit


def lsp_range(span: Span) -> types.Range:
    """`span` as pygls writes it."""
    (line, character), (end_line, end_character) = span
    return types.Range(types.Position(line, character), types.Position(end_line, end_character))


def span_of(given: types.Range) -> Span:
    """`given` as a span: both count from 0, in the client's code units."""
    start, end = given.start, given.end
    return (start.line, start.character), (end.line, end.character)


def location(hit: ClientHit) -> types.Location:
    """Where the hit's symbol stands."""
    return types.Location(uri=hit.uri, range=lsp_range(hit.selection_range))


def described(hit: ClientHit) -> str:
    """`HTTPAdapter.send  src/adapters.py:12`, lines from 1."""
    where = f"{hit.path}:{hit.selection_range[0][0] + 1}"
    return f"{hit.symbol}  {where}" if hit.symbol else where
