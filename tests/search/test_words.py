"""Words, their forms, names and globs: the small pure parts of search."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.encoder.words import _any_word, split_words, word_pattern
from modstar_lsp.search.filters import path_matcher
from modstar_lsp.search.lexical import inflections
from modstar_lsp.search.query import analyse, name_parts
from modstar_lsp.search.ranking import same_word, stem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parseJSONResponse_v2", ["parse", "json", "response", "v", "2"]),
        ("HTTPAdapter.send", ["http", "adapter", "send"]),
        ("URLs and IDs", ["urls", "and", "ids"]),
        ("naïve “quoted” привет", ["naïve", "quoted", "привет"]),
        ("sha256sum", ["sha", "256", "sum"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@given(st.text())
def test_words_are_lower_case_pieces_of_the_text_without_separators(text: str) -> None:
    for word in split_words(text):
        assert word
        assert word == word.lower()
        assert not re.search(r"[\x00-/:-@\[-`{-\x7f\x80-\xbf\u2000-\u206f]", word)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_has_the_same_words_by_both_patterns(text: str) -> None:
    assert word_pattern(text) is not _any_word()
    assert word_pattern(text).findall(text) == _any_word().findall(text)


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("retries", "retry"),
        ("uploads", "upload"),
        ("stopped", "stop"),
        ("parsing", "parse"),
        ("connection", "connect"),
        ("ids", "id"),
        ("id", "ids"),
    ],
)
def test_an_inflection_leads_to_the_word_in_the_code(asked: str, written: str) -> None:
    assert written in inflections(asked)


@pytest.mark.parametrize(
    ("one", "other"),
    [("dispatcher", "dispatching"), ("validation", "validator"), ("routes", "routing"), ("query", "queries")],
)
def test_forms_of_one_word_share_their_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)
    assert 0 < same_word(one, other) < 1


@given(st.from_regex("[a-z]{1,12}", fullmatch=True), st.from_regex("[a-z]{1,12}", fullmatch=True))
def test_sameness_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert same_word(one, other) == same_word(other, one)
    assert 0 <= same_word(one, other) <= 1
    assert same_word(one, one) == 1


@pytest.mark.parametrize(
    ("text", "names", "is_name"),
    [
        ("parseJson", ("parseJson",), True),
        ("HTTPAdapter.send", ("HTTPAdapter.send",), True),
        ("parse_json retries", ("parse_json",), False),
        ("where do we retry failed uploads", (), False),
        ("std::vector::push_back", ("std::vector::push_back",), True),
        ("os.path joins", ("os.path",), False),
        ("errors, e.g. timeouts, i.e. late answers", (), False),
        ("meetings at 9 a.m. in the U.S.", (), False),
    ],
)
def test_names_in_a_question(text: str, names: tuple[str, ...], is_name: bool) -> None:
    query = analyse(text)
    assert (query.names, query.is_name) == (names, is_name)


def test_function_words_are_kept_only_when_there_is_nothing_else() -> None:
    assert analyse("where is the parser").terms == ("parser",)
    assert analyse("how to").terms == ("how", "to")
    assert analyse("errors, e.g. timeouts").terms == ("errors", "timeouts")
    assert analyse("e.g.").terms


def test_a_qualified_name_falls_into_its_parts() -> None:
    assert list(name_parts("a::B.c->d")) == ["a", "B", "c", "d"]


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.py", "a/b/c.py", True),
        ("*.py", "a/b/c.pyi", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/b/a.py", False),
        ("src/**/*.py", "src/b/c/a.py", True),
        ("src/**/*.py", "src/a.py", True),
        ("src/", "src/b/a.py", True),
        ("**/tests/**", "x/tests/a.py", True),
        ("a?.c", "ab.c", True),
        ("a+b.c", "a+b.c", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    assert path_matcher(glob)(path) is matches
