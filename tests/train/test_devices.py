"""A step elsewhere than on a CPU: nothing is left behind on it, and autocast alone makes it bf16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from tests.train.test_learning import fresh, settings, toy_pairs
from train.config import read_config
from train.loop import Fit
from train.losses import Contrastive, Distillation, MixedExits, Rounding
from train.pretrain import Pretraining
from train.tokenizer import train_tokenizer

SHAPES: list[dict[str, Any]] = [
    {},
    {"residual": True, "bag_dropout": 0.3, "exit0_table": "own", "pooling": "mean"},
    {
        "norm": "post",
        "positions": "learned",
        "activation": "gelu",
        "embedding_norm": True,
        "pooling": "first",
    },
    {"head": "mlp", "pooling": "last", "attention_dropout": 0.1, "residual_dropout": 0.1},
]


def elsewhere(**changes: Any) -> ModularStarEncoder:
    return ModularStarEncoder(read_config(Path("tiny")).model_config(**changes)).to("meta").train()  # type: ignore[arg-type]


def texts() -> tuple[Tensor, Tensor]:
    """(ids, mask)."""
    ids = torch.ones(6, 12, dtype=torch.long, device="meta")
    return ids, torch.ones_like(ids)


def assert_learnt(model: nn.Module) -> None:
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert found and all(grad.device.type == "meta" for grad in found)


def test_a_tensor_left_on_the_cpu_would_be_noticed() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.ones(2, device="meta") + torch.ones(2)


@pytest.mark.parametrize("changes", SHAPES)
def test_every_exit_and_every_loss_stay_on_the_models_device(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch, "is_autocast_enabled", lambda _: False
    )  # a question this device has no answer to
    model = elsewhere(**changes)
    vectors = model(*texts())
    queries = {e: Rounding()(rows[:3]) for e, rows in vectors.items()}
    documents = {e: Rounding()(rows[3:]) for e, rows in vectors.items()}
    contrastive = Contrastive(20.0, (16,))
    loss = contrastive(queries[2], documents[2]) + MixedExits(contrastive, 0.3)(queries, documents)
    loss = loss + Distillation(20.0)(queries, documents)
    assert loss.device.type == "meta"
    loss.backward()
    assert_learnt(model)


def test_pre_training_stays_on_the_models_device() -> None:
    training = Pretraining(elsewhere()).to("meta")
    states = dict(training.encoder.states(*texts(), upto=2))[2]
    loss = training.heads.tokens(states[:, 0], 2).sum() + training.heads.windows(states[:, -1], 2).sum()
    assert loss.device.type == "meta"
    loss.backward()
    assert_learnt(training.heads)


def test_attention_is_what_the_fused_one_of_a_gpu_computes() -> None:
    attention = ModularStarEncoder(read_config(Path("tiny")).model_config()).blocks[0].self_attn.eval()
    q, k, v = (torch.randn(2, 2, 5, 16) for _ in "qkv")
    bias = torch.zeros(2, 1, 1, 5)
    bias[1, :, :, 3:] = -30000.0
    torch.testing.assert_close(
        attention.attend(q, k, v, bias), F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    )


@pytest.mark.parametrize("cached", [False, True])
def test_a_step_under_autocast_alone_is_about_the_step_in_float32(tmp_path: Path, cached: bool) -> None:
    """As on a GPU, where there are no copies with bf16 weights."""
    pairs = toy_pairs()
    tokenizer = train_tokenizer([text for pair in pairs for text in (pair.query, pair.code)], 300)
    losses = []
    for bf16 in (False, True):
        how = settings(bf16=bf16, cached=cached, slice_tokens=64, int8_noise=False)
        run = Fit(fresh(tokenizer), tokenizer, pairs, how, tmp_path / str(bf16))
        run.copies = None
        losses.append([run.train_step()["loss"] for _ in range(3)])
        assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
