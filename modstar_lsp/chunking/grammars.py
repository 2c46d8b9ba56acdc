"""What a definition looks like in each language: one declarative table per grammar.

Paths in these tables lead from a node to a descendant. Steps are separated by "/": a field name, or
"@type|type" for the first child of such a type, "$type|type" for the last, "^type|type" for the very first
child if it is of such a type, "." for the node itself. Alternatives are separated by "," and tried in order.
"~declarator" follows a field as long as it goes (C declarators nest).

A grammar is imported and its parser made when the first file of that language is chunked. All grammars
are compiled into wheels; nothing is ever downloaded or built at run time.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from time import thread_time
from typing import TYPE_CHECKING

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

# CPU time that a parse may take; sound code needs .05 to .4 s/MB, mutilated code up to 5 s/MB.
PARSE_SECONDS = 0.3
PARSE_SECONDS_PER_BYTE = 3e-6
# Memory by which a parse may raise the peak of the process; sound code takes 25 to 50 bytes for each of its
# own. Where the system does not tell it, time alone is the limit.
PARSE_MEMORY = 64 << 20
PARSE_MEMORY_PER_BYTE = 200
# Shorter sources are parsed without asking the time: at worst they take .1 s and 80 MB.
UNLIMITED_BYTES = 4_000
# In these the memory grows with the square of the open "<", at the very end of the parse, where no callback
# can stop it: 60 MB for so many.
_ANGLES_EXPLODE = frozenset({"java", "csharp"})
MAX_OPEN_ANGLES = 2_000
# While a parser asks for the time another thread may run, and must not use the parser.
_parsing = Lock()
# What a parser reads at once. Some scanners look far ahead and read again from the next token: then every
# read costs a slice, and 1 MB of them took a minute.
_SLICE_BYTES = 4096
# The binding never gives back what its read callback returns, so it is handed this one object every time;
# it has let go of the last view of it when it asks for the next slice.
_slice = bytearray()


@dataclass(frozen=True, slots=True)
class Defines:
    """A node type that defines something.

    kind: as in Chunk. name: path to the node whose text is the name. body: path to the node whose children
    are its members; such a definition is a container. scope: path to a name that encloses it although it
    is not around it (Go's receiver). defines: False where the container only reopens a name (impl,
    namespace). joins: consecutive nodes of one name are one definition (equations, clauses).
    needs_body, needs_name: without it the node is an ordinary statement. binds: it may define several names.
    reopens: path that exists where the node reopens a name rather than defines it (extension).
    """

    kind: str
    name: str = "name"
    body: str = ""
    scope: str = ""
    defines: bool = True
    joins: bool = False
    needs_body: bool = False
    needs_name: bool = False
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
    rules: Mapping[str, Defines] = field(default_factory=dict)
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
    keywords: Mapping[str, Defines] = field(default_factory=dict)  # callee -> rule
    annotations: frozenset[str] = frozenset()  # callees of `@name ...` statements that attach to what follows
    flat: frozenset[str] = frozenset()  # nodes at the top whose children count in their place
    bodies: frozenset[str] = frozenset()  # siblings that belong to the definition before them
    qualified: bool = True  # names are split at ".", "::" and the like
    entries: Mapping[str, str] = field(default_factory=dict)  # end of a file's name -> entry for such files


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CLASS = Defines("class", body="body")
_FUNCTION = Defines("function")
_TYPE = Defines("type")

_JAVASCRIPT_RULES: dict[str, Defines] = {
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
        "function_signature": Defines("function", joins=True),
        "method_signature": Defines("function", joins=True),
        "abstract_method_signature": _FUNCTION,
        "internal_module": Defines("module", body="body", defines=False),
        "module": Defines("module", body="body", defines=False),
    },
    binders={**_JAVASCRIPT_BINDERS, "property_signature": Binder()},
    attached=_types("decorator"),
    wrappers=_types("export_statement ambient_declaration expression_statement"),
    opened={**_JAVASCRIPT_OPENED, "ambient_declaration": "@statement_block"},
    functions=_JAVASCRIPT_FUNCTIONS,
    objects=_JAVASCRIPT_OBJECTS,
)

_C_RULES: dict[str, Defines] = {
    "function_definition": Defines("function", name="~declarator"),
    "struct_specifier": Defines("type", needs_body=True, body="body"),
    "union_specifier": Defines("type", needs_body=True, body="body"),
    "enum_specifier": Defines("type", needs_body=True, body="body"),
    "type_definition": Defines("type", name="~declarator"),
    "preproc_def": Defines("module"),
    "preproc_function_def": Defines("function"),
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

# struct A{T} <: B
_JULIA_TYPE = (
    "@type_head/^identifier,@type_head/^parametrized_type_expression/^identifier,"
    "@type_head/^binary_expression/^identifier,"
    "@type_head/^binary_expression/^parametrized_type_expression/^identifier"
)
# f(x), f(x)::T, f(x) where T, f(x)::T where T
_JULIA_CALLED = "^call_expression/^identifier|field_expression|operator"
_JULIA_SIGNATURE = ",".join(
    f"@signature/{around}{_JULIA_CALLED}"
    for around in ("", "^typed_expression/", "^where_expression/", "^where_expression/^typed_expression/")
)

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
            "class_declaration": Defines(
                "class", "name,@identifier|type_identifier", "@class_body|enum_class_body"
            ),
            "object_declaration": Defines("class", "name,@identifier|type_identifier", "@class_body"),
            "companion_object": Defines(
                "class", "name,@identifier|type_identifier", "@class_body", defines=False
            ),
            "function_declaration": Defines("function", "name,@identifier|simple_identifier"),
            "secondary_constructor": Defines("function", "@constructor"),
            "type_alias": Defines("type", "type,@identifier|type_identifier"),
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
            "type_declaration": Defines("type", "@type_spec|type_alias/name", binds=True),
            "method_declaration": Defines(
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
            "struct_item": Defines("class"),
            "union_item": Defines("class"),
            "enum_item": _TYPE,
            "type_item": _TYPE,
            "associated_type": _TYPE,
            "trait_item": _CLASS,
            "impl_item": Defines("class", "type", "body", defines=False),
            "mod_item": Defines("module", body="body", defines=False),
            "macro_definition": _FUNCTION,
            "const_item": Defines("module"),
            "static_item": Defines("module"),
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
            "class_specifier": Defines("class", needs_body=True, body="body"),
            "struct_specifier": Defines("class", needs_body=True, body="body"),
            "namespace_definition": Defines("module", body="body", defines=False),
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
            "namespace_declaration": Defines("module", body="body", defines=False),
            "class_declaration": _CLASS,
            "struct_declaration": _CLASS,
            "record_declaration": _CLASS,
            "record_struct_declaration": _CLASS,
            "interface_declaration": _CLASS,
            "enum_declaration": _CLASS,
            "method_declaration": _FUNCTION,
            "constructor_declaration": _FUNCTION,
            "destructor_declaration": _FUNCTION,
            "operator_declaration": Defines("function", "operator"),
            "conversion_operator_declaration": Defines("function", "type"),
            "indexer_declaration": Defines("function", ""),
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
            "module": Defines("module", body="body"),
            "class": _CLASS,
            "singleton_class": Defines("class", "", "body", defines=False),
            "method": _FUNCTION,
            "singleton_method": _FUNCTION,
            "alias": Defines("function"),
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
            "namespace_definition": Defines("module", body="body", defines=False, needs_body=True),
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
            "class_declaration": Defines("class", "name", "body", reopens="@extension"),
            "protocol_declaration": _CLASS,
            "function_declaration": _FUNCTION,
            "protocol_function_declaration": _FUNCTION,
            "init_declaration": Defines("function", "@init"),
            "deinit_declaration": Defines("function", "@deinit"),
            "subscript_declaration": Defines("function", "@subscript"),
            "typealias_declaration": _TYPE,
            "associatedtype_declaration": _TYPE,
            "macro_declaration": Defines("function", "@simple_identifier"),
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
            "given_definition": Defines("class", "name,return_type", "body"),
            "extension_definition": Defines("class", "parameters/@parameter/type", "body", defines=False),
            "package_clause": Defines("module", body="body", defines=False, needs_body=True),
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
            "signature": Defines("function", "name,@binding_list/@variable", joins=True),
            "function": Defines("function", "name,@infix/operator,@infix/@infix_id", joins=True),
            "bind": Defines("function", "name", joins=True),
            "data_type": Defines("type", "name"),
            "newtype": _TYPE,
            "type_synonym": Defines("type", "name,@infix/operator"),
            "type_family": _TYPE,
            "data_family": _TYPE,
            "kind_signature": Defines("type", joins=True),
            "pattern_synonym": Defines("function", "@equation/synonym,@signature/synonym", joins=True),
            "class": Defines("class", "name", "declarations"),
            "instance": Defines("class", "patterns,name", "declarations", defines=False),
            "foreign_import": Defines("function", "@signature/name"),
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
                ("defmodule", "defprotocol"), Defines("module", "@arguments/@alias|dot", "@do_block")
            ),
            "defimpl": Defines("module", "@arguments/@alias|dot", "@do_block", defines=False),
            **dict.fromkeys(
                "def defp defmacro defmacrop defguard defguardp defdelegate defn defnp".split(),
                Defines("function", "@arguments/@call|identifier|binary_operator", joins=True),
            ),
        },
        annotations=_types("doc spec impl deprecated since typedoc callback_doc dialyzer tag"),
        opened={"call": "@do_block"},
    ),
    "zig": Grammar(
        "tree_sitter_zig",
        rules={"function_declaration": _FUNCTION, "test_declaration": Defines("function", "")},
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
    "dart": Grammar(
        "tree_sitter_dart",
        rules={
            "class_definition": _CLASS,
            "mixin_declaration": Defines("class", "@identifier", "@class_body"),
            "extension_declaration": _CLASS,
            "enum_declaration": Defines("class", "name", "body"),
            "type_alias": Defines("type", "@type_identifier"),
            **dict.fromkeys(
                "function_signature getter_signature setter_signature".split(),
                _FUNCTION,
            ),
            "constructor_signature": Defines("function", "$identifier"),
            "factory_constructor_signature": Defines("function", "$identifier"),
            "operator_signature": Defines("function", "@binary_operator"),
        },
        binders={
            "static_final_declaration": Binder("@identifier", ""),
            "initialized_identifier": Binder("@identifier", ""),
            "enum_constant": Binder("name", ""),
        },
        comments=_types("comment documentation_comment"),
        attached=_types("annotation"),
        wrappers=_types("method_signature declaration"),
        bodies=_types("function_body"),
    ),
    "julia": Grammar(
        "tree_sitter_julia",
        rules={
            "module_definition": Defines("module", "name", ".", defines=False),
            "struct_definition": Defines("class", _JULIA_TYPE),
            "abstract_definition": Defines("type", _JULIA_TYPE),
            "primitive_definition": Defines("type", _JULIA_TYPE),
            "function_definition": Defines("function", _JULIA_SIGNATURE),
            "macro_definition": Defines("function", _JULIA_SIGNATURE),
            # f(x) = 2x
            "assignment": Defines(
                "function",
                "^call_expression/^identifier|field_expression|operator,"
                "^where_expression/^call_expression/^identifier|field_expression,"
                "^typed_expression/^call_expression/^identifier|field_expression",
                needs_name=True,
            ),
        },
        binders={"assignment": Binder("^identifier", "")},
        comments=_types("line_comment block_comment"),
        attached=_types("string_literal"),  # documentation
        wrappers=_types("macrocall_expression macro_argument_list"),
        opened={"if_statement": "", "block": "", "let_statement": ""},
    ),
    "make": Grammar(
        "tree_sitter_make",
        rules={"rule": Defines("function", "@targets"), "define_directive": Defines("function", "name")},
        binders={"variable_assignment": Binder("name", "")},
        opened={"conditional": "", "else_directive": "", "elsif_directive": ""},
        qualified=False,
    ),
    "nix": Grammar(
        "tree_sitter_nix",
        rules={
            "binding": Defines(
                "function", "attrpath", "expression/@binding_set,expression/@attrset_expression/@binding_set"
            )
        },
        opened={
            "function_expression": "body",
            "let_expression": "",
            "with_expression": "body",
            "assert_expression": "body",
            "apply_expression": "argument",
            "attrset_expression": "",
            "rec_attrset_expression": "",
            "binding_set": "",
        },
    ),
    "objective-c": Grammar(
        "tree_sitter_objc",
        rules={
            **_C_RULES,
            "class_interface": Defines("class", "@identifier", ".", reopens="category"),
            "class_implementation": Defines("class", "@identifier", ".", defines=False),
            "protocol_declaration": Defines("class", "@identifier", "."),
            "method_declaration": Defines("function", "@identifier"),
            "method_definition": Defines("function", "@identifier"),
        },
        binders={**_C_BINDERS, "struct_declarator": Binder("@identifier,@pointer_declarator/declarator", "")},
        wrappers=_types("implementation_definition"),
        opened=_C_OPENED,
    ),
    "ocaml": Grammar(
        "tree_sitter_ocaml",
        "language_ocaml",
        rules={
            "value_definition": Defines(
                "function", "@let_binding/@value_name|parenthesized_operator", needs_name=True, binds=True
            ),
            "value_specification": Defines("function", "@value_name|parenthesized_operator"),
            "external": Defines("function", "@value_name|parenthesized_operator"),
            "type_definition": Defines("type", "@type_binding/name", binds=True),
            "exception_definition": Defines("type", "@constructor_declaration/@constructor_name"),
            "module_definition": Defines(
                "module", "@module_binding/@module_name", "@module_binding/@structure|signature"
            ),
            "module_type_definition": Defines("class", "@module_type_name", "@signature"),
            "class_definition": Defines(
                "class", "@class_binding/@class_name", "@class_binding/@object_expression"
            ),
            "class_type_definition": Defines(
                "class", "@class_type_binding/@class_type_name", "@class_type_binding/@class_body_type"
            ),
            "method_definition": Defines("function", "@method_name"),
            "method_specification": Defines("function", "@method_name"),
        },
        binders={
            "let_binding": Binder("@value_name|parenthesized_operator|tuple_pattern", ""),
            "type_binding": Binder("name", ""),
            "instance_variable_definition": Binder("@instance_variable_name", ""),
        },
        entries={".mli": "language_ocaml_interface"},
    ),
    "powershell": Grammar(
        "tree_sitter_powershell",
        rules={
            "function_statement": Defines("function", "@function_name"),
            "class_statement": Defines("class", "@simple_name", "."),
            "class_method_definition": Defines("function", "@simple_name"),
            "enum_statement": Defines("type", "@simple_name"),
        },
        binders={
            "assignment_expression": Binder("@left_assignment_expression", ""),
            "class_property_definition": Binder("@variable", ""),
        },
        opened={"if_statement": "@statement_block/@statement_list"},
        flat=_types("statement_list"),
    ),
    "solidity": Grammar(
        "tree_sitter_solidity",
        rules={
            "contract_declaration": _CLASS,
            "interface_declaration": _CLASS,
            "library_declaration": _CLASS,
            "struct_declaration": _TYPE,
            "enum_declaration": _TYPE,
            "event_definition": _TYPE,
            "error_declaration": _TYPE,
            "user_defined_type_definition": _TYPE,
            "function_definition": _FUNCTION,
            "modifier_definition": _FUNCTION,
            "constructor_definition": Defines("function", ""),
            "fallback_receive_definition": Defines("function", ""),
        },
        binders={
            "state_variable_declaration": Binder("name", ""),
            "constant_variable_declaration": Binder("name", ""),
        },
    ),
    "sql": Grammar(
        "tree_sitter_sql",
        rules={
            **dict.fromkeys(
                "create_table create_view create_materialized_view create_type create_sequence".split(),
                Defines("type", "@object_reference"),
            ),
            **dict.fromkeys(
                "create_function create_procedure create_trigger".split(),
                Defines("function", "@object_reference"),
            ),
            "create_index": Defines("type", "column"),
            "create_schema": Defines("type", "@identifier"),
        },
        comments=_types("comment marginalia"),
        wrappers=_types("statement"),
    ),
    "terraform": Grammar(
        "tree_sitter_hcl",
        # The name is the last label, `resource "type" "name"`: referred to as type.name.
        rules={
            "block": Defines(
                "type",
                "$string_lit/@template_literal",
                scope="@string_lit/@template_literal",
                needs_name=True,
            )
        },
        binders={"attribute": Binder("@identifier", "")},
        opened={"block": "@body"},  # locals
        flat=_types("body"),
    ),
}


def parser_for(language: str, path: str = "") -> Parser:
    """The parser of a language in GRAMMARS for files like `path`; the first call imports the grammar."""
    grammar = GRAMMARS[language]
    entry = next((entry for end, entry in grammar.entries.items() if path.endswith(end)), grammar.entry)
    return _parser(grammar.module, entry)


@cache
def _parser(module: str, entry: str) -> Parser:
    from tree_sitter import Language, Parser

    return Parser(Language(getattr(importlib.import_module(module), entry)()))


def parse(language: str, data: bytes, path: str = "") -> Tree | None:
    """The tree of `data`, the content of a file like `path`; None when it takes longer than any code does.

    Some grammars answer a few KB of nonsense (`a<a<a<...` in C#) with gigabytes of parser states.
    """
    parser = parser_for(language, path)
    if len(data) < UNLIMITED_BYTES:
        with _parsing:
            return parser.parse(data)
    if language in _ANGLES_EXPLODE:
        shifts = 2 * data.count(b"<<") + data.count(b"<=")
        if data.count(b"<") - shifts - data.count(b">") > MAX_OPEN_ANGLES:
            return None
    with _parsing:
        return _limited(parser, data)


def _peak_memory() -> int:
    """The most memory that this process has held, in bytes; 0 on Windows."""
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


def _limited(parser: Parser, data: bytes) -> Tree | None:
    deadline = thread_time() + PARSE_SECONDS + PARSE_SECONDS_PER_BYTE * len(data)
    most = _peak_memory() + PARSE_MEMORY + PARSE_MEMORY_PER_BYTE * len(data)
    parser.reset()

    def read(offset: int, _point: object) -> bytearray:
        _slice[:] = data[offset : offset + _SLICE_BYTES]
        return _slice

    try:
        return parser.parse(
            read, progress_callback=lambda _offset, _error: thread_time() > deadline or _peak_memory() > most
        )
    except ValueError:  # stopped by the callback
        parser.reset()
        return None


@cache
def _compiled(path: str) -> tuple[tuple[tuple[str, frozenset[str], str], ...], ...]:
    return tuple(
        tuple(
            (step[0], frozenset(step[1:].split("|")) if step[0] in "@$^" else frozenset(), step)
            for step in alternative.split("/")
        )
        for alternative in path.split(",")
        if alternative
    )


def follow(node: Node, path: str) -> Node | None:
    """The descendant of `node` that `path` leads to, None where it leads nowhere."""
    for alternative in _compiled(path):
        current: Node | None = node
        for sort, types, step in alternative:
            if current is None:
                break
            if sort == "@":
                current = next((child for child in current.children if child.type in types), None)
            elif sort == "$":
                current = next((child for child in reversed(current.children) if child.type in types), None)
            elif sort == "^":
                first = current.named_child(0)
                current = first if first is not None and first.type in types else None
            elif sort == "~":
                current = _innermost(current, step[1:])
            elif sort != ".":
                current = current.child_by_field_name(step)
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
