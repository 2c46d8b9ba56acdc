"""Hard negatives: near and wrong, never near and right, and together in a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from train.batches import (
    Batches,
    HardNegativesError,
    pair_keys,
    read_hard_negatives,
    write_hard_negatives,
)
from train.data import Pair
from train.mine import mine


def pairs_of(n: int) -> list[Pair]:
    return [Pair("text", f"question {i}", f"code {i}", "python", source="r") for i in range(n)]


def unit(rows: list[list[float]]) -> np.ndarray:
    found = np.asarray(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_near_and_wrong_are_found_and_the_likely_right_left_out() -> None:
    pairs = pairs_of(4)
    # Pair 1's code is near to query 0, pair 2's code is nearer than its own, pair 3's is far.
    queries = unit([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    codes = unit([[1, 0.5, 0, 0], [0.5, 1, 0, 0], [1, 0, 0.1, 0], [0, 0, 0, 1]])
    found = mine(queries, codes, pairs, told=lambda _: None)
    assert found.negatives[0][found.negatives[0] >= 0].tolist()[0] == 1
    assert 2 not in found.negatives[0]
    assert found.dropped >= 1


def test_the_same_code_and_other_languages_are_no_negatives() -> None:
    pairs = [*pairs_of(2), Pair("text", "question 2", "code 2", "go", source="r")]
    same = unit([[1, 0.1], [1, 0.12], [1, 0.5]])
    found = mine(unit([[1, 0], [0, 1], [1, 0.2]]), same, pairs, told=lambda _: None)
    assert (found.negatives < 0).all()


def test_within_a_repository_the_others_are_not_looked_at() -> None:
    pairs = [*pairs_of(2), Pair("text", "question 2", "code 2", "python", source="elsewhere")]
    # Code 2, of another repository, is nearer to query 0 than code 1 is.
    queries = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    codes = unit([[1, 0.3, 0], [0.4, 1, 0], [0.6, 0, 1]])
    anywhere = mine(queries, codes, pairs, told=lambda _: None).negatives
    within = mine(queries, codes, pairs, told=lambda _: None, within_repository=True).negatives
    assert anywhere[0][:2].tolist() == [2, 1]
    assert within[0][:2].tolist() == [1, -1]
    assert (within[2] < 0).all()


def test_the_file_serves_the_same_pairs_in_any_order(tmp_path: Path) -> None:
    pairs = pairs_of(5)
    keys = pair_keys(pairs)
    write_hard_negatives(tmp_path / "hard.npz", keys, keys[[[1, 2], [2, 3], [3, 4], [4, 0], [0, 1]]])
    turned = read_hard_negatives(tmp_path / "hard.npz", [*pairs[::-1], Pair("text", "new", "new", "go")])
    assert turned.tolist() == [[4, 3], [0, 4], [1, 0], [2, 1], [3, 2], [-1, -1]]
    with pytest.raises(HardNegativesError, match="none of these pairs"):
        read_hard_negatives(tmp_path / "hard.npz", [Pair("text", "new", "new", "go")])
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(HardNegativesError, match="no file of hard negatives"):
        read_hard_negatives(tmp_path / "bad.npz", pairs)


def test_a_batch_holds_pairs_beside_their_hard_negatives_and_an_epoch_every_pair_once() -> None:
    pairs = pairs_of(64)
    hard = np.stack([np.arange(64) ^ 1], axis=1)  # 0 and 1 are each other's, 2 and 3, ...
    batches = Batches(pairs, 8, seed=0, block=2, hard=hard)
    steps = [batches.rows(step) for step in range(8)]
    assert sorted(np.concatenate(steps)) == list(range(64))
    assert all({row ^ 1 for row in rows} == set(rows) for rows in steps)


def test_the_share_of_code_to_code_pairs_is_kept_in_every_batch() -> None:
    pairs = [*pairs_of(40), *(Pair("code", f"a{i}", f"b{i}", "go", source="c") for i in range(4))]
    batches = Batches(pairs, 10, seed=1, code_share=0.3)
    assert all(sum(row >= 40 for row in batches.rows(step)) == 3 for step in range(12))
