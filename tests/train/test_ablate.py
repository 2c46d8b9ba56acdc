"""Which runs an ablation is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.ablate import EVERYTHING, rows_of
from train.config import TrainConfig, read_config


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return read_config(Path("ablation"))


def test_every_part_of_the_method_is_a_row(config: TrainConfig) -> None:
    names = [row.name for row in rows_of(config, hard=True, windows=True)]
    assert names[0] == EVERYTHING
    parts = ("distillation", "mixed exits", "exit 0", "renaming", "hard negatives")
    assert {f"without {part}" for part in parts} < set(names)
    assert {f"exit {e} alone" for e in (2, 4, 6)} < set(names)
    assert names[-1] == "pre-trained on windows, without in-context loss"


def test_what_is_not_at_hand_is_no_row(config: TrainConfig) -> None:
    names = [row.name for row in rows_of(config, hard=False, windows=False)]
    assert "without hard negatives" not in names
    assert not any("windows" in name for name in names)


def test_each_row_changes_what_it_says_and_is_a_configuration_that_can_run(config: TrainConfig) -> None:
    for row in rows_of(config, hard=True, windows=True):
        own = config.changed(**row.changes)
        exits = own.model_config().exit_layers
        weights = own.fit.exit_weights
        assert not weights or len(weights) == len(exits)
        assert not own.start.gains or len(own.start.gains) == len([e for e in exits if e])
        assert (own.fit.steps, own.fit.batch, own.fit.seed) == (
            config.fit.steps,
            config.fit.batch,
            config.fit.seed,
        )
        if row.name == "without exit 0":
            assert 0 not in exits and not own.model["residual"]
        if row.name.endswith("alone"):
            assert list(exits) == [0, *(row.shown or ())] and own.fit.distil == 0 == own.fit.mixed
        if "in-context" in row.name:
            assert own.pretrain.icc == 0 and row.beside == "pre-trained on windows"
