"""Leaves: the runs of lines that a file falls into before they are joined and split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modstar_lsp.chunking.chunk import Chunk, short_scope
from modstar_lsp.chunking.definitions import Symbol

if TYPE_CHECKING:
    from tree_sitter import Node


class Leaf:
    """A run of lines that will be one chunk or, when long, several. It ends where the next one starts."""

    __slots__ = (
        *("start", "kind", "name", "scope", "symbols", "signature", "members", "nodes", "inner", "region"),
        *("header", "joins", "large", "reopens", "statement"),
    )

    def __init__(
        self, start: int, kind: str, name: str, scope: str, region: int, nodes: list[Node], *, statement: bool
    ) -> None:
        self.start = start
        self.kind = kind
        self.name = name
        self.scope = scope
        self.region = region
        self.nodes = nodes
        self.statement = statement
        self.symbols: list[Symbol] = []
        self.members: list[Symbol] = []  # what the leaves that it took in define
        self.signature = ""
        self.header = False  # the head of a container whose members follow
        self.reopens = (
            False  # it only opens what follows (impl, #ifdef, if): it becomes part of the next leaf
        )
        self.joins = False
        self.large = False  # long enough to be an answer of its own
        self.inner = 0  # id of the node that is the definition itself, inside its wrappers

    def take(self, leaves: list[Leaf]) -> None:
        """Takes in the leaves right after it with all that they define."""
        for leaf in leaves:
            self.members.extend(leaf.names())
            self.nodes.extend(leaf.nodes)

    def names(self) -> list[Symbol]:
        """All that it defines."""
        return [*self.symbols, *self.members]

    def is_remark(self) -> bool:
        """Whether it defines nothing (a banner, a licence), so that it may join any neighbour."""
        return self.statement and not self.symbols and not self.members


def take_identity(target: Leaf, source: Leaf) -> None:
    """Names `target` after the definition `source` that it takes in."""
    target.kind = source.kind
    target.name = source.name
    target.scope = source.scope
    target.signature = source.signature
    target.statement = source.statement
    target.inner = source.inner
    target.symbols = [*source.symbols, *(symbol for symbol in target.symbols if symbol not in source.symbols)]


def join(before: Leaf, leaf: Leaf) -> None:
    """Adds `leaf` to the one before it; the first definition of the two names both."""
    if (before.statement and (not leaf.statement or before.is_remark())) or (
        not before.name and leaf.name and not leaf.statement
    ):
        before.symbols.extend(leaf.symbols)
        take_identity(before, leaf)
    else:
        before.symbols.extend(leaf.symbols)
    before.members.extend(leaf.members)
    before.nodes.extend(leaf.nodes)


def chunk_of(leaf: Leaf, first: int, end: int, text: str, defined: list[Symbol]) -> Chunk:
    """Rows first..end-1 of a leaf as a chunk that defines `defined`."""
    scope = leaf.scope
    prefix = f"{scope}." if scope else ""
    lines: dict[str, int] = {}
    for symbol in defined:
        lines.setdefault(symbol.name.removeprefix(prefix), symbol.row + 1)
    name = leaf.name
    if leaf.statement and lines:
        name = next(iter(lines))
    return Chunk(
        first + 1,
        end,
        leaf.kind,
        name,
        short_scope(scope),
        tuple(lines),
        # A name that shares its row with the one before may belong to a neighbour.
        tuple(min(max(line, first + 1), end) for line in lines.values()),
        leaf.signature,
        text,
    )
