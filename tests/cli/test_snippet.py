"""Which lines stand for a hit, and which words in them are marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.cli.terminal import width_of
from modstar_lsp.printable import clean
from modstar_lsp.search.snippet import Focus, asked_words, defining_line, focus, marks, snippet


def marked(line: str, question: str) -> list[str]:
    return [line[start:end] for start, end in marks(line, asked_words(question))]


def test_words_are_marked_in_any_spelling_and_inflection() -> None:
    assert marked("def parseJson(retries):  # Retry", "parse json retry") == ["parseJson", "retries", "Retry"]
    assert marked("PARSE_JSON = parsed", "parse json") == ["PARSE_JSON", "parsed"]
    assert marked("xparse = rejson", "parse json") == []


def test_function_words_of_a_sentence_are_not_marked() -> None:
    assert marked("for x in the_list: retry(x)", "where in the code do we retry") == ["retry"]


@pytest.mark.parametrize(
    ("lines", "name", "expected"),
    [
        (["# parse a thing", "@cached", "def parse(x):", "    pass"], "parse", 2),
        (["// Parse parses.", "func Parse() {", "}"], "Parse", 1),
        (["/** send */", "public void send() {"], "HTTPAdapter.send", 1),
        (["# only a comment about x"], "x", 0),
        (["a = 1"], "", 0),
        (["nothing here"], "other", 0),
    ],
)
def test_a_definition_begins_below_its_comment(lines: list[str], name: str, expected: int) -> None:
    assert defining_line(lines, name) == expected


def test_the_lines_around_the_rare_words_are_chosen() -> None:
    lines = ["def run(job):", *(f"    step({n})" for n in range(20)), "    retry(job)", "    done()"]
    lines += [f"    step({n})" for n in range(20)]
    words = asked_words("run retry step")
    chosen = snippet(lines, 100, focus(lines, "run", ["run"], words), words, 3)
    assert chosen.numbers[0] == 100
    assert "retry(job)" in "".join(chosen.lines)


def test_of_several_definitions_the_one_asked_for_is_in_focus() -> None:
    lines = [
        "def load(path):",
        "    pass",
        "",
        "# Write a file again.",
        "def save(path, mode):",
        "    retry(path)",
    ]
    found = {
        q: focus(lines, "load", ["load", "save"], asked_words(q)) for q in ("save", "retry", "load", "zebra")
    }
    assert {question: place.symbol for question, place in found.items()} == {
        "save": "save",
        "retry": "save",
        "load": "load",
        "zebra": "load",
    }
    assert found["save"] == Focus("save", 4, 3, 6)
    assert found["load"] == Focus("load", 0, 0, 3)


def test_a_piece_of_a_definition_shows_its_richest_line() -> None:
    lines = ["    step(1)", "    # retry when it failed", "    retry(job)"]
    assert focus(lines, "run", [], asked_words("run failed retry")) == Focus("run", 1, 0, 3)
    lines += ["    def done():", "        pass"]
    assert focus(lines, "run", ["run.done"], asked_words("failed")).symbol == "run"
    assert focus(lines, "run", ["run.done"], asked_words("done")) == Focus("run.done", 3, 3, 5)


def test_without_definitions_the_richest_line_is_in_focus() -> None:
    assert focus(["# Tax", "", "value added tax"], "", [], asked_words("value added tax")).line == 2
    assert focus([], "", [], frozenset()) == Focus("", 0, 0, 0)


@given(
    lines=st.lists(st.text("ab \t", max_size=6), min_size=1, max_size=30),
    head=st.integers(0, 29),
    count=st.integers(1, 8),
)
def test_a_snippet_is_some_of_the_lines_in_order(lines: list[str], head: int, count: int) -> None:
    head = min(head, len(lines) - 1)
    chosen = snippet(lines, 7, Focus("", head, 0, len(lines)), frozenset({"a", "ab"}), count)
    assert 1 <= len(chosen.numbers) <= count + 1
    assert list(chosen.numbers) == sorted(set(chosen.numbers))
    for number, line in zip(chosen.numbers, chosen.lines, strict=True):
        assert lines[number - 7].split() == line.split()


@given(st.text())
def test_cleaned_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    cleaned = clean(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in cleaned)
    cleaned.encode()
    assert width_of(cleaned) >= 0


def test_characters_that_nobody_sees_are_shown_as_what_they_are() -> None:
    assert clean("a\u200bb\U000e0041c\xadd\ufeffe") == "a\\u200bb\\U000e0041c\\xadd\\ufeffe"
    assert clean("क्\u200dष") == "क्\u200dष"
