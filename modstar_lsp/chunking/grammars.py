"""What a definition looks like in each language: one declarative table per grammar.

Paths in these tables lead from a node to a descendant. Steps are separated by "/": a field name, or
"@type|type" for the first child of such a type. Alternatives are separated by "," and tried in order.
"~declarator" follows a field as long as it goes (C declarators nest).

A grammar is imported and its parser made when the first file of that language is chunked. All grammars
are compiled into wheels; nothing is ever downloaded or built at run time.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from time import thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

# CPU time that a parse may take; sound code needs .05 to .4 s/MB, mutilated code up to 5 s/MB.
PARSE_SECONDS = 0.3
PARSE_SECONDS_PER_BYTE = 3e-6
# Shorter sources are parsed without asking the time: at worst they take .1 s and 80 MB.
UNLIMITED_BYTES = 4_000
# In these the memory grows with the square of the open "<", at the very end of the parse, where no callback
# can stop it: 60 MB for so many.
_ANGLES_EXPLODE = frozenset({"java", "csharp"})
MAX_OPEN_ANGLES = 2_000
_SLICE_BYTES = 1 << 20
# While a parser asks for the time another thread may run, and must not use the parser.
_parsing = Lock()


@dataclass(frozen=True, slots=True)
class Rule:
    """A node type that defines something.

    kind: as in Chunk. name: path to the node whose text is the name. body: path to the node whose children
    are its members; such a definition is a container. scope: path to a name that encloses it although it
    is not around it (Go's receiver). defines: False where the container only reopens a name (impl,
    namespace). joins: consecutive nodes of one name are one definition (equations, clauses).
    needs_body: without its body the node is an ordinary statement. binds: it may define more names than one.
    reopens: path that exists where the node reopens a name rather than defines it (extension).
    """

    kind: str
    name: str = "name"
    body: str = ""
    scope: str = ""
    defines: bool = True
    joins: bool = False
    needs_body: bool = False
    reopens: str = ""
    binds: bool = False


@dataclass(frozen=True, slots=True)
class Binder:
    """A node that binds a name to a value inside a statement; the value's type may make it a definition."""

    name: str = "name"
    value: str = "value"


@dataclass(frozen=True, slots=True)
class Grammar:
    """How to read the tree of one language. See the fields' comments."""

    module: str  # wheel's import name
    entry: str = "language"
    rules: Mapping[str, Rule] = field(default_factory=dict)
    binders: Mapping[str, Binder] = field(default_factory=dict)
    comments: frozenset[str] = frozenset({"comment"})
    attached: frozenset[str] = frozenset()  # siblings that belong to the definition after them
    wrappers: frozenset[str] = frozenset()  # nodes around one definition: its text, another's name
    opened: Mapping[str, str] = field(default_factory=dict)  # statements that may hold definitions -> where
    functions: frozenset[str] = frozenset()  # values that make the bound name a function
    objects: Mapping[str, str] = field(
        default_factory=dict
    )  # values that hold members -> where ("" = itself)
    calls: str = ""  # a node type whose callee's name decides: see `keywords`
    keywords: Mapping[str, Rule] = field(default_factory=dict)  # callee -> rule
    annotations: frozenset[str] = frozenset()  # callees of `@name ...` statements that attach to what follows
    flat: frozenset[str] = frozenset()  # nodes at the top whose children count in their place


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CLASS = Rule("class", body="body")
_FUNCTION = Rule("function")
_TYPE = Rule("type")

_JAVASCRIPT_RULES: dict[str, Rule] = {
    "function_declaration": _FUNCTION,
    "generator_function_declaration": _FUNCTION,
    "class_declaration": _CLASS,
    "method_definition": _FUNCTION,
}
_JAVASCRIPT_BINDERS: dict[str, Binder] = {
    "variable_declarator": Binder(),
    "assignment_expression": Binder("left", "right"),
    "pair": Binder("key", "value"),
    "field_definition": Binder("property", "value"),
    "public_field_definition": Binder(),
}
_JAVASCRIPT_FUNCTIONS = _types("arrow_function function_expression generator_function")
_JAVASCRIPT_OBJECTS = {"object": "", "class": "body"}
_JAVASCRIPT_OPENED = {
    "expression_statement": (
        "@call_expression/@arguments/@arrow_function|function_expression/@statement_block,"
        "@call_expression/@parenthesized_expression/@function_expression|arrow_function/@statement_block,"
        "@call_expression/@function_expression/@statement_block,"
        "@await_expression/@call_expression/@arguments/@arrow_function|function_expression/@statement_block,"
        "@unary_expression/@call_expression/@parenthesized_expression|function_expression/@statement_block"
    ),
    "export_statement": "@object,@call_expression/@arguments/@object",
    "if_statement": "",
    "else_clause": "",
    "statement_block": "",
    "try_statement": "",
    "labeled_statement": "",
}

_TYPESCRIPT = Grammar(
    "tree_sitter_typescript",
    "language_typescript",
    rules={
        **_JAVASCRIPT_RULES,
        "abstract_class_declaration": _CLASS,
        "interface_declaration": _CLASS,
        "enum_declaration": _TYPE,
        "type_alias_declaration": _TYPE,
        "function_signature": Rule("function", joins=True),
        "method_signature": Rule("function", joins=True),
        "abstract_method_signature": _FUNCTION,
        "internal_module": Rule("module", body="body", defines=False),
        "module": Rule("module", body="body", defines=False),
    },
    binders={**_JAVASCRIPT_BINDERS, "property_signature": Binder()},
    attached=_types("decorator"),
    wrappers=_types("export_statement ambient_declaration expression_statement"),
    opened={**_JAVASCRIPT_OPENED, "ambient_declaration": "@statement_block"},
    functions=_JAVASCRIPT_FUNCTIONS,
    objects=_JAVASCRIPT_OBJECTS,
)

_C_RULES: dict[str, Rule] = {
    "function_definition": Rule("function", name="~declarator"),
    "struct_specifier": Rule("type", needs_body=True, body="body"),
    "union_specifier": Rule("type", needs_body=True, body="body"),
    "enum_specifier": Rule("type", needs_body=True, body="body"),
    "type_definition": Rule("type", name="~declarator"),
    "preproc_def": Rule("module"),
    "preproc_function_def": Rule("function"),
}
_C_BINDERS = {
    "declaration": Binder("~declarator", ""),
    "field_declaration": Binder("~declarator", ""),
    "enumerator": Binder("name", ""),
}
_C_OPENED = {
    "preproc_ifdef": "",
    "preproc_if": "",
    "preproc_else": "",
    "preproc_elif": "",
    "preproc_elifdef": "",
    "linkage_specification": "",
    "declaration_list": "",
}

GRAMMARS: dict[str, Grammar] = {
    "python": Grammar(
        "tree_sitter_python",
        rules={"function_definition": _FUNCTION, "class_definition": _CLASS},
        binders={
            "assignment": Binder("left", "right"),
            "type_alias_statement": Binder("left", "right"),
        },
        wrappers=_types("decorated_definition"),
        opened=dict.fromkeys(
            (
                "if_statement else_clause elif_clause try_statement except_clause except_group_clause "
                "finally_clause with_statement block"
            ).split(),
            "",
        ),
        functions=_types("lambda"),
    ),
    "javascript": Grammar(
        "tree_sitter_javascript",
        rules=_JAVASCRIPT_RULES,
        binders=_JAVASCRIPT_BINDERS,
        attached=_types("decorator"),
        wrappers=_types("export_statement"),
        opened=_JAVASCRIPT_OPENED,
        functions=_JAVASCRIPT_FUNCTIONS,
        objects=_JAVASCRIPT_OBJECTS,
    ),
    "typescript": _TYPESCRIPT,
    "tsx": Grammar(
        "tree_sitter_typescript",
        "language_tsx",
        rules=_TYPESCRIPT.rules,
        binders=_TYPESCRIPT.binders,
        attached=_TYPESCRIPT.attached,
        wrappers=_TYPESCRIPT.wrappers,
        opened=_TYPESCRIPT.opened,
        functions=_TYPESCRIPT.functions,
        objects=_TYPESCRIPT.objects,
    ),
    "java": Grammar(
        "tree_sitter_java",
        rules={
            "class_declaration": _CLASS,
            "interface_declaration": _CLASS,
            "enum_declaration": _CLASS,
            "record_declaration": _CLASS,
            "annotation_type_declaration": _CLASS,
            "method_declaration": _FUNCTION,
            "constructor_declaration": _FUNCTION,
            "compact_constructor_declaration": _FUNCTION,
            "annotation_type_element_declaration": _FUNCTION,
        },
        binders={"variable_declarator": Binder(), "enum_constant": Binder("name", "")},
        comments=_types("line_comment block_comment"),
        opened={"enum_body_declarations": ""},
    ),
    "kotlin": Grammar(
        "tree_sitter_kotlin",
        rules={
            "class_declaration": Rule(
                "class", "name,@identifier|type_identifier", "@class_body|enum_class_body"
            ),
            "object_declaration": Rule("class", "name,@identifier|type_identifier", "@class_body"),
            "companion_object": Rule(
                "class", "name,@identifier|type_identifier", "@class_body", defines=False
            ),
            "function_declaration": Rule("function", "name,@identifier|simple_identifier"),
            "secondary_constructor": Rule("function", "@constructor"),
            "type_alias": Rule("type", "type,@identifier|type_identifier"),
        },
        binders={
            "property_declaration": Binder("@variable_declaration/@identifier|simple_identifier", ""),
            "enum_entry": Binder("@identifier|simple_identifier", ""),
        },
        comments=_types("line_comment block_comment multiline_comment"),
    ),
    "go": Grammar(
        "tree_sitter_go",
        rules={
            "function_declaration": _FUNCTION,
            "type_declaration": Rule("type", "@type_spec|type_alias/name", binds=True),
            "method_declaration": Rule(
                "method",
                scope="receiver/@parameter_declaration/type",
            ),
        },
        binders={
            "type_spec": Binder("name", ""),
            "type_alias": Binder("name", ""),
            "const_spec": Binder("name", ""),
            "var_spec": Binder("name", ""),
        },
    ),
    "rust": Grammar(
        "tree_sitter_rust",
        rules={
            "function_item": _FUNCTION,
            "function_signature_item": _FUNCTION,
            "struct_item": Rule("class"),
            "union_item": Rule("class"),
            "enum_item": _TYPE,
            "type_item": _TYPE,
            "associated_type": _TYPE,
            "trait_item": _CLASS,
            "impl_item": Rule("class", "type", "body", defines=False),
            "mod_item": Rule("module", body="body", defines=False),
            "macro_definition": _FUNCTION,
            "const_item": Rule("module"),
            "static_item": Rule("module"),
        },
        comments=_types("line_comment block_comment"),
        attached=_types("attribute_item"),
        opened={"foreign_mod_item": "body"},
    ),
    "c": Grammar("tree_sitter_c", rules=_C_RULES, binders=_C_BINDERS, opened=_C_OPENED),
    "cpp": Grammar(
        "tree_sitter_cpp",
        rules={
            **_C_RULES,
            "class_specifier": Rule("class", needs_body=True, body="body"),
            "struct_specifier": Rule("class", needs_body=True, body="body"),
            "namespace_definition": Rule("module", body="body", defines=False),
            "alias_declaration": _TYPE,
            "concept_definition": _TYPE,
        },
        binders=_C_BINDERS,
        wrappers=_types("template_declaration"),
        opened={**_C_OPENED, "export_declaration": ""},
    ),
    "csharp": Grammar(
        "tree_sitter_c_sharp",
        rules={
            "namespace_declaration": Rule("module", body="body", defines=False),
            "class_declaration": _CLASS,
            "struct_declaration": _CLASS,
            "record_declaration": _CLASS,
            "record_struct_declaration": _CLASS,
            "interface_declaration": _CLASS,
            "enum_declaration": _CLASS,
            "method_declaration": _FUNCTION,
            "constructor_declaration": _FUNCTION,
            "destructor_declaration": _FUNCTION,
            "operator_declaration": Rule("function", "operator"),
            "conversion_operator_declaration": Rule("function", "type"),
            "indexer_declaration": Rule("function", ""),
            "property_declaration": _FUNCTION,
            "event_declaration": _FUNCTION,
            "delegate_declaration": _TYPE,
            "local_function_statement": _FUNCTION,
        },
        binders={"variable_declarator": Binder(), "enum_member_declaration": Binder("name", "")},
        opened={
            "preproc_if": "",
            "preproc_else": "",
            "preproc_elif": "",
            "preproc_region": "",
            "global_statement": "",
        },
    ),
    "ruby": Grammar(
        "tree_sitter_ruby",
        rules={
            "module": Rule("module", body="body"),
            "class": _CLASS,
            "singleton_class": Rule("class", "", "body", defines=False),
            "method": _FUNCTION,
            "singleton_method": _FUNCTION,
            "alias": Rule("function"),
        },
        binders={"assignment": Binder("left", "right")},
        opened={
            "call": "block/body,@argument_list",
            "if": "",
            "unless": "",
            "then": "",
            "else": "",
            "elsif": "",
            "begin": "",
            "rescue": "",
        },
        functions=_types("lambda"),
    ),
    "php": Grammar(
        "tree_sitter_php",
        "language_php",
        rules={
            "class_declaration": _CLASS,
            "interface_declaration": _CLASS,
            "trait_declaration": _CLASS,
            "enum_declaration": _CLASS,
            "method_declaration": _FUNCTION,
            "function_definition": _FUNCTION,
            "namespace_definition": Rule("module", body="body", defines=False, needs_body=True),
        },
        binders={
            "const_element": Binder("@name", ""),
            "property_element": Binder("name", ""),
            "enum_case": Binder("name", ""),
        },
        opened={"if_statement": "", "compound_statement": "", "else_clause": ""},
    ),
    "swift": Grammar(
        "tree_sitter_swift",
        rules={
            "class_declaration": Rule("class", "name", "body", reopens="@extension"),
            "protocol_declaration": _CLASS,
            "function_declaration": _FUNCTION,
            "protocol_function_declaration": _FUNCTION,
            "init_declaration": Rule("function", "@init"),
            "deinit_declaration": Rule("function", "@deinit"),
            "subscript_declaration": Rule("function", "@subscript"),
            "typealias_declaration": _TYPE,
            "associatedtype_declaration": _TYPE,
            "macro_declaration": Rule("function", "@simple_identifier"),
        },
        binders={
            "property_declaration": Binder("name/bound_identifier,name", ""),
            "protocol_property_declaration": Binder("name/bound_identifier", ""),
            "enum_entry": Binder("name", ""),
        },
        comments=_types("comment multiline_comment"),
        opened={"if_config": "", "diagnostic": ""},
    ),
    "scala": Grammar(
        "tree_sitter_scala",
        rules={
            "class_definition": _CLASS,
            "object_definition": _CLASS,
            "trait_definition": _CLASS,
            "enum_definition": _CLASS,
            "package_object": _CLASS,
            "given_definition": Rule("class", "name,return_type", "body"),
            "extension_definition": Rule("class", "parameters/@parameter/type", "body", defines=False),
            "package_clause": Rule("module", body="body", defines=False, needs_body=True),
            "function_definition": _FUNCTION,
            "function_declaration": _FUNCTION,
            "type_definition": _TYPE,
        },
        binders={
            "val_definition": Binder("pattern", "value"),
            "var_definition": Binder("pattern", "value"),
            "val_declaration": Binder("name", ""),
            "var_declaration": Binder("name", ""),
            "simple_enum_case": Binder("name", ""),
            "full_enum_case": Binder("name", ""),
        },
        comments=_types("comment block_comment"),
        functions=_types("lambda_expression"),
    ),
    "lua": Grammar(
        "tree_sitter_lua",
        rules={"function_declaration": _FUNCTION},
        binders={
            "assignment_statement": Binder("@variable_list/name", "@expression_list/value"),
            "variable_declaration": Binder("@variable_list/name", ""),
            "field": Binder(),
        },
        opened={"if_statement": "", "do_statement": "@block", "block": ""},
        functions=_types("function_definition"),
        objects={"table_constructor": ""},
    ),
    "bash": Grammar(
        "tree_sitter_bash",
        rules={"function_definition": _FUNCTION},
        binders={"variable_assignment": Binder()},
        opened={"if_statement": "", "else_clause": "", "elif_clause": "", "compound_statement": ""},
    ),
    "haskell": Grammar(
        "tree_sitter_haskell",
        rules={
            "signature": Rule("function", "name,@binding_list/@variable", joins=True),
            "function": Rule("function", "name,@infix/operator,@infix/@infix_id", joins=True),
            "bind": Rule("function", "name", joins=True),
            "data_type": Rule("type", "name"),
            "newtype": _TYPE,
            "type_synonym": Rule("type", "name,@infix/operator"),
            "type_family": _TYPE,
            "data_family": _TYPE,
            "kind_signature": Rule("type", joins=True),
            "pattern_synonym": Rule("function", "@equation/synonym,@signature/synonym", joins=True),
            "class": Rule("class", "name", "declarations"),
            "instance": Rule("class", "patterns,name", "declarations", defines=False),
            "foreign_import": Rule("function", "@signature/name"),
        },
        comments=_types("comment haddock"),
        attached=_types("pragma"),
        flat=_types("imports declarations"),
    ),
    "elixir": Grammar(
        "tree_sitter_elixir",
        calls="call",
        keywords={
            **dict.fromkeys(
                ("defmodule", "defprotocol"), Rule("module", "@arguments/@alias|dot", "@do_block")
            ),
            "defimpl": Rule("module", "@arguments/@alias|dot", "@do_block", defines=False),
            **dict.fromkeys(
                "def defp defmacro defmacrop defguard defguardp defdelegate defn defnp".split(),
                Rule("function", "@arguments/@call|identifier|binary_operator", joins=True),
            ),
        },
        annotations=_types("doc spec impl deprecated since typedoc callback_doc dialyzer tag"),
        opened={"call": "@do_block"},
    ),
    "zig": Grammar(
        "tree_sitter_zig",
        rules={"function_declaration": _FUNCTION, "test_declaration": Rule("function", "")},
        binders={
            "variable_declaration": Binder(
                "@identifier", "@struct_declaration|enum_declaration|union_declaration|opaque_declaration"
            ),
            "container_field": Binder("name", ""),
        },
        objects=dict.fromkeys(
            "struct_declaration enum_declaration union_declaration opaque_declaration".split(), ""
        ),
    ),
}


@cache
def parser_for(language: str) -> Parser:
    """The parser of a language in GRAMMARS; the first call imports the grammar."""
    from tree_sitter import Language, Parser

    grammar = GRAMMARS[language]
    module = importlib.import_module(grammar.module)
    return Parser(Language(getattr(module, grammar.entry)()))


def parse(language: str, data: bytes) -> Tree | None:
    """The tree of `data`, None when parsing takes far longer than any code does.

    Some grammars answer a few KB of nonsense (`a<a<a<...` in C#) with gigabytes of parser states.
    """
    parser = parser_for(language)
    if len(data) < UNLIMITED_BYTES:
        with _parsing:
            return parser.parse(data)
    if language in _ANGLES_EXPLODE:
        shifts = 2 * data.count(b"<<") + data.count(b"<=")
        if data.count(b"<") - shifts - data.count(b">") > MAX_OPEN_ANGLES:
            return None
    with _parsing:
        return _limited(parser, data)


def _limited(parser: Parser, data: bytes) -> Tree | None:
    deadline = thread_time() + PARSE_SECONDS + PARSE_SECONDS_PER_BYTE * len(data)
    parser.reset()
    try:
        return parser.parse(
            lambda offset, _: data[offset : offset + _SLICE_BYTES],
            progress_callback=lambda _offset, _error: thread_time() > deadline,
        )
    except ValueError:  # stopped by the callback
        parser.reset()
        return None


@cache
def _compiled(path: str) -> tuple[tuple[tuple[bool, frozenset[str], str], ...], ...]:
    return tuple(
        tuple(
            (step.startswith("@"), frozenset(step[1:].split("|")) if step[0] == "@" else frozenset(), step)
            for step in alternative.split("/")
        )
        for alternative in path.split(",")
        if alternative
    )


def follow(node: Node, path: str) -> Node | None:
    """The descendant of `node` that `path` leads to, None where it leads nowhere."""
    for alternative in _compiled(path):
        current: Node | None = node
        for by_type, types, step in alternative:
            if by_type:
                current = next((child for child in current.children if child.type in types), None)  # type: ignore[union-attr]
            elif step[0] == "~":
                current = _innermost(current, step[1:])  # type: ignore[arg-type]
            else:
                current = current.child_by_field_name(step)  # type: ignore[union-attr]
            if current is None:
                break
        if current is not None:
            return current
    return None


def _innermost(node: Node, name: str) -> Node | None:
    """Follows the field `name` to its end; None where a declaration declares nothing."""
    found = None
    for _ in range(32):
        inner = node.child_by_field_name(name)
        if inner is None:
            # reference_declarator and parenthesized_declarator hold theirs without a field
            if found is None or not found.type.endswith("_declarator") or not node.named_children:
                return found
            inner = node.named_children[0]
        found = node = inner
    return found
