"""The code action "Find similar code" on a selection or a definition.

Only where it is asked for: an action offered to every automatic request would light the bulb on each move of
the cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types

from modstar_lsp.server.features.places import span_of
from modstar_lsp.server.handlers import handles
from modstar_lsp.server.positions import Lines, Span
from modstar_lsp.server.protocol import SHOW_SIMILAR, wire_range

if TYPE_CHECKING:
    from modstar_lsp.server.documents import Document
    from modstar_lsp.server.session import Session

#: Not below "refactor": it changes nothing.
KIND = "modstar.similar"
CLIENT_SHOW_SIMILAR = "modstar.client.showSimilar"


@handles(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[KIND]))
async def code_actions(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    """One action, or none where nobody asked or there is no code."""
    span = span_of(params.range)
    document = session.documents.get(params.text_document.uri)
    if document is None or not _is_asked(params.context, span):
        return []
    code = await session.in_pool(_code, document, span, session.encoding)
    if code is None:
        return []
    return [types.CodeAction(title="Find similar code", kind=KIND, command=show(session, document.uri, code))]


def _is_asked(context: types.CodeActionContext, span: Span) -> bool:
    if context.only is not None:
        return any(not kind or f"{KIND}.".startswith(f"{kind}.") for kind in map(_kind, context.only))
    return span[0] != span[1] or context.trigger_kind != types.CodeActionTriggerKind.Automatic


def _kind(kind: Any) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else str(kind)


def _code(document: Document, span: Span, encoding: Any) -> Span | None:
    """The selection, else the definition around the cursor."""
    text = document.text
    lines = Lines(text)
    start, end = (lines.offset(place, encoding) for place in span)
    if len(text[start:end].rstrip("\r\n")) > 1:  # one character is what a block cursor stands on
        return span if any(map(str.isalnum, text[start:end])) else None
    number = span[0][0] + 1
    for found in document.definitions():
        if found.start_line <= number <= found.end_line:
            return lines.whole(found.start_line, found.end_line, encoding)
    return None


def show(session: Session, uri: str, span: Span, title: str = "Find similar code") -> types.Command:
    """The command that shows what is similar: ours, or the client's own where it has one."""
    command = CLIENT_SHOW_SIMILAR if session.client_shows_similar else SHOW_SIMILAR
    return types.Command(title=title, command=command, arguments=[{"uri": uri, "range": wire_range(span)}])
