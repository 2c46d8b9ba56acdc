"""Every name that a chunk defines comes with the line on which its definition writes it."""

from __future__ import annotations

import re

import pytest
from code_samples import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file, sizes
from modstar_lsp.chunking.lines import TextRows


def assert_named_where_they_stand(path: str, text: str) -> None:
    rows = TextRows(text)
    for chunk in chunk_file(path, text):
        assert len(chunk.symbol_lines) == len(chunk.symbols)
        for symbol, line in zip(chunk.symbols, chunk.symbol_lines, strict=True):
            assert chunk.start_line <= line <= chunk.end_line
            parts = [part for part in re.split(r"[^\w+=~]+", symbol) if part]
            assert parts[-1] in rows.slice(line - 1, line)


@pytest.mark.parametrize("path", SAMPLES)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("longest", [60, 300, 1_500])
def test_the_line_of_a_symbol_holds_its_name(
    path: str, ending: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAX_CHARS", longest)
    assert_named_where_they_stand(path, SAMPLES[path].replace("\n", ending))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 2000), st.sampled_from(["{", "\n\n", "'", "(", "x"]))
def test_the_lines_of_symbols_of_broken_code_are_within_their_chunk(path: str, at: int, junk: str) -> None:
    text = SAMPLES[path]
    for chunk in chunk_file(path, text[:at] + junk + text[at:]):
        assert all(chunk.start_line <= line <= chunk.end_line for line in chunk.symbol_lines)


def test_a_docstring_that_says_the_name_is_not_its_line() -> None:
    text = (
        '# isOpen and open\nclass Box:\n    """isOpen, open."""\n\n    def isOpen(self): ...\n\n'
        "    def open(self): ...\n"
    )
    (chunk,) = chunk_file("a.py", text)
    assert dict(zip(chunk.symbols, chunk.symbol_lines, strict=True)) == {
        "Box": 2,
        "Box.isOpen": 5,
        "Box.open": 7,
    }


def test_a_definition_below_a_long_comment_belongs_to_the_part_with_its_name() -> None:
    text = "# " + "\n# ".join(["words " * 20] * 20) + "\ndef f(a):\n" + "    a += 1\n" * 100
    first, *parts = chunk_file("a.py", text)
    assert (first.name, first.symbols) == ("f", ())
    (named,) = (part for part in parts if part.symbols)
    assert (named.symbols, named.symbol_lines) == (("f",), (21,))


def test_a_scala_method_begins_on_its_own_line_below_one_without_braces() -> None:
    long = "    a.toString\n" * 120
    one = "  def one(a: Int): Int =\n    a\n\n"
    text = f"object A {{\n{one}  def two(\n    a: Int,\n  ): Int = {{\n{long}  }}\n}}\n"
    starts = {chunk.name: chunk.start_line for chunk in reversed(chunk_file("a.scala", text))}
    assert starts["two"] == 5
