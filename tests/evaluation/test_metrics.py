"""The metrics give what a hand computes, and the intervals what statistics expects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation import metrics


def test_reciprocal_rank_is_one_over_the_first_relevant_place() -> None:
    gains = np.array([[0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]])
    assert metrics.reciprocal_rank(gains, 4).tolist() == [1 / 3, 1, 0, 1 / 4]


def test_what_lies_beyond_k_does_not_count() -> None:
    gains = np.array([[0, 0, 0, 1]])
    assert metrics.reciprocal_rank(gains, 3).tolist() == [0]
    assert metrics.ndcg(gains, np.array([[1.0]]), 3).tolist() == [0]
    assert metrics.recall(gains, np.array([1.0]), 3).tolist() == [0]
    assert metrics.accuracy(gains, 3).tolist() == [0]


def test_binary_ndcg_by_hand() -> None:
    # Two of three relevant items at places 2 and 3: (1/log2 3 + 1/log2 4) / (1/log2 2 + 1/log2 3 + 1/log2 4).
    expected = (1 / math.log2(3) + 0.5) / (1 + 1 / math.log2(3) + 0.5)
    assert metrics.ndcg(np.array([[0, 1, 1]]), np.array([[1, 1, 1]]), 10)[0] == pytest.approx(expected)


def test_graded_ndcg_by_hand() -> None:
    # Grades 1, 2 in the order 1, 2 against the best order 2, 1, gains as they are.
    expected = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    assert metrics.ndcg(np.array([[1, 2]]), np.array([[2, 1]]), 10)[0] == pytest.approx(expected)


def test_the_best_order_scores_one_even_when_more_is_relevant_than_fits() -> None:
    gains = np.array([[1.0, 1.0]])
    assert metrics.ndcg(gains, np.ones((1, 5)), 2)[0] == pytest.approx(1)


def test_a_query_without_relevant_items_scores_zero_and_not_nan() -> None:
    assert metrics.ndcg(np.zeros((1, 3)), np.zeros((1, 3)), 10).tolist() == [0]
    assert metrics.recall(np.zeros((1, 3)), np.zeros(1), 10).tolist() == [0]


def test_recall_is_the_share_of_the_relevant_that_was_found() -> None:
    assert metrics.recall(np.array([[1, 0, 1], [0, 0, 1]]), np.array([4.0, 1.0]), 3).tolist() == [0.5, 1]


def test_first_ranks_count_from_one_and_are_none_without_a_hit() -> None:
    assert metrics.first_ranks(np.array([[0, 1, 1], [0, 0, 0], [3, 0, 0]])) == [2, None, 1]


def test_an_empty_list_of_results_is_no_error() -> None:
    empty = np.zeros((2, 0))
    assert metrics.reciprocal_rank(empty, 10).tolist() == [0, 0]
    assert metrics.accuracy(empty, 10).tolist() == [0, 0]
    assert metrics.first_ranks(empty) == [None, None]


def test_the_interval_holds_the_mean_and_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 400)
    around = metrics.interval(values)
    assert around.low < around.mean < around.high
    assert around.mean == pytest.approx(values.mean())
    assert around.high - around.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_batches_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(2).random(50)
    assert metrics.interval(values) == metrics.interval(values)
    assert metrics.interval(values, seed=1) != metrics.interval(values, seed=2)
    whole = metrics.bootstrap_means(values, resamples=100)
    monkeypatch.setattr(metrics, "_DRAWS_AT_ONCE", 50 * 7)
    assert np.array_equal(metrics.bootstrap_means(values, resamples=100), whole)


def test_a_paired_interval_is_narrower_than_two_apart_when_systems_agree() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.random(200)
    ours = theirs + 0.02 + rng.normal(0, 0.01, 200)
    gap = metrics.paired_interval(ours, theirs)
    assert gap.mean == pytest.approx(0.02, abs=0.005)
    assert gap.excludes_zero()
    assert metrics.interval(ours).low < metrics.interval(theirs).high


def test_pairs_of_unequal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 and 3"):
        metrics.paired_interval(np.ones(2), np.ones(3))


def test_each_set_counts_once_in_a_mean_over_sets() -> None:
    around = metrics.interval_of_means([np.ones(10), np.zeros(1000)])
    assert around.mean == 0.5 == around.low == around.high
    assert metrics.interval_of_means([]).mean == 0


def test_an_interval_of_nothing_is_zero() -> None:
    assert metrics.interval(np.zeros(0)) == metrics.Interval(0, 0, 0)
