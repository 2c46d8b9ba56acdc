"""What a node of the tree defines: its name, the names around it, its signature, where its members are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.chunking import sizes
from modstar_lsp.chunking.grammars import Defines, Grammar, follow
from modstar_lsp.chunking.macros import Named

if TYPE_CHECKING:
    from tree_sitter import Node

_REMARKS = re.compile(r"/\*(?s:.*?)\*/|(?m:(?:^|(?<=\s))(?://|#[:\s]|--\s|/\*).*$)")
_SPACES = re.compile(r"\s+")
_ANNOTATIONS = re.compile(r"(?:@[\w.:]+(?:\([^()]*\))?\s+|#?\[[^\[\]]*\]\s+)+")
_TYPE_ARGUMENTS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
# `::=`, or `( * )` in OCaml
_SIGNS_ALONE = re.compile(r"(?:\( ?)?([!#$%&*+./:<=>?@\\^|~-]+)(?: ?\))?")
_SEPARATORS = re.compile(r"(?<=[\w)\]>?!])(?:::|\?\.|->|[.:#\\])(?=[\w~$@\"'`])")
_TYPE_NAME = re.compile(r"[A-Z][\w.']*")
# Nodes in which a name is local.
_LOCAL_SCOPE = re.compile(r"block|body|function|lambda|closure|compound_statement|do_|arguments|parameters")
_NO_NAMES = frozenset(
    (
        "subscript subscript_expression element_reference array_pattern object_pattern call "
        "computed_property_name"
    ).split()
)
_NOT_SCOPES = frozenset(
    {"", "this", "self", "prototype", "exports", "module", "window", "globalThis", "local"}
)
VALUE_FUNCTION = Defines("function", binds=True)
VALUE_OBJECT = Defines("class", body="value")


class Symbol(NamedTuple):
    """A name, qualified by its scope, and the row on which its definition writes it."""

    name: str
    row: int


class FoundDefinition:
    """What `Reader.identify` found out about a node."""

    __slots__ = ("body", "defines", "inner", "joins", "kind", "name", "row", "rule", "scope")

    def __init__(
        self, rule: Defines, kind: str, name: str, scope: str, row: int, inner: Node, body: Node | None
    ) -> None:
        self.rule = rule
        self.kind = kind
        self.name = name
        self.scope = scope  # names that the name itself carries: the A of A::f
        self.row = row  # of the name, or of the definition where it has none
        self.inner = inner
        self.body = body
        self.joins = rule.joins
        self.defines = rule.defines


class Reader:
    """Reads definitions out of the nodes of one file. `named`: what macros at these bytes define."""

    def __init__(self, grammar: Grammar, data: bytes, named: Mapping[int, Named] | None = None) -> None:
        self.grammar = grammar
        self.data = data
        self.named = named or {}

    def text(self, node: Node) -> str:
        """The text of `node`; bytes that are no UTF-8 become U+FFFD."""
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def last_row(self, node: Node) -> int:
        """The last row on which `node` has text: some grammars end it at the indentation of what follows."""
        last, column = node.end_point
        if last > node.start_point[0] and not self.data[node.end_byte - column : node.end_byte].strip():
            last -= 1
        return last

    def identify(self, node: Node, kind: str) -> FoundDefinition | None:
        """The definition that a node of type `kind` is, None for any other statement."""
        grammar = self.grammar
        rule = grammar.rules.get(kind)
        if rule is not None:
            return self._by_rule(node, rule)
        if kind in grammar.wrappers:
            for child in reversed(node.named_children):
                inner = self.identify(child, child.type)
                if inner is not None:
                    return inner
            return None
        if kind == grammar.calls:
            target = node.child_by_field_name("target")
            rule = (
                grammar.keywords.get(self.text(target))
                if target is not None and target.type == "identifier"
                else None
            )
            return self._by_rule(node, rule) if rule is not None else None
        return self._by_value(node, 0) if grammar.functions or grammar.objects else None

    def _by_rule(self, node: Node, rule: Defines) -> FoundDefinition | None:
        body = follow(node, rule.body) if rule.body else None
        if rule.needs_body and body is None:
            return None
        named = follow(node, rule.name) if rule.name else None
        name, scope = self._split_name(named) if named is not None else ("", "")
        if rule.scope:
            around = follow(node, rule.scope)
            if around is not None and around != named:
                scope = _SPACES.sub(" ", _TYPE_ARGUMENTS.sub("", self.text(around))).strip("*& ()")[:100]
        row = (node if named is None else named).start_point[0]
        macro = self.named.get(named.start_byte) if named is not None and self.named else None
        if macro is not None:
            name, scope = macro.name, macro.scope
            row += self.data.count(b"\n", named.start_byte, macro.start)  # type: ignore[union-attr]
        if rule.needs_name and not name:
            return None
        found = FoundDefinition(rule, rule.kind, name, scope, row, node, body)
        if rule.reopens and follow(node, rule.reopens) is not None:
            found.defines = False
        return found

    def _by_value(self, node: Node, depth: int) -> FoundDefinition | None:
        """`const f = () => ...`: a statement whose one value is a function, a class or an object."""
        grammar = self.grammar
        binder = grammar.binders.get(node.type)
        if binder is None:
            if depth < 3 and node.named_child_count <= 3:
                for child in node.named_children:
                    found = self._by_value(child, depth + 1)
                    if found is not None:
                        return found
            return None
        value = follow(node, binder.value) if binder.value else None
        if value is None:
            if depth < 3 and not binder.value and node.named_child_count == 1:
                return self._by_value(node.named_children[0], depth + 1)
            return None
        if value.type in grammar.functions:
            rule = VALUE_FUNCTION
        elif value.type in grammar.objects:
            rule = VALUE_OBJECT
        else:
            return None
        named = follow(node, binder.name)
        if named is None:
            return None
        name, scope = self._split_name(named)
        if not name:
            return None
        body = None
        kind = rule.kind
        if rule is VALUE_OBJECT:
            where = grammar.objects[value.type]
            body = follow(value, where) if where else value
            kind = "module" if value.type in ("object", "table_constructor") else "class"
        inner = value if rule is VALUE_FUNCTION else node
        return FoundDefinition(rule, kind, name, scope, named.start_point[0], inner, body)

    def _split_name(self, node: Node) -> tuple[str, str]:
        """Name and enclosing names of a name node: "A::B::f" is f in A.B."""
        if node.type in _NO_NAMES and node.child_count and not self.grammar.calls:
            return "", ""
        text = self.text(node)
        if len(text) > 300:
            return "", ""
        if "\n" in text or "\r" in text or "\t" in text:
            text = _SPACES.sub(" ", text)
        signs = _SIGNS_ALONE.fullmatch(text)
        if signs:
            return signs[1], ""
        if text.startswith("operator"):
            return _SPACES.sub(" ", text), ""
        if self.grammar.calls and node.type in ("call", "binary_operator"):  # def f(x) when x > 0
            text = re.split(r"[\s(,]", text.strip(), maxsplit=1)[0]
        scope = ""
        at = text.find("operator")
        tail = ""
        if at > 0 and text[at - 1] == ":":
            text, tail = text[:at].rstrip(":"), _SPACES.sub(" ", text[at:])
        while "<" in text[1:] or "[" in text[1:]:
            shorter = text[0] + _TYPE_ARGUMENTS.sub("", text[1:])
            if shorter == text:
                break
            text = shorter
        if not self.grammar.qualified:
            return " ".join(text.split()), ""
        text = text.strip("$@ \t\r\n&*()").lstrip(":")
        if text[:1] in "\"'`":
            text = text.strip("\"'`")
        if node.type == "type_patterns":  # a Haskell instance is about its type
            match = _TYPE_NAME.search(text)
            text = match[0] if match else ""
        if tail or _SEPARATORS.search(text):
            parts = [part.strip() for part in _SEPARATORS.split(text)]
            parts = [part for part in parts if part not in _NOT_SCOPES]
            if tail:
                parts.append(tail)
            if not parts:
                return "", ""
            text, scope = parts[-1], ".".join(parts[:-1])
        return _SPACES.sub(" ", text), scope

    def bound_names(self, node: Node, scope: str) -> list[Symbol]:
        """What a statement binds: `A = 1`, `const a = 1, b = 2`, fields."""
        binders = self.grammar.binders
        if not binders:
            return []
        names: list[Symbol] = []
        stack: list[tuple[Node, int]] = [(node, 0)]
        while stack and len(names) < sizes.MAX_NAMES:
            current, depth = stack.pop()
            binder = binders.get(current.type)
            if binder is not None:
                path = binder.name
                if "/" in path or path[0] in "~@":
                    found = follow(current, path)
                    nodes = [found] if found is not None else []
                else:
                    nodes = current.children_by_field_name(path)
                for named in nodes:
                    for one in (
                        named.named_children if named.type in ("pattern_list", "tuple_pattern") else (named,)
                    ):
                        name, around = self._split_name(one)
                        if (
                            name
                            and (not around or around not in ("self", "cls", "this"))
                            and name[0] not in "{(["
                        ):
                            names.append(Symbol(dotted(scope, around, name), one.start_point[0]))
                if nodes or depth >= 3:
                    continue
            if depth < 3 and (not depth or not _LOCAL_SCOPE.search(current.type)):
                stack.extend(
                    (child, depth + 1) for child in reversed(current.named_children[: sizes.MAX_NAMES])
                )
        return names

    def signature(self, inner: Node, body: Node | None) -> str:
        """The head of a definition on one line, without its annotations and its body."""
        if body is None:
            body = inner.child_by_field_name("body")
            if body is None and inner.named_child_count:
                last = inner.named_children[-1]
                if last.type.endswith(("body", "block", "match")):
                    body = last
        # The whole line counts: `export const f = (a) =>` is the head of an arrow function.
        first = self.data.rfind(b"\n", 0, inner.start_byte) + 1
        head = self.data[first : inner.start_byte]
        if len(head) > sizes.SIGNATURE_CHARS or b"}" in head or b";" in head:
            first = inner.start_byte
        last_byte = inner.end_byte
        if body is not None and body.start_byte > inner.start_byte:
            last_byte = body.start_byte
        text = self.data[first : min(last_byte, first + 6 * sizes.SIGNATURE_CHARS)].decode("utf-8", "replace")
        if body == inner:  # nothing marks the end of the head
            text = text.split("\n", 1)[0]
        text = _SPACES.sub(" ", _REMARKS.sub("", text)).strip()
        annotations = _ANNOTATIONS.match(text)
        if annotations and annotations.end() < len(text):
            text = text[annotations.end() :]
        if body is None and last_byte > first + 2 * sizes.SIGNATURE_CHARS:
            text = text.split("{", 1)[0]
        return (
            text[: sizes.SIGNATURE_CHARS]
            .rstrip(" {:=;,|")
            .removesuffix(" do")
            .removesuffix(" where")
            .rstrip()
        )

    def is_annotation(self, node: Node, kind: str) -> bool:
        """Whether it is an Elixir `@doc ...` or the like, which belongs to the definition below it."""
        if not self.grammar.annotations or kind != "unary_operator":
            return False
        operand = node.child_by_field_name("operand")
        if operand is None or operand.type != "call":
            return False
        target = operand.child_by_field_name("target")
        return target is not None and self.text(target) in self.grammar.annotations


def dotted(*parts: str) -> str:
    """A scope's name of `parts`, the empty ones left out."""
    return ".".join(part for part in parts if part)
