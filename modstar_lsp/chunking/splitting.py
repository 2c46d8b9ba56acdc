"""Leaves -> chunks: a long leaf is split at the borders of its statements."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from modstar_lsp.chunking import sizes
from modstar_lsp.chunking.chunk import Chunk
from modstar_lsp.chunking.definitions import Reader, Symbol, dotted
from modstar_lsp.chunking.leaves import Leaf, chunk_of
from modstar_lsp.chunking.lines import TextRows

if TYPE_CHECKING:
    from tree_sitter import Node


def emit(
    reader: Reader, rows: TextRows, leaf: Leaf, first: int, end: int, out: list[Chunk], level: int = 0
) -> None:
    """Appends the chunk of rows first..end-1, or its parts when it is long."""
    if rows.chars(first, end - 1) <= sizes.MAX_CHARS or end - first < 2:
        out.append(chunk_of(leaf, first, end, rows.slice(first, end), leaf.names()))
        return
    if leaf.statement and not leaf.name:
        leaf.name = next((symbol.name for symbol in leaf.names()), "").removeprefix(f"{leaf.scope}.")
    borders = _Borders(reader, rows, leaf, first, end, level)
    for node in leaf.nodes:
        borders.collect(node, 0)
    parts = borders.parts()
    defined = [*leaf.names(), *borders.symbols]
    for index, (row, owner) in enumerate(parts):
        last = index + 1 == len(parts)
        stop = end if last else parts[index + 1][0]
        names = [
            symbol for symbol in defined if (not index or row <= symbol.row) and (last or symbol.row < stop)
        ]
        if owner is not leaf:
            owner.members.extend(names)
            emit(reader, rows, owner, row, stop, out, level + 1)
        else:
            out.append(chunk_of(leaf, row, stop, rows.slice(row, stop), names))


class _Borders:
    """Where a long leaf may be cut: the first rows of its statements, outermost first."""

    def __init__(self, reader: Reader, rows: TextRows, leaf: Leaf, first: int, end: int, level: int) -> None:
        self.reader = reader
        self.rows = rows
        self.leaf = leaf
        self.first = first
        self.end = end
        self.level = level
        self.scope = dotted(leaf.scope, leaf.name) if not leaf.statement else leaf.scope
        self.borders: list[tuple[int, Leaf | None]] = [(first, None)]  # row, and the definition of its own
        self.symbols: list[Symbol] = []  # found inside, without the definitions of their own
        self.covered = first  # last row with a border or inside a definition of its own

    def collect(self, node: Node, depth: int) -> None:
        """Adds the borders inside `node`; only what is itself too long is looked into."""
        comments = self.reader.grammar.comments
        comment_end = -2
        for child in node.named_children:
            row = child.start_point[0]
            if row >= self.end:
                break
            last = self.reader.last_row(child)
            kind = child.type
            is_comment = kind in comments
            if row > self.covered:
                if row != comment_end + 1 and row != self.borders[-1][0]:
                    self.borders.append((row, None))
                self.covered = row
            if is_comment:
                comment_end = last
                continue
            comment_end = -2
            if last <= row:
                continue
            size = self.rows.chars(row, last)
            if self._own_definition(child, kind, row, last, size):
                continue
            if size > sizes.MAX_CHARS and depth < sizes.MAX_DEPTH:
                self.collect(child, depth + 1)

    def _own_definition(self, node: Node, kind: str, row: int, last: int, size: int) -> bool:
        """A function inside a long function is a chunk of its own, or at least a symbol of its part."""
        if self.level >= sizes.MAX_DEPTH:
            return False
        found = self.reader.identify(node, kind)
        if found is None or not found.name or not found.defines or found.kind == "module":
            return False
        if found.inner.id == self.leaf.inner:
            return False
        scope = dotted(self.scope, found.scope)
        symbol = Symbol(dotted(scope, found.name), found.row)
        start = self.borders[-1][0]
        if size <= sizes.MERGE_CHARS or start > row or self.covered != row:
            self.symbols.append(symbol)
            return size <= sizes.MERGE_CHARS
        own = Leaf(start, found.kind, found.name, scope, self.leaf.region, [node], statement=False)
        own.symbols.append(symbol)
        own.signature = self.reader.signature(found.inner, found.body)
        own.inner = found.inner.id
        self.borders[-1] = (start, own)
        self.covered = last
        if last + 1 < self.end:
            self.borders.append((last + 1, None))
        return True

    def parts(self) -> list[tuple[int, Leaf]]:
        """The rows where parts begin, and what each is part of. About equal sizes of at most MAX_CHARS, where
        the borders allow it.
        """
        leaf = self.leaf
        result: list[tuple[int, Leaf]] = []
        run: list[int] = []
        for row, own in self.borders:
            if own is None:
                run.append(row)
                continue
            if run:
                result.extend((begin, leaf) for begin in self._packed(run, row))
                run = []
            result.append((row, own))
        if run:
            result.extend((begin, leaf) for begin in self._packed(run, self.end))
        # What a nested definition leaves over (a closing brace, a return) is no part of its own.
        kept: list[tuple[int, Leaf]] = []
        for index, (row, owner) in enumerate(result):
            stop = result[index + 1][0] if index + 1 < len(result) else self.end
            if not kept or owner is not leaf or self.rows.chars(row, stop - 1) >= sizes.MERGE_CHARS // 4:
                kept.append((row, owner))
        return kept

    def _packed(self, run: list[int], end: int) -> list[int]:
        """The first rows of parts of nearly one size, from a run of borders."""
        total = self.rows.chars(run[0], end - 1)
        count = -(-total // sizes.MAX_CHARS)
        target = total / count
        result: list[int] = []
        begin = run[0]
        for row, after in pairwise([*run[1:], end, end]):
            size = self.rows.chars(begin, row - 1)
            if row < end:
                if size < sizes.MAX_CHARS // 10:  # too little to stand alone
                    continue
                grown = self.rows.chars(begin, after - 1)
                if grown <= sizes.MAX_CHARS and grown - target <= target - size:
                    continue
            if size > sizes.MAX_CHARS + sizes.MAX_CHARS // 4:
                result.extend(self._cut_lines(begin, row))
            else:
                result.append(begin)
            begin = row
        return result

    def _cut_lines(self, first: int, end: int) -> list[int]:
        """TextRows to cut what has no borders inside (a long string, a table, a comment): every MAX_CHARS."""
        cuts = [first]
        row = first + 1
        while row < end:
            if self.rows.chars(cuts[-1], row) > sizes.MAX_CHARS:
                cuts.append(row)
            row += 1
        return cuts
