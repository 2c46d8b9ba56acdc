"""An outline names every definition where it stands, whatever state the code is in."""

from __future__ import annotations

import pytest
from code_samples import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file, outline
from modstar_lsp.chunking.lines import TextRows


def assert_in_order(path: str, text: str) -> None:
    last = 0
    for found in outline(path, text):
        assert last < found.start_line <= found.end_line <= TextRows(text).count
        assert found.name
        last = found.end_line


@pytest.mark.parametrize("path", SAMPLES)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_definitions_follow_each_other_in_every_language(path: str, ending: str) -> None:
    assert outline(path, SAMPLES[path])
    assert_in_order(path, SAMPLES[path].replace("\n", ending))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.integers(0, 2000),
    st.integers(0, 200),
    st.sampled_from(["", "{", "\r", "'"]),
)
def test_broken_code_has_an_outline_all_the_same(path: str, at: int, length: int, junk: str) -> None:
    text = SAMPLES[path]
    assert_in_order(path, text[:at] + junk + text[at + length :])


def test_small_neighbours_that_share_a_chunk_are_told_apart() -> None:
    text = "def one():\n    return 1\n\n\n# Says two.\ndef two():\n    return 2\n\n\nLIMIT = 3\n"
    assert len(chunk_file("a.py", text)) == 1
    assert [
        (found.name, found.kind, found.start_line, found.end_line) for found in outline("a.py", text)
    ] == [
        ("one", "function", 1, 2),
        ("two", "function", 5, 7),
    ]


def test_a_member_knows_its_class() -> None:
    long = "        value = compute(value)\n" * 60
    text = (
        f"class Client:\n    '''Talks.'''\n\n    def send(self, value):\n{long}\n    def close(self):\n{long}"
    )
    assert [(found.scope, found.name, found.kind) for found in outline("a.py", text)] == [
        ("", "Client", "class"),
        ("Client", "send", "method"),
        ("Client", "close", "method"),
    ]


@pytest.mark.parametrize(
    ("path", "text"), [("a.md", "# Title\n\nText.\n"), ("a.txt", "x"), ("a.py", " \n"), ("a", "")]
)
def test_what_defines_nothing_has_no_outline(path: str, text: str) -> None:
    assert outline(path, text) == []
