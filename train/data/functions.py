"""A source file -> its definitions with the comments that describe them.

The walk follows the tables of `modstar_lsp/chunking/grammars.py`, as the chunker does, but keeps every
definition apart: chunks join small neighbours, and a pair must be about one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modstar_lsp.chunking.definitions import FoundDefinition, Reader
from modstar_lsp.chunking.grammars import GRAMMARS, follow, parse
from modstar_lsp.files.languages import HEAD_CHARS, language_of

if TYPE_CHECKING:
    from tree_sitter import Node

# A header is C++ when it says so; the same test as the chunker's.
_CPP = re.compile(rb"^\s*(?:class\s+\w|namespace\b|template\s*<|using\s+\w|public:|private:)", re.M)
# Deepest nesting of classes, namespaces and conditionals that is followed.
_MAX_DEPTH = 20
_SAME = {"tsx": "typescript"}
_KINDS = frozenset({"function", "method", "class", "type"})
_QUOTES = re.compile(r"""^[A-Za-z]*(?:\"{3}|'{3}|"|')""")
_BLANK_LINES = re.compile(rb"^[ \t;]*(?:\r?\n[ \t]*(?=\r?\n))*\r?\n")
_DOC_ATTRIBUTE = re.compile(r'@(?:doc|moduledoc|typedoc)\s+(?:~[sS])?("""(?s:.*)"""|"[^"]*")')


@dataclass(slots=True)
class Described:
    """A definition and the comment above it or inside it, as written. Rows count from 0, inclusive."""

    kind: str
    name: str
    comment: str
    code: str
    first: int
    last: int
    begin: int
    end: int


def parsed_language(path: str, data: bytes) -> str:
    """The grammar that reads the file, "" when there is none for it."""
    language = language_of(path, data[:HEAD_CHARS].decode("utf-8", "replace"))
    if language == "c" and path.lower().endswith(".h") and _CPP.search(data):
        language = "cpp"
    return language if language in GRAMMARS else ""


def spoken_language(language: str) -> str:
    """The name a corpus row carries: a dialect counts as its language."""
    return _SAME.get(language, language)


def definitions(language: str, data: bytes) -> list[Described]:
    """Every function, method and type of a file, in order; those without a comment have an empty one."""
    grammar = GRAMMARS[language]
    tree = parse(language, data)
    if tree is None:
        return []
    nodes: Iterable[Node] = tree.root_node.named_children
    if grammar.flat:
        nodes = [
            child
            for node in nodes
            for child in (node.named_children if node.type in grammar.flat else (node,))
        ]
    walk = _Walk(language, Reader(grammar, data))
    walk.siblings(nodes, 0)
    return walk.found


class _Walk:
    def __init__(self, language: str, reader: Reader) -> None:
        self.language = language
        self.reader = reader
        self.found: list[Described] = []

    def siblings(self, nodes: Iterable[Node], depth: int) -> None:
        """Nodes side by side: comments wait for the definition that follows without a gap."""
        grammar = self.reader.grammar
        waiting: list[Node] = []
        end = -2  # last row of what waits
        code_row = -1  # last row of the code before
        sticky = False  # an attribute waits: a gap after it does not count
        for node in nodes:
            kind = node.type
            first, last = _rows(node)
            if kind in grammar.comments:
                if first == code_row:
                    continue
                if waiting and first > end + 1:
                    waiting = []
                waiting.append(node)
                end, sticky = last, False
                continue
            if kind in grammar.attached or self.reader.is_annotation(node, kind):
                if first > end + 1 and not sticky:
                    waiting = []
                waiting.append(node)
                end, sticky = last, True
                continue
            if first > end + 1 and not sticky:
                waiting = []
            below = _comments_below(node, grammar.comments)
            stop = below[0].prev_sibling if below else None
            self._one(node, kind, waiting, depth, stop or node)
            waiting, sticky, end, code_row = below, False, -2, last
            if below:
                end, code_row = _rows(below[-1])[1], _rows(stop or node)[1]

    def _one(self, node: Node, kind: str, waiting: list[Node], depth: int, stop: Node) -> None:
        grammar = self.reader.grammar
        found = self.reader.identify(node, kind)
        if found is not None:
            self._definition(node, found, waiting, depth, stop)
        elif kind == "ERROR" or kind in grammar.opened:
            path = grammar.opened.get(kind, "")
            within = follow(node, path) if path else node
            if within is not None and depth < _MAX_DEPTH:
                self.siblings(within.named_children, depth + 1)

    def _definition(
        self, node: Node, found: FoundDefinition, waiting: list[Node], depth: int, stop: Node
    ) -> None:
        first, last = _rows(node)[0], _rows(stop)[1]
        if found.rule.joins and self.found and not waiting:
            before = self.found[-1]
            if before.name == found.name and first <= before.last + 2:
                before.code = self._text(before.begin, stop.end_byte)
                before.last, before.end = last, stop.end_byte
                return
        comment = "\n".join(self._comment(one) for one in waiting)
        begin, finish = node.start_byte, stop.end_byte
        if found.name and found.kind in _KINDS:
            if self.language == "python":
                comment, code = self._docstring(found, begin, finish, comment)
            else:
                code = self._text(begin, finish)
            self.found.append(Described(found.kind, found.name, comment, code, first, last, begin, finish))
        if found.body is not None and depth < _MAX_DEPTH:
            self.siblings(_members(found, self.reader.grammar.comments), depth + 1)

    def _comment(self, node: Node) -> str:
        """A comment as written; of an attribute only what documents (Elixir's `@doc`)."""
        text = self.reader.text(node)
        if node.type in self.reader.grammar.comments:
            return text
        match = _DOC_ATTRIBUTE.match(text)
        return match[1].strip('"') if match else ""

    def _docstring(self, found: FoundDefinition, begin: int, end: int, above: str) -> tuple[str, str]:
        """(comment, code): the doc string of a Python definition is taken out of its code."""
        body = found.inner.child_by_field_name("body")
        first = body.named_children[0] if body is not None and body.named_child_count else None
        if first is not None and first.type == "expression_statement" and first.named_child_count:
            first = first.named_children[0]
        if first is None or first.type != "string":
            return above, self._text(begin, end)
        comment = _QUOTES.sub("", self.reader.text(first)).rstrip("\"'")
        cut = bytes(self.reader.data[first.end_byte : end])
        return comment, self._text(begin, first.start_byte).rstrip() + self._outdented(
            b"\n" + _BLANK_LINES.sub(b"", cut), begin
        )

    def _text(self, begin: int, end: int) -> str:
        """The source between two bytes, moved left as far as its first line."""
        return self._outdented(self.reader.data[begin:end], begin)

    def _outdented(self, data: bytes, begin: int) -> str:
        source = self.reader.data
        line = source.rfind(b"\n", 0, begin) + 1
        indent = source[line : line + len(source[line:begin]) - len(source[line:begin].lstrip())]
        if indent:
            data = data.replace(b"\n" + indent, b"\n")
        return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _comments_below(node: Node, comments: frozenset[str]) -> list[Node]:
    """Comments that an indented body took along although they stand at the definition's own column."""
    last = node
    while last.child_count:
        child = last.children[-1]
        if child.type in comments:
            found = []
            before: Node | None = child
            while (
                before is not None
                and before.type in comments
                and before.start_point[1] <= node.start_point[1]
            ):
                found.append(before)
                before = before.prev_sibling
            return found[::-1] if before is not None else []
        last = child
    return []


def _rows(node: Node) -> tuple[int, int]:
    first = node.start_point[0]
    last, column = node.end_point
    return first, last - 1 if not column and last > first else last


def _members(found: FoundDefinition, comments: frozenset[str]) -> Iterator[Node]:
    """The nodes inside a container, with the comments that grammars put between its head and its body."""
    body = found.body
    assert body is not None
    if body.prev_sibling is not None and body.prev_sibling.type in comments:
        row = found.inner.start_point[0]
        for child in found.inner.children:
            if child.type in comments and child.end_byte <= body.start_byte and child.start_point[0] > row:
                yield child
    yield from body.named_children
