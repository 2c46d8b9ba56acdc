"""The yardstick is the BM25 of the textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.bm25 import PlainBM25, words_and_identifiers


def test_scores_by_hand() -> None:
    index = PlainBM25(["parse json text", "parseJson json", "open window"])
    # "json" is in 2 of 3 texts; lengths 3, 3, 2, mean 8/3; the second holds it twice.
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    norm = 1.2 * (1 - 0.75 + 0.75 * 3 / (8 / 3))
    assert index.scores("json")[:2] == pytest.approx(
        [idf * 2.2 / (1 + norm), idf * 2.2 * 2 / (2 + norm)], rel=1e-5
    )
    assert index.scores("json")[2] == 0


def test_a_repeated_word_counts_once_and_an_unknown_one_not_at_all() -> None:
    index = PlainBM25(["parse json", "open window"])
    assert np.array_equal(index.scores("json json zzz"), index.scores("JSON"))


def test_an_empty_query_and_an_empty_collection_are_no_error() -> None:
    assert PlainBM25(["a b"]).scores("").tolist() == [0]
    assert PlainBM25([]).scores("a").tolist() == []
    assert PlainBM25(["", ""]).matrix(["a"]).tolist() == [[0, 0]]


def test_whole_identifiers_count_beside_their_words() -> None:
    assert words_and_identifiers("parseJson x") == ["parse", "json", "x", "parsejson"]
