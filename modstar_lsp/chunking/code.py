"""A code file -> chunks that tile its lines: parsed, walked (leaves), joined, split."""

from __future__ import annotations

import re

from modstar_lsp.chunking import sizes
from modstar_lsp.chunking.chunk import Chunk, Outlined, short_scope
from modstar_lsp.chunking.definitions import Reader
from modstar_lsp.chunking.grammars import GRAMMARS, parse
from modstar_lsp.chunking.leaves import Leaf
from modstar_lsp.chunking.lines import TextRows
from modstar_lsp.chunking.macros import Named, without_macros
from modstar_lsp.chunking.splitting import emit
from modstar_lsp.chunking.walking import TooManyLeaves, Walker

_WITH_MACROS = frozenset({"c", "cpp", "objective-c"})
_LONE_CR = re.compile(r"\r(?!\n)")
_CPP = re.compile(r"^\s*(?:class\s+\w|namespace\b|template\s*<|using\s+\w|public:|private:)", re.M)


def chunk_code(language: str, path: str, text: str) -> list[Chunk] | None:
    """Chunks of a file in a language of GRAMMARS: exactly its lines. None if it cannot be divided so."""
    walker = _walked(language, path, text)
    if walker is None:
        return None
    reader, rows = walker.reader, walker.rows
    leaves = walker.joined()
    leaves[0].start = 0
    chunks: list[Chunk] = []
    for index, leaf in enumerate(leaves):
        end = leaves[index + 1].start if index + 1 < len(leaves) else rows.count
        emit(reader, rows, leaf, leaf.start, end, chunks)
    return chunks


def outline_code(language: str, path: str, text: str) -> list[Outlined]:
    """The definitions of a file in a language of GRAMMARS, in order; none if it cannot be parsed."""
    walker = _walked(language, path, text)
    if walker is None:
        return []
    leaves, rows = walker.leaves, walker.rows
    found = []
    for index, leaf in enumerate(leaves):
        if leaf.statement or not leaf.name:
            continue
        end = leaves[index + 1].start if index + 1 < len(leaves) else rows.count
        while end > leaf.start + 1 and not rows.slice(end - 1, end).strip():
            end -= 1
        found.append(Outlined(leaf.start + 1, end, leaf.kind, leaf.name, short_scope(leaf.scope)))
    return found


def _walked(language: str, path: str, text: str) -> Walker | None:
    """What a walk over the file finds: at least one leaf. None if it cannot be parsed or has too many."""
    if language == "c" and path.lower().endswith(".h") and _CPP.search(text):
        language = "cpp"
    grammar = GRAMMARS[language]
    # tree-sitter ends its rows at \n alone.
    data = (_LONE_CR.sub("\n", text) if "\r" in text else text).encode("utf-8", "replace")
    named: dict[int, Named] = {}
    parsed = data
    if language in _WITH_MACROS:
        parsed, named = without_macros(data)
    tree = parse(language, parsed, path.lower())
    if tree is None or tree.root_node.named_child_count > sizes.MAX_LEAVES:
        return None
    nodes = tree.root_node.named_children
    if grammar.flat:
        nodes = [
            child
            for node in nodes
            for child in (node.named_children if node.type in grammar.flat else (node,))
        ]
    rows = TextRows(text)
    reader = Reader(grammar, data, named)
    walker = Walker(reader, rows)
    try:
        walker.walk(nodes, "", 0, 0, inside="")
    except TooManyLeaves:
        return None
    if not walker.leaves:  # nothing but stray tokens
        walker.leaves.append(Leaf(0, "module", "", "", 0, [tree.root_node], statement=True))
    return walker
