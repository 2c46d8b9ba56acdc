"""The definitions in a file, for every face that tells what there is to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.errors import WorkspaceError

if TYPE_CHECKING:
    from modstar_lsp.workspace.workspace import Workspace


class Definition(NamedTuple):
    """A definition in a file, lines 1-based and inclusive. Of a class with long members: what is above them.

    symbol: its name behind those around it (`Uploader.send`).
    kind: function, method, class, type, module; "" for a short one, of which only the line is known.
    """

    symbol: str
    kind: str
    start_line: int
    end_line: int


def searched_text(root: Path, path: str, workspace: Workspace | None = None) -> str:
    """The text of a file that is searched: secrets and what is ignored are not read. Raises WorkspaceError.

    path: below `root`, with `/`.  workspace: the index of `root`, which knows what was let in; None for none.
    """
    from modstar_lsp.files import Unreadable, left_out, read_source

    bounds = {} if workspace is None else workspace.bounds()
    try:
        reason = left_out(root, path, **bounds)
        if not reason:
            return read_source(root, path)
    except Unreadable as error:
        reason = error.reason
    raise WorkspaceError(f"{root / path} is not searched: {reason}")


def definitions(path: str, text: str) -> list[Definition]:
    """The definitions in the file `path` with content `text`, in order; none without a grammar."""
    from modstar_lsp.chunking import chunk_file, outline

    found = {
        ".".join(part for part in (one.scope, one.name) if part): (one.kind, one.start_line, one.end_line)
        for one in outline(path, text)
    }
    if found:
        for chunk in chunk_file(path, text):
            for symbol, line in zip(chunk.symbols, chunk.symbol_lines, strict=True):
                found.setdefault(f"{chunk.scope}.{symbol}" if chunk.scope else symbol, ("", line, line))
    listed = [Definition(symbol, *place) for symbol, place in found.items()]
    return sorted(listed, key=lambda one: (one.start_line, -one.end_line))
