"""Leaves: the runs of lines that a file falls into before they are joined and split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modstar_lsp.chunking.chunk import Chunk

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
        self.symbols: list[str] = []  # fully qualified
        self.members: list[tuple[int, list[str]]] = []  # row and symbols of the leaves that it took in
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
            self.members.append((leaf.start, leaf.symbols))
            self.members.extend(leaf.members)
            self.nodes.extend(leaf.nodes)

    def names(self) -> list[str]:
        """Every qualified name that it defines."""
        return [*self.symbols, *(name for _, names in self.members for name in names)]

    def is_remark(self) -> bool:
        """Whether it defines nothing (a banner, a licence), so that it may join any neighbour."""
        return self.statement and not self.symbols and not any(names for _, names in self.members)


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


def chunk_of(leaf: Leaf, first: int, end: int, text: str, qualified: list[str]) -> Chunk:
    """Rows first..end-1 of a leaf as a chunk that defines the names `qualified`."""
    scope = leaf.scope
    prefix = f"{scope}." if scope else ""
    symbols = tuple(dict.fromkeys(name.removeprefix(prefix) for name in qualified))
    name = leaf.name
    if leaf.statement and symbols:
        name = symbols[0]
    return Chunk(first + 1, end, leaf.kind, name, scope, symbols, leaf.signature, text)
