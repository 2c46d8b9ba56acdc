"""The walk over a tree, which cuts a file into leaves.

It descends only into containers (classes, namespaces, `#ifdef`s ...) and emits a *leaf* where one begins: a
definition with the comments above it, or a statement between definitions. A leaf ends where the next one
begins, so the leaves tile the file by construction, blank lines and closing braces included. At the end
small neighbours of one scope are joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modstar_lsp.chunking import sizes
from modstar_lsp.chunking.definitions import VALUE_OBJECT, FoundDefinition, Reader, Symbol, dotted
from modstar_lsp.chunking.grammars import follow
from modstar_lsp.chunking.leaves import Leaf, join, take_identity
from modstar_lsp.chunking.lines import TextRows

if TYPE_CHECKING:
    from tree_sitter import Node

# A macro in front of a namespace or class makes C++ look like a function of this name.
_NO_FUNCTIONS = frozenset("namespace class struct enum union if for while switch return else".split())


class TooManyLeaves(Exception):
    """The file falls into more than sizes.MAX_LEAVES leaves."""


class Walker:
    """Collects the leaves of one file."""

    def __init__(self, reader: Reader, rows: TextRows) -> None:
        self.reader = reader
        self.grammar = reader.grammar
        self.rows = rows
        self.leaves: list[Leaf] = []
        self.last = -1  # last row that belongs to a leaf emitted so far
        self.regions = 0

    def walk(self, nodes: Iterable[Node], scope: str, region: int, depth: int, *, inside: str) -> None:
        """Emits the leaves of sibling nodes. `region` numbers the container: only its own leaves may join."""
        grammar = self.grammar
        comments = grammar.comments
        attached = grammar.attached
        opened = grammar.opened
        above = -1  # first row of the comments and annotations that wait for their definition
        above_end = -1
        sticky = False
        waiting: list[Node] = []

        for node in nodes:
            kind = node.type
            first = node.start_point[0]
            last = self.reader.last_row(node)
            is_comment = kind in comments
            if is_comment or kind in attached or self.reader.is_annotation(node, kind):
                if last <= self.last or (is_comment and first <= self.last):
                    self.last = max(self.last, last)  # a comment at the end of a line of code
                    continue
                if above >= 0 and first > above_end + 1 and not sticky:
                    self._statement(above, above_end, waiting, scope, region, inside)
                    above, waiting = -1, []
                if above < 0:
                    above, sticky = first, False
                above_end = max(above_end, last)
                sticky = sticky or not is_comment
                waiting.append(node)
                continue

            if kind in self.grammar.bodies and above < 0 and self.leaves:
                self.leaves[-1].nodes.append(node)
                self.last = max(self.last, last)
                continue
            definition = self.reader.identify(node, kind)
            start = first
            if above >= 0:
                if sticky or first <= above_end + 1:
                    start = above
                else:
                    self._statement(above, above_end, waiting, scope, region, inside)
                above, waiting, sticky = -1, [], False
            if definition is not None:
                self._definition(definition, node, start, last, scope, region, depth, inside)
            elif kind == "ERROR" or (kind in opened and last > first):
                self._open(node, kind, start, last, scope, region, depth, inside)
            else:
                self._statement(start, last, [node], scope, region, inside)
        if above >= 0:
            self._statement(above, above_end, waiting, scope, region, inside)

    def _leaf(self, leaf: Leaf, last: int) -> bool:
        """Appends a leaf ending on row `last`. False when its rows are taken: that leaf gets its names."""
        leaf.start = max(leaf.start, self.last + 1)
        if leaf.start > last and self.leaves:
            before = self.leaves[-1]
            before.symbols.extend(leaf.symbols)
            if before.statement and not leaf.statement:
                take_identity(before, leaf)
            return False
        if len(self.leaves) >= sizes.MAX_LEAVES:
            raise TooManyLeaves
        self.last = max(self.last, last)
        self.leaves.append(leaf)
        return True

    def _statement(
        self, first: int, last: int, nodes: list[Node], scope: str, region: int, inside: str
    ) -> None:
        if last <= self.last and self.leaves and not inside and not self.grammar.binders:
            return
        leaf = Leaf(
            first,
            inside if inside in ("class", "type") else "module",
            "",
            scope,
            region,
            nodes,
            statement=True,
        )
        for node in nodes:
            if node.type not in self.grammar.comments:
                leaf.symbols.extend(self.reader.bound_names(node, scope))
        self._leaf(leaf, last)

    def _definition(
        self,
        found: FoundDefinition,
        node: Node,
        start: int,
        last: int,
        scope: str,
        region: int,
        depth: int,
        inside: str,
    ) -> None:
        kind = found.kind
        inner_scope = dotted(scope, found.scope) if found.scope else scope
        if kind == "function" and (inside or found.scope):
            kind = "method"
        if kind == "function" and found.name in _NO_FUNCTIONS:
            self._open(node, "ERROR", start, last, scope, region, depth, inside)
            return
        full = dotted(inner_scope, found.name)
        if found.joins and self.leaves:
            before = self.leaves[-1]
            if before.joins and before.name == found.name and before.scope == inner_scope:
                before.nodes.append(node)
                self.last = max(self.last, last)
                return
        leaf = Leaf(start, kind, found.name, inner_scope, region, [node], statement=False)
        # A constant, a macro or a type inside a class names its chunk only where nothing better does.
        leaf.statement = found.body is None and (kind == "module" or (kind == "type" and bool(inside)))
        leaf.joins = found.joins
        leaf.inner = found.inner.id
        if found.name and found.defines:
            leaf.symbols.append(Symbol(full, found.row))
        if found.rule.binds:
            leaf.symbols.extend(self.reader.bound_names(node, scope))
        if leaf.statement and inside and kind == "module":
            leaf.kind = inside
        members = found.body
        if members is None or depth >= sizes.MAX_DEPTH:
            leaf.signature = self.reader.signature(found.inner, None)
            self._leaf(leaf, last)
            return

        leaf.signature = self.reader.signature(found.inner, members)
        place = len(self.leaves)
        children = self._members(found.inner, members)
        head = members.start_point[0]
        if children and children[0].start_byte <= members.start_byte:  # no brace: the head ends above them
            head = children[0].start_point[0] - 1
        owner = leaf
        leaf.header = True
        leaf.reopens = not found.defines
        if not self._leaf(leaf, min(max(start, head, self.last + 1), last)):
            place -= 1
            owner = self.leaves[-1]
        self.regions += 1
        self.walk(
            children,
            full,
            self.regions,
            depth + 1,
            inside="" if kind == "module" and found.rule is not VALUE_OBJECT else kind,
        )
        self.last = max(self.last, last)
        if owner is not leaf:
            return
        self._close(leaf, place, last)

    def _members(self, inner: Node, body: Node) -> list[Node]:
        """The nodes inside a container, with the comments that grammars put between its head and its body."""
        children = body.named_children
        if body.prev_sibling is not None and body.prev_sibling.type in self.grammar.comments:
            row = inner.start_point[0]
            before = [
                child
                for child in inner.children
                if child.type in self.grammar.comments
                and child.end_byte <= body.start_byte
                and child.start_point[0] > row
            ]
            return before + children
        return children

    def _close(self, header: Leaf, place: int, last: int) -> None:
        """Decides, once a container's members are known, what its header leaf keeps."""
        leaves = self.leaves
        inside = leaves[place + 1 :]
        plain = all(leaf.statement for leaf in inside)
        if not header.reopens and (plain or self.rows.chars(header.start, last) <= sizes.MERGE_CHARS):
            # A table of constants is a statement, one with functions in it a definition.
            header.statement = header.kind == "module" and plain
            header.take(inside)
            del leaves[place + 1 :]
            header.header = False
            return
        if not inside:
            header.header = header.reopens = False
            return
        if header.reopens:
            return
        first = inside[0]
        if (
            header.kind == "module"
            and first.header
            and self.rows.chars(header.start, first.start - 1) <= sizes.HEADER_CHARS // 2
        ):
            # A module that only wraps another one (`module Rails`) is reopened here, not defined.
            header.reopens = True
            header.symbols.clear()
            return
        # Doc string and fields right after the head belong to it; a longer head is split under its name.
        count = 0
        while count < len(inside) and inside[count].statement and not inside[count].header:
            stop = inside[count + 1].start - 1 if count + 1 < len(inside) else last
            if count and self.rows.chars(header.start, stop) > sizes.MAX_CHARS:
                break
            count += 1
        if not count and not first.header:  # a head of a line or two and a small member
            stop = inside[1].start - 1 if len(inside) > 1 else last
            head = self.rows.chars(header.start, first.start - 1)
            count = int(
                head <= sizes.HEADER_CHARS and self.rows.chars(first.start, stop) <= sizes.JOINED_CHARS
            )
        header.take(inside[:count])
        del leaves[place + 1 : place + 1 + count]

    def _open(
        self, node: Node, kind: str, start: int, last: int, scope: str, region: int, depth: int, inside: str
    ) -> None:
        """A statement that may hold definitions (`#ifdef`, `describe()`): they count as its siblings."""
        path = self.grammar.opened.get(kind, "")
        within = follow(node, path) if path else node
        if within is None or depth >= sizes.MAX_DEPTH:
            self._statement(start, last, [node], scope, region, inside)
            return
        place = len(self.leaves)
        opener = Leaf(
            start,
            inside if inside in ("class", "type") else "module",
            "",
            scope,
            region,
            [node],
            statement=True,
        )
        if not self._leaf(opener, max(start, min(within.start_point[0], last))):
            place -= 1
            opener = self.leaves[-1]
            self.walk(within.named_children, scope, region, depth + 1, inside=inside)
            self.last = max(self.last, last)
            return
        opener.reopens = True
        self.walk(within.named_children, scope, region, depth + 1, inside=inside)
        self.last = max(self.last, last)
        found = self.leaves[place + 1 :]
        if (
            all(leaf.statement for leaf in found)
            and kind != "ERROR"
            and self.rows.chars(start, last) <= sizes.MAX_CHARS
        ):
            opener.take(found)
            del self.leaves[place + 1 :]
        if len(self.leaves) == place + 1:
            opener.reopens = False

    def joined(self) -> list[Leaf]:
        """The leaves with openers joined to what they open and small neighbours to each other."""
        leaves = self._without_openers()
        result: list[Leaf] = []
        ends = [leaf.start for leaf in leaves[1:]] + [self.rows.count]
        for leaf, end in zip(leaves, ends, strict=True):
            before = result[-1] if result else None
            if before is None:
                leaf.large = not leaf.statement and self.rows.chars(leaf.start, end - 1) > sizes.JOINED_CHARS
            else:
                total = self.rows.chars(before.start, end - 1)
                same = before.region == leaf.region and (
                    before.scope == leaf.scope or before.is_remark() or leaf.is_remark()
                )
                leaf.large = not leaf.statement and self.rows.chars(leaf.start, end - 1) > sizes.JOINED_CHARS
                small = total <= sizes.MERGE_CHARS and not (leaf.large or before.large)
                if same and small and not leaf.header and not before.header:
                    join(before, leaf)
                    continue
                if total <= sizes.MAX_CHARS:
                    if leaf.is_remark() and self.rows.chars(leaf.start, end - 1) <= sizes.SLIVER_CHARS:
                        before.nodes.extend(leaf.nodes)
                        continue
                    if (
                        same
                        and before.statement
                        and self.rows.chars(before.start, leaf.start - 1) <= sizes.SLIVER_CHARS
                    ):
                        leaf.start = before.start
                        leaf.members = [*before.members, *before.symbols, *leaf.members]
                        result[-1] = leaf
                        continue
            result.append(leaf)
        return result

    def _without_openers(self) -> list[Leaf]:
        result: list[Leaf] = []
        pending: Leaf | None = None
        for leaf in self.leaves:
            if pending is not None:
                leaf.start = pending.start
                leaf.symbols = leaf.symbols + pending.symbols
                pending = None
            if leaf.reopens:
                pending = leaf
            else:
                result.append(leaf)
        if pending is not None:
            pending.reopens = False
            result.append(pending)
        return result
