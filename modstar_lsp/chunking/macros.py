"""C-like source -> the same rows and columns without the macros that hide a definition from a parser.

Without expanding them a parser takes `class EXPORT_API Lamp : Base` for a function, and `TEST(Lamp, Shines)`
for one called TEST. What is put over a macro has its length, so every node stands where it stood. Only the
name decides what is a macro (capitals), and only in places where nothing else is likely.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MACRO = rb"[A-Z_][A-Z0-9_]{2,}"
_C_STRING = rb'"(?:[^"\\\n]|\\.)*"'
_ARGUMENTS = rb"\((?:[^(){};\"]|" + _C_STRING + rb"|\((?:[^(){};\"]|" + _C_STRING + rb"){0,500}\)){0,1000}\)"

# `class EXPORT_API Lamp {`, `struct __attribute__((packed)) Lamp : Base`: not `struct LAMP *lamp;`.
_EXPORTED = re.compile(
    rb"\b(?:class|struct|union|enum(?:\s+class|\s+struct)?|namespace)\b"
    rb"((?:\s+(?:\[\[[^\]\n]*\]\]|(?:" + _MACRO + rb"|__\w+|alignas)(?:[ \t]*" + _ARGUMENTS + rb")?))+)"
    rb"\s+[A-Za-z_][\w:]*(?:\s*<[^<>{};]{0,200}>)?(?=\s*(?:final\b\s*)?(?:\{|:(?!:)))"
)
# `PXR_NAMESPACE_OPEN_SCOPE`, `Q_PROPERTY(...)`: a line without a semicolon, and not the type of a function
# whose name is on the next.
_DIRECTIVE_LINE = re.compile(
    rb"^[ \t]*(?!_+$)" + _MACRO + rb"(?:[ \t]*" + _ARGUMENTS + rb"(?!\s*/))?[ \t]*$"
    rb"(?=\s*(?:" + _MACRO + rb"\b|(?![^\n;{]*\)\s*$)[\w~#\[@/]))",
    re.M,
)
# `SYSCALL_DEFINE3(read, ...) {`, `TEST(Lamp, Shines) {`. Indented, it is more often a loop.
_MACRO_FUNCTION = re.compile(
    rb"^(?:("
    + _MACRO
    + rb")|[ \t]+((?:[A-Z0-9]+_)*TEST(?:_[A-Z0-9]+)*))[ \t]*("
    + _ARGUMENTS
    + rb")(?=\s*\{)",
    re.M,
)
# `DEFINE_MUTEX(lock);`
_VARIABLE = re.compile(
    rb"^(?:static[ \t]+)?((?:[A-Z0-9]+_)*DEFINE_\w+[ \t]*\()[ \t]*[A-Za-z_]\w*("
    + rb"[^;{}]{0,300}\))(?=[ \t]*;)",
    re.M,
)
# `typedef NS_ENUM(NSInteger, Colour) {`
_ENUM = re.compile(
    rb"\b(typedef\s+NS_(?:CLOSED_)?(?:ENUM|OPTIONS)\s*\([^,()]{0,100},\s*)[A-Za-z_]\w*(\s*\))(?=\s*\{)"
)
_ARGUMENT = re.compile(_C_STRING + rb"|[A-Za-z_][\w:]*")
# Macros whose first argument is the suite of the second.
_SUITES = re.compile(rb"TEST|BENCHMARK|FUZZ")
# How the line before a statement ends, or begins.
_ENDS = (b";", b"{", b"}", b":", b">", b")", b"*/")
_BEGINS = (b"//", b"#", b"*", b"/*")
_BEFORE_BYTES = 200
_LONE = re.compile(_MACRO)
_NOT_BLANK = re.compile(rb"[^\s]")


class Named(NamedTuple):
    """What a macro defines, and the byte at which the source says so."""

    scope: str
    name: str
    start: int


def without_macros(data: bytes) -> tuple[bytes, dict[int, Named]]:
    """`data` with the macros written over, and what the functions are called that now stand at a byte."""
    written = bytearray(data)
    names: dict[int, Named] = {}
    for match in _EXPORTED.finditer(data):
        written[match.start(1) : match.end(1)] = _blank(match[1])
    for match in _ENUM.finditer(data):
        written[match.start(1) : match.end(1)] = b"enum" + _blank(match[1][4:])
        written[match.start(2) : match.end(2)] = _blank(match[2])
    for match in _MACRO_FUNCTION.finditer(data):
        group = 1 if match[1] else 2
        first, end = match.start(group), match.end()
        named = _named(match[group], match[3], match.start(3))
        if named is None or end - first < len("int f()") or not _is_statement(data, first):
            continue
        head = b"void f(" if end - first > len("int f()") else b"int f("
        written[first : end - 1] = head + _blank(data[first + len(head) : end - 1])
        names[first + len(head) - 2] = named
    for match in _VARIABLE.finditer(data):
        written[match.start(1) : match.end(1)] = b"int".ljust(len(match[1]))
        written[match.start(2) : match.end(2)] = _blank(match[2])
    for match in _DIRECTIVE_LINE.finditer(data):
        if _is_statement(data, match.start()):
            written[match.start() : match.end()] = _blank(match[0])
    return bytes(written), names


def _named(macro: bytes, arguments: bytes, start: int) -> Named | None:
    found = list(_ARGUMENT.finditer(arguments))
    if not found:
        return None
    name, scope = found[0], ""
    if len(found) > 1 and _SUITES.search(macro) and found[0][0][:1] != b'"' and found[1][0][:1] != b'"':
        name, scope = found[1], found[0][0].decode("utf-8", "replace")
    text = " ".join(name[0].decode("utf-8", "replace").strip('"').split())
    return Named(scope, text[:100], start + name.start()) if text else None


def _is_statement(data: bytes, first: int) -> bool:
    """Whether a statement may begin at byte `first`."""
    before = data[max(0, first - _BEFORE_BYTES) : first].rstrip()
    line = before[before.rfind(b"\n") + 1 :].lstrip()
    return not line or line.endswith(_ENDS) or line.startswith(_BEGINS) or _LONE.fullmatch(line) is not None


def _blank(text: bytes) -> bytes:
    return _NOT_BLANK.sub(b" ", text)
