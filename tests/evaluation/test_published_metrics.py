"""Metrics against values worked out by hand, and against slow definitions of them on anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import metrics
from evaluation.published.retrieval import RetrievalSet, pools, relevant_ranks, score


def toy(**changed: object) -> RetrievalSet:
    given: dict[str, object] = {
        "name": "toy",
        "queries": ("a", "b", "c"),
        "documents": ("0", "1", "2", "3"),
        "relevant": ({0: 1}, {2: 1, 3: 2}, {1: 1}),
    }
    return RetrievalSet(**(given | changed))  # type: ignore[arg-type]


def test_ranks_give_mrr_recall_and_graded_ndcg() -> None:
    scores = np.array([[9, 1, 2, 3], [9, 8, 7, 6], [5, 5, 1, 0]], np.float32)
    found = score(toy(), lambda queries: scores[list(queries)])
    assert found["MRR"].tolist() == found["MRR@10"].tolist() == [1, pytest.approx(1 / 3), 0.5]
    assert found["recall@1"].tolist() == [1, 0, 0]
    assert found["recall@10"].tolist() == [1, 1, 1]
    # 1 at rank 3 and 2 at rank 4 where 2, 1 would be best
    by_hand = (1 / np.log2(4) + 2 / np.log2(5)) / (2 / np.log2(2) + 1 / np.log2(3))
    assert found["nDCG@10"].tolist() == pytest.approx([1, by_hand, 1 / np.log2(3)])
    assert "MAP@R" not in found


def test_an_answer_beyond_the_first_thousand_is_not_found() -> None:
    documents = tuple(map(str, range(1002)))
    far = RetrievalSet("far", ("a", "b"), documents, ({1000: 1}, {999: 1}))
    scores = -np.arange(1002, dtype=np.float32)
    found = score(far, lambda queries: np.stack([scores for _ in queries]))
    assert found["MRR"].tolist() == [0, 1 / 1000]


def test_map_at_r_of_code_that_asks_among_itself() -> None:
    # Four programs of one problem, two of another: the first finds 1 of its problem, then a stranger, then 2.
    relevant = ({0: 1, 1: 1, 2: 1, 3: 1},) * 4 + ({4: 1, 5: 1},) * 2
    names = tuple("abcdef")
    scores = np.zeros((6, 6), np.float32)
    scores[0] = [9, 8, 6, 1, 7, 2]
    scores[4] = [0, 0, 0, 0, 9, 1]
    one = RetrievalSet("poj", names, names, relevant, among_themselves=True)
    found = score(one, lambda queries: scores[list(queries)])
    assert found["MAP@R"][0] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert found["MAP@R"][4] == 1
    assert found["MAP@R"][5] == 0  # all the same: what answers comes last


def test_f1_precision_and_recall_of_pairs() -> None:
    told, true = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    found = metrics.detection(told, true)
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), 0.5) and found.f1 == pytest.approx(0.4)
    assert metrics.detection(~true, true) == metrics.Detection(0, 0, 0)
    nothing = np.zeros(3, bool)
    assert metrics.detection(nothing, nothing) == metrics.Detection(0, 0, 0)


def test_pools_are_full_ones_of_pairs_that_belong_together() -> None:
    names = tuple(f"q{at}" for at in range(7))
    whole = RetrievalSet(
        "csn",
        names,
        tuple(f"d{at}" for at in range(9)),
        tuple({at + 1: 1} for at in range(7)),
    )
    found = list(pools(whole, 3))
    assert [len(one.queries) for one in found] == [3, 3]  # the seventh is left out
    asked = [name for one in found for name in one.queries]
    assert len(set(asked)) == 6
    # The order that numpy's seed 0 has shuffled seven into since 2005.
    assert asked == [f"q{at}" for at in (6, 2, 1, 3, 0, 5)]
    for one in found:
        for query, document in zip(one.queries, one.documents, strict=True):
            assert int(document[1:]) == int(query[1:]) + 1
    assert [len(one.documents) for one in pools(whole, 1000)] == [7]


numbers = st.integers(-3, 3).map(float)


@given(st.data(), st.lists(numbers, min_size=1, max_size=30))
def test_ranks_are_those_of_a_sorted_list(data: st.DataObject, values: list[float]) -> None:
    rows = st.integers(0, len(values) - 1)
    relevant = data.draw(st.lists(rows, min_size=1, unique=True))
    itself = (
        data.draw(st.none() | rows.filter(lambda row: row not in relevant))
        if len(relevant) < len(values)
        else None
    )
    scores = np.asarray(values, np.float32)
    found, ranks = relevant_ranks(scores, relevant, itself)
    among = [row for row in range(len(values)) if row != itself]
    # Falling scores; of the same score what does not answer first.
    order = sorted(among, key=lambda row: (-values[row], row in relevant))
    assert sorted(found.tolist()) == sorted(relevant)
    assert ranks.tolist() == [place + 1 for place, row in enumerate(order) if row in relevant]
    assert scores[found].tolist() == sorted(scores[relevant], reverse=True)


@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better_than_the_one_found(pairs: list[tuple[float, bool]]) -> None:
    scores, true = np.array([score for score, _ in pairs]), np.array([one for _, one in pairs])
    chosen = metrics.best_threshold(scores, true)
    best = max(metrics.detection(scores >= one, true).f1 for one in scores)
    assert metrics.detection(scores >= chosen, true).f1 == pytest.approx(best)


@given(st.integers(1, 12), st.data())
def test_map_at_r_is_1_for_the_best_order_and_falls_with_every_stranger(r: int, data: st.DataObject) -> None:
    best = np.arange(1, r + 1)
    assert metrics.average_precision_at_r(best) == pytest.approx(1)
    at = data.draw(st.integers(0, r - 1))
    later = best + (np.arange(r) >= at)  # one stranger before the item at place `at`
    assert metrics.average_precision_at_r(later) < 1
