"""`python -m train merge`: the average of checkpoints is what its record says, and of one layout only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from model.encoder import ModularStarEncoder, load_checkpoint
from model.reranker import Reranker, RerankerConfig, load_reranker
from model.tokenizer import load_tokenizer
from tests.train.foreign import save_bert
from train.__main__ import main
from train.config import read_config
from train.data import digest_of
from train.pretrained import load_bert
from train.stages import save
from train.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["open the file", "close the window", "sort the list"], 80)


def encoder(folder: Path, tokenizer: Tokenizer, seed: int, **changed: object) -> Path:
    torch.manual_seed(seed)
    shape = {"vocab_size": tokenizer.get_vocab_size(), "residual": True, "training": {"fit": {"seed": seed}}}
    save(ModularStarEncoder(read_config(Path("tiny")).model_config(**(shape | changed))), tokenizer, folder)
    return folder


def reranker(folder: Path, tokenizer: Tokenizer, seed: int) -> Path:
    torch.manual_seed(seed)
    shape = {"vocab_size": tokenizer.get_vocab_size(), "hidden_size": 16, "intermediate_size": 32}
    config = RerankerConfig(
        **shape, num_hidden_layers=1, exit_layers=[1], dimension=8, nested_dimensions=[], pooling="mean"
    )
    Reranker(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_an_average_has_its_shares_and_gains_and_says_how_it_was_made(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    one, two = (encoder(tmp_path / name, tokenizer, seed) for seed, name in enumerate(("one", "two")))
    out = tmp_path / "both"
    told = ["merge", str(one), str(two), "--shares", "0.75", "0.25", "--gain", "2=0.8"]
    assert main([*told, "--out", str(out)]) == 0

    made, first, second = weights(out), weights(one), weights(two)
    for name, value in made.items():
        wanted = 0.75 * first[name] + 0.25 * second[name]
        torch.testing.assert_close(value, torch.tensor(0.8) if name == "heads.2.gain" else wanted)
    model = load_checkpoint(out)
    noted = model.config.training
    assert noted["fit"] == {"seed": 0} and noted["gains"] == {"2": 0.8}
    assert [part["share"] for part in noted["averaged"]] == [0.75, 0.25]
    assert noted["averaged"][1]["sha256"] == digest_of(two / "model.safetensors")
    assert noted["command"].startswith("python -m train merge one two --shares 0.75 0.25 --gain 2=0.8")


def test_halves_and_rerankers_have_an_average_too(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folders = [reranker(tmp_path / name, tokenizer, seed) for seed, name in enumerate("abc")]
    load_reranker(folders[2]).half().save_pretrained(folders[2])
    assert main(["merge", *map(str, folders), "--out", str(tmp_path / "mean")]) == 0
    made = weights(tmp_path / "mean")
    for name, value in made.items():
        wanted = sum(weights(folder)[name].float() for folder in folders) / 3
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, wanted)
    assert load_reranker(tmp_path / "mean").depths == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["two", "--shares", "0.5", "0.4"], "add up to 1"),
        (["two", "--shares", "1"], "1 shares for 2 checkpoints"),
        (["wider"], "hidden_size is 64"),
        (["reader"], "only checkpoints of one layout"),
        (["spelt"], "its tokenizer is not that of"),
        (["two", "--gain", "7=1"], "exit 7 has no gain"),
        (["nowhere"], "no model here"),
        (["cut"], "cut short or damaged"),
        ([], "two checkpoints or more"),
    ],
)
def test_what_has_no_average_is_one_line_and_writes_nothing(
    tmp_path: Path,
    tokenizer: Tokenizer,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    for seed, name in enumerate(("one", "two", "cut", "spelt")):
        encoder(tmp_path / name, tokenizer, seed)
    encoder(tmp_path / "wider", tokenizer, 5, hidden_size=64)
    reranker(tmp_path / "reader", tokenizer, 6)
    file = tmp_path / "cut" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    spelt = json.loads((tmp_path / "spelt" / "tokenizer.json").read_text(encoding="utf-8"))
    spelt["normalizer"] = None
    (tmp_path / "spelt" / "tokenizer.json").write_text(json.dumps(spelt), encoding="utf-8")

    before = sorted(tmp_path.iterdir())
    others = [str(tmp_path / word) if word.isalpha() else word for word in options]
    assert main(["merge", str(tmp_path / "one"), *others, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("train: ") and message in told and told.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_written_over(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    one = encoder(tmp_path / "one", tokenizer, 0)
    assert main(["merge", str(one), str(one), "--out", str(one)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: `bert`, as published, and `grown`, trained from it, its neurons in another order since."""
    folder = tmp_path_factory.mktemp("grown")
    save_bert(folder / "bert")
    model = load_bert(folder / "bert", [2, 4])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
        for layer in model.blocks:
            order = torch.randperm(layer.mlp.c_fc.out_features, generator=generator)
            layer.mlp.c_fc.weight.copy_(layer.mlp.c_fc.weight[order])
            layer.mlp.c_fc.bias.copy_(layer.mlp.c_fc.bias[order])
            layer.mlp.c_proj.weight.copy_(layer.mlp.c_proj.weight[:, order])
    keep(model, folder, "grown")
    return folder


def keep(model: ModularStarEncoder, folder: Path, name: str) -> None:
    """Save a model with the tokenizer of `bert`, as it is."""
    model.save_pretrained(folder / name)
    load_tokenizer(folder / "bert").save(str(folder / name / "tokenizer.json"))


@pytest.mark.parametrize("share", [0.35, 0.999])
def test_an_encoder_is_drawn_back_towards_what_it_began_as(grown: Path, tmp_path: Path, share: float) -> None:
    told = ["merge", str(grown / "grown"), "--backbone", str(grown / "bert")]
    assert main([*told, "--shares", str(1 - share), str(share), "--out", str(tmp_path / "back")]) == 0
    made, ours = load_checkpoint(tmp_path / "back"), load_checkpoint(grown / "grown")
    start = load_bert(grown / "bert", [2, 4])
    ids = torch.tensor([[5, 9, 17, 30, 8, 3]])

    def states(model: ModularStarEncoder) -> torch.Tensor:
        with torch.inference_mode():
            return [found for _, found in model.eval().states(ids, torch.ones_like(ids), 4)][-1]

    def apart(one: ModularStarEncoder, other: ModularStarEncoder) -> float:
        return float((states(one) - states(other)).norm())

    assert apart(made, start) < apart(ours, start) * (1 - share) * 1.3 + 1e-3
    heads = {name: w for name, w in weights(tmp_path / "back").items() if name.startswith("heads.")}
    for name, weight in heads.items():
        torch.testing.assert_close(weight, weights(grown / "grown")[name])
    noted = made.config.training["averaged"]
    assert [part["checkpoint"] for part in noted] == ["grown", "bert"] and noted[1]["share"] == share


def test_what_did_not_begin_as_the_backbone_is_refused(
    grown: Path, tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    other = load_bert(grown / "bert", [2, 4])
    with torch.no_grad():
        other.blocks[1].mlp.c_fc.weight.normal_()
        other.blocks[1].mlp.c_proj.weight.normal_()
    keep(other, grown, "other")
    cases = (
        (grown / "other", "it began otherwise"),
        (encoder(tmp_path / "tiny", tokenizer, 3), "no start of this"),
    )
    for folder, message in cases:
        out = tmp_path / "back"
        assert main(["merge", str(folder), "--backbone", str(grown / "bert"), "--out", str(out)]) == 2
        told = capsys.readouterr().err
        assert message in told and told.count("\n") == 1 and not out.exists()
