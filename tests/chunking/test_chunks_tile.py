"""Whatever state code is in, its chunks are exactly its lines, each line in one chunk."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from code_samples import SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import Chunk, chunk_file, embedded_text, language_of, outline
from modstar_lsp.chunking.grammars import GRAMMARS
from modstar_lsp.chunking.sizes import MAX_CHARS, SIGNATURE_CHARS

KINDS = {"function", "method", "class", "type", "module"}
JUNK = [
    *"{}()[]<>;:,'\"`#@|\\\t\f\v\0\x1c\x85\u2028\u2029\ufeff",
    "😀",
    "\r",
    "\n",
    "\r\n",
    "\n\n\n",
    "/*",
    "*/",
    '"""',
    "<<EOF\n",
    "end\n",
    "class ",
    "\ud800",
]


def assert_tiles(path: str, text: str) -> list[Chunk]:
    chunks = chunk_file(path, text)
    if not text.strip():
        assert chunks == []
        return chunks
    assert "".join(chunk.text for chunk in chunks) == text
    line = 1
    for chunk in chunks:
        assert chunk.start_line == line
        assert chunk.end_line >= chunk.start_line
        line = chunk.end_line + 1
        # damage may turn code into what has no grammar, where languages share an ending
        assert chunk.kind in KINDS or language_of(path, text) not in GRAMMARS
        assert not re.search(r"[\r\n]", chunk.name + chunk.scope + chunk.signature)
        assert len(chunk.signature) <= SIGNATURE_CHARS
        assert all(chunk.symbols)
        assert len(set(chunk.symbols)) == len(chunk.symbols)
    assert line - 1 == len(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text))
    return chunks


@pytest.mark.parametrize("path", SAMPLES)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_language_tiles_with_every_line_end(path: str, ending: str) -> None:
    text = SAMPLES[path].replace("\n", ending)
    chunks = assert_tiles(path, text)
    plain = chunk_file(path, SAMPLES[path])
    assert [(c.start_line, c.end_line, c.name, c.symbols) for c in chunks] == [
        (c.start_line, c.end_line, c.name, c.symbols) for c in plain
    ] or ending == "\r\n"  # its longer lines may cross a size border


@pytest.mark.parametrize("path", SAMPLES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_code_tiles(path: str, data: st.DataObject) -> None:
    text = SAMPLES[path]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 7, 60, 400]))
        junk = data.draw(st.sampled_from(["", *JUNK])) * data.draw(st.sampled_from([1, 1, 40]))
        text = text[:at] + junk + text[at + length :]
    assert_tiles(path, text)


@settings(max_examples=60, deadline=None)
@given(
    path=st.sampled_from(sorted(SAMPLES)),
    text=st.lists(st.sampled_from([*JUNK, "a", " ", "="]), max_size=200).map("".join),
)
def test_noise_tiles(path: str, text: str) -> None:
    assert_tiles(path, text)


@pytest.mark.parametrize("path", SAMPLES)
def test_code_without_a_final_line_end_tiles(path: str) -> None:
    assert_tiles(path, SAMPLES[path].rstrip())


def test_blank_files_have_no_chunks() -> None:
    assert chunk_file("a.py", "") == chunk_file("a.md", "\n \n") == chunk_file("a.txt", "\r\n\t") == []


def test_lines_end_as_in_an_editor() -> None:
    text = "a = '\u2028\x85\x0c\x1c'\n\fb = 2\rc = 3\r\nd = 4"
    (chunk,) = chunk_file("a.py", text)
    assert (chunk.start_line, chunk.end_line, chunk.text) == (1, 4, text)


def test_long_definitions_are_split_into_parts_below_the_limit() -> None:
    body = "".join(f"    total += {name!r} * {name}\n" for name in (f"value_{i}" for i in range(400)))
    chunks = assert_tiles("a.py", f"def add(total):\n{body}    return total\n")
    assert len(chunks) > 5
    assert all(len(chunk.text) <= MAX_CHARS * 5 / 4 for chunk in chunks)  # a few lines may be left over
    assert {(chunk.name, chunk.signature, chunk.kind) for chunk in chunks} == {
        ("add", "def add(total)", "function")
    }
    assert [chunk.symbols for chunk in chunks] == [("add",)] + [()] * (len(chunks) - 1)
    sizes = [len(chunk.text) for chunk in chunks]
    assert min(sizes) > max(sizes) / 2  # parts of about one size


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "x = " + "(" * 30_000),
        ("a.js", "{" * 50_000),
        ("a.js", "var a=" + "[1,{b:c(d)}]," * 30_000),
        ("a.py", "".join("    " * i + f"class A{i}:\n" for i in range(150))),
        ("a.js", "function f(){\n" * 3_000 + "}\n" * 3_000),
        ("a.js", "a" + "\n .then(function(){ return 1 })" * 3_000),
        ("a.py", "x = (1" + "\n + 1" * 20_000 + ")"),
        ("a.cs", "a<" * 60_000),
        ("a.java", "a<" * 60_000),
        ("a.py", "\n" * 100_000 + "x = 1"),
        ("a.c", "}{)(;*&#\"'" * 10_000),
        ("a.rs", "// words\n" * 20_000),
        ("a.c", "DEFINE_X(a,\n" * 60_000),
        ("a.cpp", "class ABC\n" * 60_000),
    ],
    ids=lambda value: value[:12],
)
def test_hostile_code_neither_hangs_nor_fails(path: str, text: str) -> None:
    assert_tiles(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.js", "function outermost(){\n" * 3_000 + "}\n" * 3_000),
        ("a.py", "".join("    " * i + f"class Nested{i}:\n" for i in range(150))),
        ("a.md", "".join("#" * i + f" {'long title ' * 100}\n\n{'words ' * 200}\n\n" for i in range(1, 7))),
    ],
)
def test_a_scope_is_bounded_however_deep(path: str, text: str) -> None:
    chunks = chunk_file(path, text)
    assert all(len(chunk.scope) <= 200 and len(chunk.name) <= 300 for chunk in chunks)
    assert any(chunk.scope.startswith("….") for chunk in chunks)
    assert all(len(found.scope) <= 200 for found in outline(path, text))


def test_what_is_embedded_is_bounded_and_says_where_it_is() -> None:
    (chunk,) = chunk_file("src/app/deep/er/net.py", "class Client:\n    def send(self): ...\n")
    assert embedded_text("src/app/deep/er/net.py", chunk) == f"deep/er/net.py Client\n{chunk.text}"
    (long,) = chunk_file("a.js", "x = '" + "a" * 100_000 + "'")
    assert len(embedded_text("a.js", long)) < 10_000


def test_the_signature_stands_above_a_text_that_does_not_begin_with_it() -> None:
    commented, *parts = chunk_file("a.py", "# why\ndef f(a):\n" + "    a += 1  # and so on\n" * 100)
    assert embedded_text("a.py", commented).startswith("a.py f def f(a)\n# why\n")
    assert embedded_text("a.py", parts[0]).startswith("a.py f def f(a)\n    a += 1")


def test_threads_may_chunk_at_once() -> None:
    text = SAMPLES["a.py"] * 60
    expected = chunk_file("a.py", text)
    with ThreadPoolExecutor(4) as pool:
        assert all(chunks == expected for chunks in pool.map(chunk_file, ["a.py"] * 12, [text] * 12))
