"""Positions mean the same place to every client, whatever the text is made of and in whatever units."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.server.positions import (
    ENCODINGS,
    Buffer,
    Encoding,
    Lines,
    Span,
    column,
    content,
    split_lines,
    units,
)

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
# Everything that is hard: astral and combining characters, tabs, all line ends, and what only looks like one.
LETTERS = ["a", "b", " ", "\t", "\n", "\r", "\r\n", "ä", "漢", "😀", "👩‍💻", "e\u0301", "\u2028", "\x0b", "\x0c", "\x85", "\ufeff"]  # fmt: skip  # noqa: E501
texts = st.lists(st.sampled_from(LETTERS), max_size=30).map("".join)
encodings = st.sampled_from(ENCODINGS)
numbers = st.integers(-1, 12)
spans = st.tuples(st.tuples(numbers, numbers), st.tuples(numbers, numbers))


def encoded_length(text: str, encoding: Encoding) -> int:
    codec, width = CODECS[encoding]
    return len(text.encode(codec)) // width


@given(texts)
def test_lines_end_where_an_editor_ends_them(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert [content(line) for line in lines] == re.split(r"\r\n|\r|\n", text)


@given(texts, encodings)
def test_units_are_those_of_the_encoding(text: str, encoding: Encoding) -> None:
    assert units(text, encoding) == encoded_length(text, encoding)


@given(texts.map(lambda text: re.sub(r"[\r\n]", "", text)), st.integers(0, 60), encodings)
def test_a_column_is_the_last_character_that_begins_there_or_before(
    line: str, character: int, encoding: Encoding
) -> None:
    begins = [encoded_length(line[:index], encoding) for index in range(len(line) + 1)]
    assert column(line, character, encoding) == max(i for i, begin in enumerate(begins) if begin <= character)


@given(texts, encodings)
def test_every_index_goes_to_a_place_and_back(text: str, encoding: Encoding) -> None:
    lines = Lines(text)
    for offset in range(len(text) + 1):
        inside_line_end = text[offset - 1 : offset + 1] == "\r\n" and offset
        expected = offset - 1 if inside_line_end else offset
        assert lines.offset(lines.position(offset, encoding), encoding) == expected


@given(texts, st.tuples(numbers, numbers), encodings)
def test_any_place_at_all_is_brought_into_the_text(
    text: str, place: tuple[int, int], encoding: Encoding
) -> None:
    lines = Lines(text)
    offset = lines.offset(place, encoding)
    assert 0 <= offset <= len(text)
    assert lines.offset(lines.position(offset, encoding), encoding) == offset


@given(texts, st.integers(-2, 40), st.integers(-2, 40), encodings)
def test_a_chunk_found_in_an_older_text_lies_within_the_present_one(
    text: str, first: int, last: int, encoding: Encoding
) -> None:
    lines = Lines(text)
    for start, end in (lines.whole(first, last, encoding), lines.named(first, last, "ab", encoding)):
        assert start <= end
        for line, character in (start, end):
            assert 0 <= line < lines.count
            assert 0 <= character <= encoded_length(content(lines.lines[line]), encoding)


@given(texts, encodings)
def test_whole_lines_hold_their_text_without_the_last_end(text: str, encoding: Encoding) -> None:
    lines = Lines(text)
    start, end = lines.whole(1, lines.count, encoding)
    assert text[lines.offset(start, encoding) : lines.offset(end, encoding)] == text
    if lines.count > 1:
        start, end = lines.whole(2, 2, encoding)
        assert text[lines.offset(start, encoding) : lines.offset(end, encoding)] == content(lines.lines[1])


@given(texts, texts, encodings)
def test_the_place_of_a_name_holds_that_name(before: str, after: str, encoding: Encoding) -> None:
    text = f"{before} fetch_page({after}"
    lines = Lines(text)
    start, end = lines.named(1, lines.count, "fetch_page", encoding)
    assert text[lines.offset(start, encoding) : lines.offset(end, encoding)] == "fetch_page"


def test_a_name_is_looked_for_where_it_is_defined() -> None:
    lines = Lines("# send: see below\n@send.wraps\ndef send(x):\n    return resend(x)\n")
    assert lines.named(1, 4, "send", "utf-16") == ((2, 4), (2, 8))
    assert lines.named(1, 4, "missing", "utf-16") == ((0, 0), (0, 17))


@given(texts, st.lists(st.tuples(st.none() | spans, texts), max_size=12), encodings)
def test_edits_do_to_lines_what_they_do_to_a_string(
    text: str, edits: list[tuple[Span | None, str]], encoding: Encoding
) -> None:
    buffer = Buffer(text)
    for span, new in edits:
        if span is None:
            text = new
        else:
            start, end = sorted(Lines(text).offset(place, encoding) for place in span)
            text = text[:start] + new + text[end:]
        buffer.replace(span, new, encoding)
        assert buffer.whole_text == text
        assert buffer.lines == split_lines(text)
