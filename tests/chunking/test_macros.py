"""A macro hides no definition of C and C++, and gives none a wrong name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file, sizes
from modstar_lsp.chunking.macros import without_macros


@pytest.fixture
def nothing_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MERGE_CHARS", "SLIVER_CHARS", "HEADER_CHARS"):
        monkeypatch.setattr(sizes, limit, 0)


def defined(path: str, text: str) -> list[str]:
    """`line scope.symbol` of all that a file defines."""
    return [
        f"{line} {chunk.scope}.{symbol}" if chunk.scope else f"{line} {symbol}"
        for chunk in chunk_file(path, text)
        for symbol, line in zip(chunk.symbols, chunk.symbol_lines, strict=True)
    ]


@pytest.mark.usefixtures("nothing_joined")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("class EXPORT_API Lamp : public Base {\n void shine();\n};\n", ["1 Lamp", "2 Lamp.shine"]),
        ("class Q_GUI_EXPORT Lamp {\n int a;\n};\n", ["1 Lamp", "2 Lamp.a"]),
        ("struct API(1)\nLamp final { int a; };\n", ["2 Lamp", "2 Lamp.a"]),
        ("class [[nodiscard]] __attribute__((packed)) Lamp { int a; };\n", ["1 Lamp", "1 Lamp.a"]),
        ("template <class T> class API_X Lamp : B<T> { int a; };\n", ["1 Lamp", "1 Lamp.a"]),
        ("enum class API_X Colour { Red };\n", ["1 Colour", "1 Colour.Red"]),
        (
            "PXR_NAMESPACE_OPEN_SCOPE\n\nclass Stage : B {\n int a;\n};\n\nPXR_CLOSE\n",
            ["3 Stage", "4 Stage.a"],
        ),
        ("NAMESPACE_BEGIN(foo)\nclass Stage { int a; };\nNAMESPACE_END(foo)\n", ["2 Stage", "2 Stage.a"]),
        ("class A {\n Q_OBJECT\n Q_PROPERTY(int a READ b)\npublic:\n int b;\n};\n", ["1 A", "5 A.b"]),
        ("TEST(Lamp, Shines) {\n run();\n}\n", ["1 Lamp.Shines"]),
        ("TEST_F(\n  Lamp,\n  Shines)\n{\n run();\n}\n", ["3 Lamp.Shines"]),
        ('TEST_CASE_TEMPLATE("fog horn", T, int) { run(); }\n', ["1 fog horn"]),
        ("API_X void blast(int n) { beam(n); }\n", ["1 blast"]),
        ('DEFINE_bool(verbose, false, "talk");\n', ["1 verbose"]),
    ],
)
def test_cpp_definitions_have_their_right_names(text: str, names: list[str]) -> None:
    assert defined("a.cpp", text) == names


@pytest.mark.usefixtures("nothing_joined")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SYSCALL_DEFINE3(read, int, fd, char __user *, buf)\n{\n\treturn 1;\n}\n", ["1 read"]),
        ("SYSCALL_DEFINE0(getpid)\n{\n\treturn 1;\n}\n", ["1 getpid"]),
        ("static DEFINE_MUTEX(lock);\n", ["1 lock"]),
        ("struct __packed hdr { int a; };\n", ["1 hdr", "1 hdr.a"]),
        # What looks like a macro and is none.
        ("struct LAMP *find(int a) { return 0; }\n", ["1 find"]),
        ("struct LAMP lamp;\n", ["1 lamp"]),
        ("enum colour {\n RED,\n GREEN\n};\n", ["1 colour", "2 colour.RED", "3 colour.GREEN"]),
        ("STATIC_FN\nblast(int n)\n{\n return n;\n}\n", ["2 blast"]),
        ("int f(int n)\n{\n LIST_FOREACH(n, l) {\n  g();\n }\n return 1;\n}\n", ["1 f"]),
        ("int a = ONE +\n TWO\n + THREE;\n", ["1 a"]),
    ],
)
def test_c_definitions_have_their_right_names(text: str, names: list[str]) -> None:
    assert defined("a.c", text) == names


def test_a_definition_by_macro_shows_its_head_as_written() -> None:
    (chunk,) = chunk_file("a.c", "SYSCALL_DEFINE1(close, int, fd)\n{\n\treturn 1;\n}\n")
    assert (chunk.kind, chunk.signature) == ("function", "SYSCALL_DEFINE1(close, int, fd)")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*'(){};:"\\\n \t', "class ", "ABC", "ABC_D(x, y)", "TEST(a, b)", "DEFINE_X(y)", "é"]
        ),
        max_size=80,
    ).map("".join)
)
def test_what_is_written_over_moves_nothing(text: str) -> None:
    data = text.encode()
    written, names = without_macros(data)
    assert len(written) == len(data)
    assert [byte == 10 for byte in written] == [byte == 10 for byte in data]
    assert all(
        data[named.start :].lstrip(b'"').startswith(named.name[:1].encode()) for named in names.values()
    )
