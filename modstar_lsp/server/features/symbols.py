"""workspace/symbol, answered by meaning: any client's "go to symbol in workspace" takes a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from modstar_lsp.server.features.places import location
from modstar_lsp.server.handlers import handles
from modstar_lsp.server.protocol import ClientHit, SearchRequest

if TYPE_CHECKING:
    from modstar_lsp.server.session import Session

_KINDS = {
    "function": types.SymbolKind.Function,
    "method": types.SymbolKind.Method,
    "class": types.SymbolKind.Class,
    "type": types.SymbolKind.Struct,
    "module": types.SymbolKind.Module,
    "section": types.SymbolKind.String,
}


@handles(types.WORKSPACE_SYMBOL)
async def workspace_symbols(
    session: Session, params: types.WorkspaceSymbolParams
) -> list[types.WorkspaceSymbol]:
    """The hits for the query in rank order; none when switched off, or while nothing is typed."""
    query = params.query.strip()
    if not session.settings.workspace_symbol_enabled or not query:
        return []
    answer = await session.search(SearchRequest(query), stored=False)
    echo = params.query if session.settings.workspace_symbol_echo_query else ""
    return [symbol(hit, echo) for hit in answer.hits]


def symbol(hit: ClientHit, echo: str = "") -> types.WorkspaceSymbol:
    """A hit as a symbol at the place of its name.

    echo: the query, put before the name with the rank. VS Code's Ctrl+T hides every symbol whose name does
    not match what was typed, letter by letter, and sorts the others by name; so it shows all, in rank order.
    """
    from modstar_lsp.index.words.terms import operator_of  # here, as starting would wait for all of the index

    scope, _, name = hit.symbol.rpartition(".")
    operator = operator_of(hit.symbol)
    if operator and not name.startswith("operator"):  # as C++ has it
        scope, name = hit.symbol.removesuffix(operator).rstrip("."), operator
    name = name or f"{hit.path.rpartition('/')[2]}:{hit.selection_range[0][0] + 1}"
    return types.WorkspaceSymbol(
        name=f"{echo} {hit.rank:02} {name}" if echo else name,
        kind=_KINDS.get(hit.kind, types.SymbolKind.File),
        location=location(hit),
        container_name=f"{scope} in {hit.path}" if scope else hit.path,
    )
