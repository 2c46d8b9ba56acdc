"""The unit of search: some consecutive lines of a file and what they define."""

from __future__ import annotations

from dataclasses import dataclass

# Longest text handed to an encoder: four full chunks. Only lines that no border can split get near it.
EMBEDDED_CHARS = 6_000
# Longest scope and longest heading: deep nesting and generated headings say no more than this.
SCOPE_CHARS = 200
NAME_CHARS = 200
# Folders of the path that the header line carries; deeper ones rarely say what a file is about.
PATH_TAIL = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines `start_line`..`end_line` (1-based, inclusive) of a file.

    kind: function, method, class, type, module (code between definitions), section (prose), text.
    name: the principal symbol; scope: the names around it joined by ".", the inner ones where that is long;
    symbols: every name these lines define, relative to the scope, principal first; symbol_lines: for each of
    them the line, one of these, on which its definition writes its name. The later parts of a long definition
    keep its name, scope and signature but define only what is nested in them.
    """

    start_line: int
    end_line: int
    kind: str
    name: str
    scope: str
    symbols: tuple[str, ...]
    symbol_lines: tuple[int, ...]
    signature: str
    text: str


@dataclass(frozen=True, slots=True)
class Outlined:
    """A definition on lines `start_line`..`end_line` (1-based, inclusive), the comments above it included.

    Of a class with long members these are the lines above the first of them. kind, name, scope: as in Chunk.
    """

    start_line: int
    end_line: int
    kind: str
    name: str
    scope: str


def short_scope(scope: str) -> str:
    """`scope`, or its inner part behind an ellipsis where it is longer than SCOPE_CHARS."""
    if len(scope) <= SCOPE_CHARS:
        return scope
    inner = scope[-SCOPE_CHARS + 2 :]
    return "…." + inner[inner.find(".") + 1 :]


def embedded_text(path: str, chunk: Chunk) -> str:
    """What is encoded for a chunk: a header line that says where it is, then its text."""
    header = ["/".join(path.split("/")[-PATH_TAIL:])]
    qualified = ".".join(part for part in (chunk.scope, chunk.name) if part)
    if qualified:
        header.append(qualified)
    if chunk.signature and not _opens_with(chunk.text, chunk.signature):
        header.append(chunk.signature)
    return f"{' '.join(header)}\n{chunk.text[:EMBEDDED_CHARS]}"


def _opens_with(text: str, signature: str) -> bool:
    head = text[: 2 * len(signature) + 200].lstrip()
    return "".join(head.split()).startswith("".join(signature.split()))
