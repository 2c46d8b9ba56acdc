"""A trained encoder that is given other exits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.train.foreign import CORPUS, bert_tokenizer, save_bert
from train.data import Pair
from train.encoding import encode
from train.model import CheckpointError, ModularStarEncoder
from train.pretrained import load_bert
from train.start import StartSettings, with_exits

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
