"""The published ModularStarEncoder layout, in miniature: the same vectors by a second road, and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import Starcoder2Config, Starcoder2Model

from model.prompts import Prompts
from tests.train.foreign import published_config, save_published
from train.pretrained import PretrainedError
from train.published import CODE_PROMPT, QUERY_PROMPT, Unknown, load_published

TEXT = "def parse_json(path): return json.load(open(path))"


def states_of_starcoder2(weights: dict[str, Tensor], ids: Tensor) -> tuple[Tensor, ...]:
    """What transformers' own Starcoder2 blocks make of the same weights when all tokens see each other."""
    told = published_config()
    keys = (
        "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads rope_theta"
    )
    config = Starcoder2Config(
        vocab_size=len(weights["starEncoder2.embed_tokens.weight"]),
        norm_epsilon=1e-5,
        sliding_window=None,
        use_cache=False,
        attn_implementation="eager",
        **{key: told[key] for key in keys.split()},
    )
    model = Starcoder2Model(config).eval()
    prefix = "starEncoder2."
    inner = {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix) and "projection_heads" not in name
    }
    model.load_state_dict(inner)
    everything = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
    with torch.no_grad():
        return model(ids, attention_mask=everything, output_hidden_states=True).hidden_states


def by_hand(weights: dict[str, Tensor], states: Tensor, head: int, pooling: str = "mean") -> Tensor:
    """The published head: project every token, pool, normalise."""
    name = f"starEncoder2.projection_heads.{head}"
    inner = F.leaky_relu(F.linear(states, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"]))
    tokens = F.linear(inner, weights[f"{name}.2.weight"], weights[f"{name}.2.bias"])
    return F.normalize(tokens.mean(dim=1) if pooling == "mean" else tokens[:, -1], dim=-1)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_every_exit_gives_the_vectors_of_the_published_code(tmp_path: Path, pooling: str) -> None:
    weights = save_published(tmp_path / "hub")
    model, tokenizer = load_published(tmp_path / "hub", Unknown(pooling=pooling))
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    states = states_of_starcoder2(weights, ids)
    found = model(ids, torch.ones_like(ids))
    assert list(found) == [1, 2, 4]
    for head, depth in enumerate(found):
        torch.testing.assert_close(
            found[depth], by_hand(weights, states[depth], head, pooling), atol=1e-5, rtol=1e-4
        )


def test_texts_are_framed_as_published(tmp_path: Path) -> None:
    save_published(tmp_path / "hub")
    model, tokenizer = load_published(tmp_path / "hub")
    prompts = Prompts.of(model.config.training)
    prompt = prompts.of_code("Python")
    assert prompt == "Represent this python code snippet for retrieval:"
    assert prompts.of_code("") == "Represent this code snippet for retrieval:"
    assert prompts == Prompts(QUERY_PROMPT, CODE_PROMPT, paired=True)
    framed = tokenizer.encode(prompt, TEXT).ids
    literally = tokenizer.encode(f"<sep>{prompt}<sep>{TEXT}<cls>", add_special_tokens=False).ids
    assert framed == literally
    assert model.config.training["prompts"]["query"] == QUERY_PROMPT


def test_a_size_specific_sibling_has_its_one_exit(tmp_path: Path) -> None:
    save_published(tmp_path / "hub")
    whole, tokenizer = load_published(tmp_path / "hub")
    save_published(tmp_path / "cut", till_layer=2)
    sibling, _ = load_published(tmp_path / "cut")
    assert sibling.depths == [2] and len(sibling.blocks) == 2
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    mask = torch.ones_like(ids)
    torch.testing.assert_close(sibling(ids, mask)[2], whole(ids, mask)[2])


def test_a_sibling_may_leave_out_what_it_does_not_use(tmp_path: Path) -> None:
    save_published(tmp_path / "hub", till_layer=2)
    whole, tokenizer = load_published(tmp_path / "hub")

    def used(name: str) -> bool:
        layer = name.split("layers.")[-1].split(".")[0]
        return not (layer.isdigit() and int(layer) > 1) and ".norm." not in name

    rewrite(
        tmp_path / "hub",
        lambda weights: {
            name: tensor
            for name, tensor in weights.items()
            if used(name) and ("heads" not in name or "heads.1." in name)
        },
    )
    lean, _ = load_published(tmp_path / "hub")
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    torch.testing.assert_close(lean(ids, torch.ones_like(ids)), whole(ids, torch.ones_like(ids)))


def test_a_head_of_one_layer_and_weights_in_two_files_are_known_too(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    weights = save_published(folder)
    one = {name: tensor for name, tensor in weights.items() if not name.endswith((".2.weight", ".2.bias"))}
    (folder / "model.safetensors").unlink()
    halves = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}  # type: ignore[var-annotated]
    for number, (name, tensor) in enumerate(one.items()):
        list(halves.values())[number % 2][name] = tensor
    for name, some in halves.items():
        save_file(some, folder / name)
    index = {"weight_map": {tensor: name for name, some in halves.items() for tensor in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    model, _ = load_published(folder)
    assert model.config.head == "linear"
    assert torch.equal(model.exit_head(4).proj.weight, weights["starEncoder2.projection_heads.2.0.weight"])


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file)


def test_weights_in_bf16_as_published_are_computed_with_in_float32(tmp_path: Path) -> None:
    save_published(tmp_path / "hub")
    rewrite(tmp_path / "hub", lambda found: {name: tensor.bfloat16() for name, tensor in found.items()})
    model, tokenizer = load_published(tmp_path / "hub")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    weights = {name: one.float() for name, one in load_file(tmp_path / "hub" / "model.safetensors").items()}
    states = states_of_starcoder2(weights, ids)
    found = model(ids, torch.ones_like(ids), [4])[4]
    torch.testing.assert_close(found, by_hand(weights, states[4], 2), atol=1e-5, rtol=1e-4)


def without(part: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(
        folder, lambda found: {name: tensor for name, tensor in found.items() if part not in name}
    )


def told(**changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        found = json.loads(file.read_text()) | changed
        file.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (told(model_type="bert"), "a 'bert', not a 'ModularStarEncoder'"),
        (told(hidden_size=None), "config.json lacks 'hidden_size'"),
        (told(hidden_act="silu"), "'silu' is unknown"),
        (told(num_attention_heads=5), "no multiple"),
        (told(till_layer=3), "till_layer 3 is none of the exits"),
        (told(matryoshka_layers=[1, 4]), "3 projection heads for the exits"),
        (told(intermediate_size=64), "disagree with config.json about layers.0.mlp.c_fc"),
        (without("projection_heads"), "no projection heads"),
        (without("layers.3.mlp.c_proj.bias"), "lack layers.3.mlp.c_proj.bias"),
        (without("embed_tokens"), "hold no embed_tokens"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:20_000]
            ),
            "cut short or damaged",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no usable tokenizer"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    save_published(tmp_path / "hub")
    damage(tmp_path / "hub")
    with pytest.raises(PretrainedError, match=message) as caught:
        load_published(tmp_path / "hub")
    assert "\n" not in str(caught.value)
