"""A trained encoder that is given other exits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.encoder import CheckpointError, ModularStarEncoder
from tests.train.foreign import CORPUS, bert_tokenizer, save_bert
from train.data import Pair
from train.encoding import encode
from train.exit0 import Exit0Settings, Table, as_model, continued
from train.pretrained import load_bert
from train.start import StartSettings, with_exit0, with_exits

PAIRS = [Pair("text", text, text.upper(), "python") for text in CORPUS * 4]
TOKENIZER = bert_tokenizer().backend_tokenizer
HOW = StartSettings(aligned=len(PAIRS))


@pytest.fixture
def trained(tmp_path: Path) -> ModularStarEncoder:
    save_bert(tmp_path / "bert")
    return load_bert(tmp_path / "bert", (0, 4), dimension=16, residual=True).eval()


def rows(model: ModularStarEncoder) -> dict[int, np.ndarray]:
    return encode(model.eval(), TOKENIZER, CORPUS, 64)


def test_its_own_exits_stay_and_new_ones_begin_near_the_deepest(trained: ModularStarEncoder) -> None:
    before, after = rows(trained), rows(with_exits(trained, (0, 2, 4), TOKENIZER, PAIRS, HOW))
    assert sorted(after) == [0, 2, 4]
    for depth, vectors in before.items():
        np.testing.assert_allclose(after[depth], vectors, atol=1e-5)
    assert (after[2] * after[4]).sum(axis=-1).mean() > 0.9


def test_layers_above_the_deepest_exit_are_cut_off(trained: ModularStarEncoder) -> None:
    whole = with_exits(trained, (0, 2, 4), TOKENIZER, PAIRS, HOW)
    cut = with_exits(trained, (0, 2), TOKENIZER, PAIRS, HOW)
    assert len(cut.blocks) == 2
    np.testing.assert_allclose(rows(cut)[2], rows(whole)[2], atol=1e-5)


@pytest.mark.parametrize("exits", [(0, 9), (), (2, 4)])
def test_exits_that_cannot_be_are_refused_in_one_line(
    trained: ModularStarEncoder, exits: tuple[int, ...]
) -> None:
    with pytest.raises(CheckpointError) as refused:
        with_exits(trained, exits, TOKENIZER, PAIRS, HOW)
    assert "\n" not in str(refused.value)


def test_new_exits_want_a_gain_each(trained: ModularStarEncoder) -> None:
    with pytest.raises(CheckpointError, match="2 gains for the exits"):
        with_exits(trained, (0, 2, 4), TOKENIZER, PAIRS, StartSettings(aligned=len(PAIRS), gains=(0.3, 1.0)))


def wider(model: ModularStarEncoder, dimension: int) -> ModularStarEncoder:
    """Its exit 0 alone, with more values a piece."""
    vectors, weights = continued(model.fold_exit0(), dimension, seed=0)
    settings = Exit0Settings(dimension=dimension, nested=(8,))
    return as_model(Table(vectors, weights, model.bag.is_word, "sqrt"), settings, {})


def test_on_a_wider_exit_0_every_exit_says_what_it_said(trained: ModularStarEncoder) -> None:
    before = rows(trained)
    after = rows(with_exit0(trained, wider(trained, 24), TOKENIZER, PAIRS, HOW))
    for depth, vectors in before.items():
        assert after[depth].shape == (len(vectors), 24)
        first = after[depth][:, :16]
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        assert (first * vectors).sum(axis=1).min() > 0.95


def test_a_narrower_exit_0_is_refused(trained: ModularStarEncoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than the 8"):
        continued(trained.fold_exit0(), 8, seed=0)
    save_bert(tmp_path / "small")
    other = load_bert(tmp_path / "small", (0, 4), dimension=8, residual=True)
    with pytest.raises(CheckpointError, match="8 values in an encoder of"):
        with_exit0(trained, other, TOKENIZER, PAIRS, HOW)
