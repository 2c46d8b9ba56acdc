"""A small checkpoint in the published layout whose exits have learned a little, each in its own space."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.encoder import ModularStarEncoder
from tests.train.foreign import save_published
from tests.train.test_questions import grow
from train.config import read_config
from train.data import Pair
from train.loop import Fit
from train.one_space import documented
from train.published import load_published


def save_trained(root: Path) -> tuple[Path, Path]:
    """(a published checkpoint, its weights in two files; the sources that it was trained on)."""
    grow(root / "sources", files=20)
    save_published(root / "hub")
    model, tokenizer = load_published(root / "hub")
    model.config.training = {}  # bare texts: behind prompts it would learn as much in more steps
    pairs = [Pair("text", text, code, "python", source=code) for text, code in documented(root / "sources")]
    changed = {"steps": 60, "batch": 32, "code_tokens": 64, "query_tokens": 32, "slice_tokens": 2048}
    settings = replace(read_config(Path("tiny")).fit, **changed, keep_exit0=False, lr=0.002)  # type: ignore[arg-type]
    assert Fit(model, tokenizer, pairs, settings, root / "run").run()
    _save_in_two(model, root / "hub")
    return root / "hub", root / "sources"


def in_other_words(sources: Path, target: Path) -> Path:
    """The same sources, their comments in words that the code does not have: lexical search finds nothing."""
    shutil.copytree(sources, target)
    for file in target.rglob("*.py"):
        pattern = r"every (\w+) that is ripe for the (\w+) market"
        file.write_text(re.sub(pattern, r"\1like things that are \2like", file.read_text()))
    return target


def _save_in_two(model: ModularStarEncoder, folder: Path) -> None:
    weights = _published_names(model)
    (folder / "model.safetensors").unlink()
    files = {name: f"model-0000{number % 2 + 1}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))


def _published_names(model: ModularStarEncoder) -> dict[str, torch.Tensor]:
    """The weights as the hub has them."""
    found = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("heads."):
            _, depth, part, kind = name.split(".")
            place = f"projection_heads.{model.depths.index(int(depth))}.{'0' if part == 'mix' else '2'}"
            name = f"{place}.{kind}"
        found[f"starEncoder2.{name}"] = tensor.contiguous()
    return found
