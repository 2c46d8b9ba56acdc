"""A notebook's cells are code and prose, and lead to the lines of the file."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file
from modstar_lsp.chunking.notebook import shown_line


def notebook(*cells: tuple[str, str], indent: int | None = 1, whole: bool = False) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": kind,
                    "metadata": {"secret": "metadata words"},
                    "outputs": [{"text": ["output words\n"], "data": {"image/png": "iVBOR"}}],
                    "source": source if whole else source.splitlines(keepends=True),
                }
                for kind, source in cells
            ],
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
        },
        indent=indent,
    )


CODE = '%matplotlib inline\nimport numpy as np\n\n\ndef smooth(values, "ß"):\n    return "a\\n"\n'.replace(
    '"ß"', "width"
)


def test_cells_are_code_and_prose_under_their_number() -> None:
    text = notebook(
        ("markdown", "# Smoothing\n\nWhy it is done."), ("code", CODE), ("code", "smooth([1], 2)")
    )
    prose, code, call = chunk_file("a.ipynb", text)
    assert (prose.kind, prose.name, prose.scope) == ("section", "Smoothing", "cell 1")
    assert (code.kind, code.name, code.scope, code.symbols) == ("function", "smooth", "cell 2", ("smooth",))
    assert code.text == CODE
    assert (call.name, call.text) == ("cell 3", "smooth([1], 2)")


def test_lines_are_those_of_the_file() -> None:
    text = notebook(("markdown", "# Smoothing"), ("code", CODE))
    (_, code) = chunk_file("a.ipynb", text)
    lines = text.split("\n")
    assert "matplotlib" in lines[code.start_line - 1]
    assert "return" in lines[code.end_line - 1]
    assert lines[code.symbol_lines[0] - 1].strip() == '"def smooth(values, width):\\n",'
    assert [shown_line(line) for line in lines[code.start_line - 1 : code.end_line]] == CODE.split("\n")[:-1]


def test_outputs_and_metadata_are_not_searched() -> None:
    chunks = chunk_file("a.ipynb", notebook(("code", "x = 1\n")))
    assert [chunk.text for chunk in chunks] == ["x = 1\n"]


def test_a_cell_on_one_line_of_the_file_is_read_too() -> None:
    text = notebook(("code", CODE), ("code", "y = 1\n\n\ndef late():\n    pass\n"), indent=None, whole=True)
    first, second = chunk_file("a.ipynb", text)
    assert (first.symbols, second.symbols, second.start_line, second.end_line) == (
        ("smooth",),
        ("late", "y"),
        1,
        1,
    )


def test_a_cell_of_another_language_is_text() -> None:
    (chunk,) = chunk_file("a.ipynb", notebook(("code", "%%bash\nls -l\n")))
    assert (chunk.kind, chunk.text) == ("text", "%%bash\nls -l\n")


def test_what_is_no_notebook_is_text() -> None:
    (chunk,) = chunk_file("a.ipynb", '{"broken": [')
    assert chunk.kind == "text"


def test_a_line_without_a_string_is_shown_as_it_is() -> None:
    assert [shown_line(line) for line in (' "cells": [', "  {", '   "source": ["x = 1"]', "")] == [
        ' "cells": [',
        "  {",
        "x = 1",
        "",
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["code", "markdown", "raw"]), st.text(max_size=60)), max_size=5),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_every_word_of_a_cell_is_in_a_chunk_within_the_file(
    cells: list[tuple[str, str]], indent: int | None, whole: bool
) -> None:
    text = notebook(*cells, indent=indent, whole=whole)
    chunks = chunk_file("a.ipynb", text)
    if not any(source.strip() for _, source in cells):
        return
    said = "".join(chunk.text for chunk in chunks).split()
    for _, source in cells:
        assert all(word in said or any(word in other for other in said) for word in source.split())
    assert all(1 <= chunk.start_line <= chunk.end_line <= text.count("\n") + 1 for chunk in chunks)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from('{}[],:" \\n"cells"source"'), max_size=80), st.integers(0, 300))
def test_damaged_notebooks_are_read(junk: str, at: int) -> None:
    text = notebook(("code", CODE))
    chunk_file("a.ipynb", text[:at] + junk + text[at:])
    chunk_file("a.ipynb", junk)
