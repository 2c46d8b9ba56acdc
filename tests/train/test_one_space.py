"""A published checkpoint's exits laid in one space: each finds what the deepest embedded, at a told cost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.encoder import ModularStarEncoder, load_checkpoint
from tests.train.foreign import save_published
from tests.train.test_questions import grow
from train.__main__ import main
from train.config import read_config
from train.data import Pair
from train.loop import Fit
from train.one_space import documented
from train.published import load_published


def published_names(model: ModularStarEncoder) -> dict[str, torch.Tensor]:
    """The weights as the hub has them."""
    found = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("heads."):
            _, depth, part, kind = name.split(".")
            place = f"projection_heads.{model.depths.index(int(depth))}.{'0' if part == 'mix' else '2'}"
            name = f"{place}.{kind}"
        found[f"starEncoder2.{name}"] = tensor.contiguous()
    return found


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a checkpoint in the published layout, trained a little, its weights in two files; sources)."""
    root = tmp_path_factory.mktemp("hub")
    grow(root / "sources", files=20)
    save_published(root / "hub")
    model, tokenizer = load_published(root / "hub")
    pairs = [Pair("text", text, code, "python", source=code) for text, code in documented(root / "sources")]
    changed = {"steps": 60, "batch": 32, "code_tokens": 64, "query_tokens": 32, "slice_tokens": 2048}
    settings = replace(read_config(Path("tiny")).fit, **changed, keep_exit0=False, lr=0.002)  # type: ignore[arg-type]
    assert Fit(model, tokenizer, pairs, settings, root / "run").run()
    weights = published_names(model)
    (root / "hub" / "model.safetensors").unlink()
    files = {name: f"model-0000{number % 2 + 1}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, root / "hub" / file)
    (root / "hub" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return root / "hub", root / "sources"


def test_every_exit_finds_what_the_deepest_embedded_and_the_loss_is_told(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "wrapped"
    assert main(["wrap", str(hub[0]), str(out), "--one-space", "--sources", str(hub[1])]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told[:3]] == ["exit 1", "exit 2", "exit 4"]
    assert told[3].endswith("exits 1, 2, 4, dimension 32")
    model = load_checkpoint(out)
    noted = model.config.training
    assert noted["shared_space"] and noted["paired_prompts"]
    costs = noted["one_space"]
    assert costs["4"]["cosine"] == pytest.approx(1.0, abs=1e-4) and costs["4"]["own"] == costs["4"]["laid"]
    for depth in ("1", "2"):
        # Two dozen functions are kept apart: at random a comment has .12 among them.
        assert costs[depth]["cosine"] > 0.5 and costs[depth]["among_deepest"] > 0.2, costs
        assert costs[depth]["laid"] > 0.8 * costs[depth]["own"], costs
    # The deepest exit answers as it was published.
    given, _ = load_published(hub[0])
    ids = torch.arange(5, 25)[None]
    mask = torch.ones_like(ids)
    torch.testing.assert_close(model(ids, mask, [4])[4], given(ids, mask, [4])[4])


def test_one_exit_and_an_encoder_that_has_one_space_are_one_line(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_published(tmp_path / "cut", till_layer=2)
    out = str(tmp_path / "out")
    assert main(["wrap", str(tmp_path / "cut"), out, "--one-space", "--sources", str(hub[1])]) == 2
    assert "one exit alone is one space already" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["wrap", str(hub[0]), out, "--one-space", "--sources", str(tmp_path / "empty")]) == 2
    assert "no sources here" in capsys.readouterr().err
    damaged = Path(shutil.copytree(hub[0], tmp_path / "damaged"))
    next(damaged.glob("model-00002*")).unlink()
    assert main(["wrap", str(damaged), out]) == 2
    assert "model-00002-of-00002.safetensors is missing" in capsys.readouterr().err
    assert not Path(out).exists()
