"""The encoder: what it promises to those who train, save and export it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from model.config import ModularStarConfig
from model.encoder import CheckpointError, ModularStarEncoder, load_checkpoint
from train.config import ConfigError, read_config
from train.plan import plan


def tiny(**changed: object) -> ModularStarEncoder:
    torch.manual_seed(0)
    model = ModularStarEncoder(read_config(Path("tiny")).model_config(**changed))
    model.heads["0"].is_word[:5] = 0
    return model.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[2, 7, 8, 7, 9, 3], [2, 11, 3, 0, 0, 0]])
    return ids, (ids != 0).long()


def test_every_exit_gives_unit_rows_of_one_width() -> None:
    found = tiny()(*batch())
    assert sorted(found) == [0, 1, 2]
    for rows in found.values():
        assert rows.shape == (2, 32)
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(2))


def test_padding_changes_nothing() -> None:
    model = tiny()
    ids, mask = batch()
    alone = model(ids[1:, :3], mask[1:, :3])
    for depth, rows in model(ids, mask).items():
        torch.testing.assert_close(rows[1:], alone[depth], atol=1e-5, rtol=1e-4)


def test_attention_looks_both_ways() -> None:
    model = tiny()
    ids, mask = batch()
    states = dict(model.states(ids, mask, 1))[1]
    ids[0, 4] = 12
    changed = dict(model.states(ids, mask, 1))[1]
    assert not torch.allclose(states[0, 1], changed[0, 1])


def test_a_truncated_encoder_answers_like_the_whole() -> None:
    model = tiny()
    whole = model(*batch())
    for depth in model.depths:
        torch.testing.assert_close(model.truncated(depth)(*batch()), whole[depth])
    assert len(model.truncated(1).layers) == 1


@pytest.mark.parametrize("tf", ["linear", "log1p", "sqrt"])
def test_exit_0_is_its_folded_table(tf: str) -> None:
    model = tiny(exit0_tf=tf)
    torch.nn.init.uniform_(model.heads["0"].token_weight)
    ids, mask = batch()
    found = model(ids, mask, exits=[0])[0]
    table = model.fold_exit0()
    g = {"linear": lambda n: n, "log1p": torch.log1p, "sqrt": torch.sqrt}[tf]
    expected = g(torch.tensor(2.0)) * table[7] + g(torch.tensor(1.0)) * (table[8] + table[9])
    torch.testing.assert_close(found[0], expected / expected.norm(), atol=1e-5, rtol=1e-4)
    assert not table[:5].any()


def test_a_checkpoint_loads_through_automodel(tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert isinstance(again, ModularStarEncoder)
    assert again.depths == model.depths
    before, after = model(*batch()), again(*batch())
    for depth in before:
        assert torch.equal(before[depth], after[depth])


def test_a_folder_that_is_no_checkpoint_of_ours_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_1b_configuration_has_the_papers_sizes() -> None:
    sizes = {one.depth: one.parameters / 1e6 for one in plan(read_config(Path("modstar-1b")).model_config())}
    assert {depth: round(size, 1) for depth, size in sizes.items()} == {
        4: 161.6,
        9: 300.6,
        18: 550.9,
        27: 801.1,
        36: 1051.4,
    }
    work = {
        one.depth: one.flops_per_token / 1e9
        for one in plan(read_config(Path("modstar-1b")).model_config(), 0)
    }
    assert {depth: round(size, 2) for depth, size in work.items()} == {
        4: 0.22,
        9: 0.5,
        18: 1.0,
        27: 1.5,
        36: 2.0,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_attention_heads": 3},
        {"num_key_value_heads": 3},
        {"exit_layers": [9]},
        {"exit_layers": []},
        {"nested_dimensions": [64]},
        {"hidden_size": 0},
        {"vocab_size": "many"},
        {"exit_layers": [0, 1, 1]},
        {"bag_dropout": 1.0},
        {"exit_layers": [1, 2], "residual": True},
        {"pooling": "max"},
        {"positions": "alibi"},
    ],
)
def test_an_impossible_shape_is_refused_in_one_line(wrong: dict) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(Path("tiny")).model_config(**wrong)
    assert "\n" not in str(caught.value)


def test_a_plan_is_made_of_every_configuration() -> None:
    for name in ("tiny", "default", "modstar-1b"):
        config = read_config(Path(name)).model_config()
        plans = plan(config)
        assert [one.depth for one in plans] == config.exit_layers
        work = [one.flops_per_token for one in plans]
        assert work == sorted(work) and (0 not in config.exit_layers or work[0] == 0)


def test_learned_positions_end_somewhere_and_say_where() -> None:
    model = tiny(positions="learned", max_position_embeddings=4)
    with pytest.raises(ValueError, match="6 tokens; this encoder has learned 4 positions"):
        model(*batch())


def test_config_survives_its_own_json(tmp_path: Path) -> None:
    config = ModularStarConfig(exit_layers=[4, 0, 2], training={"seed": 1})
    config.save_pretrained(tmp_path)
    again = ModularStarConfig.from_pretrained(tmp_path)
    assert again.exit_layers == [0, 2, 4] and again.training == {"seed": 1}
