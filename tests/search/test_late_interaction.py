"""Late interaction at exit 0: what is said in other words counts, and nothing beside it takes away."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.words import split_words
from modstar_lsp.search.late_interaction import late_interaction

ENCODER = Encoder(open_bundle())
WORDS = ["retry", "upload", "parse", "json", "socket", "close", "cache", "evict", "theme", "colour", "zqxj"]
texts = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)


def near(question: str, *chunks: str) -> list[float]:
    counts = [Counter(split_words(chunk)) for chunk in chunks]
    pieces = [found.tobytes() for found in ENCODER.pieces(counts)] if counts else []
    asked = dict.fromkeys(split_words(question), 1.0)
    return [float(value) for value in late_interaction(ENCODER, asked, pieces)]


def test_other_words_for_the_same_thing_count_more_than_words_for_another() -> None:
    same, other = near("remove the file", "delete directory entry", "draw a red circle")
    assert same > other + 0.1


def test_all_the_words_of_a_question_make_it_whole() -> None:
    assert near("parse json", "def parse(text): return json") == pytest.approx([1.0], abs=1e-3)


@given(texts, texts, texts)
def test_more_words_in_a_chunk_take_nothing_away(question: str, chunk: str, more: str) -> None:
    before, after = near(question, chunk, f"{chunk} {more}")
    if split_words(chunk):
        assert after >= before
    assert after <= 1.001


@given(texts, st.lists(texts, max_size=5))
def test_a_chunk_has_its_value_whatever_stands_beside_it(question: str, chunks: list[str]) -> None:
    assert near(question, *chunks) == [near(question, chunk)[0] for chunk in chunks]


def test_nothing_comes_of_nothing() -> None:
    assert near("", "parse json") == [0.0]
    assert near("parse json", "") == [0.0]
    assert near("parse json") == []


def test_pieces_of_a_text_are_distinct_and_ascending() -> None:
    (found,) = ENCODER.pieces([Counter({"parse": 3, "json": 1})])
    assert found.dtype == np.uint16
    assert (np.diff(found.astype(int)) > 0).all()
    assert set(found.tolist()) == {*ENCODER.word_pieces("parse"), *ENCODER.word_pieces("json")}
