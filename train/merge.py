"""The average of checkpoints: one model out of several runs that began alike (Wortsman et al. 2022).

Encoders and rerankers alike: what is averaged are tensors of the same names and shapes, so the runs must
have one layout and one tokenizer. Nothing is trained, and no more than two tensors a name are in memory.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from model.encoder import CheckpointError, ModularStarEncoder
from train.backbone import draw_back
from train.data import digest_of
from train.tensors import WEIGHTS, Tensors, read_json

# What two checkpoints of one layout may say differently in config.json: how they were made and written.
NO_LAYOUT = ("training", "transformers_version", "dtype", "torch_dtype", "_name_or_path")
TOKENIZER = "tokenizer.json"
# Shares are written with some decimals.
CLOSE = 1e-3


def merge_checkpoints(
    folders: Sequence[Path],
    out: Path,
    shares: Sequence[float] = (),
    gains: Mapping[int, float] | None = None,
    command: str = "",
    backbone: Path | None = None,
    above: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """Write the average of the checkpoints in `folders` to `out`, in float32; returns its record.

    shares: of each in the average, their sum 1 (default: all the same). gains: {exit: gain} set in the
    result where its exits build on exit 0. backbone: the published encoder that they began as, one more in
    the average, its share the last; the heads are those of the others. above: {depth: the backbone's share
    in the layers above it}. The record, which config.json keeps under "training" beside what the first
    checkpoint says there, is {"averaged": [{checkpoint, sha256, share}], "above", "gains", "command"}.

    CheckpointError, in one line, for checkpoints that do not fit each other and for an `out` that exists.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists already; nothing is written over")
    for depth, share in (above or {}).items():
        if backbone is None or not 0 <= share <= 1:
            raise CheckpointError(f"above {depth} a share of {share:g}: that of a backbone, between 0 and 1")
    every = [*folders, *([backbone] if backbone else [])]
    parts = _shares(every, shares)
    config = _layout(folders)
    among = sum(parts[: len(folders)])
    weights = _average(folders, [share / among for share in parts[: len(folders)]])
    if backbone:
        draw_back(weights, Tokenizer.from_file(str(folders[0] / TOKENIZER)), backbone, parts[-1], above)
    weights = _set_gains(weights, gains or {}, folders[0])
    record = {
        "averaged": [
            {"checkpoint": folder.resolve().name, "sha256": _digests(folder), "share": share}
            for folder, share in zip(every, parts, strict=True)
        ],
        "above": {str(depth): share for depth, share in (above or {}).items()},
        "gains": {str(depth): gain for depth, gain in (gains or {}).items()},
        "command": command,
    }
    config |= {"training": config.get("training", {}) | record, "dtype": "float32"}
    config.pop("torch_dtype", None)
    _write(out, config, weights, folders[0])
    return record


@torch.no_grad()
def merge_with_start(model: ModularStarEncoder, start: Mapping[str, Tensor], share: float) -> None:
    """Weights between the start of a run and its end: what was learnt at less cost to what was known."""
    for name, value in model.state_dict().items():
        began = start[name].to(value.device)
        value.copy_(began + share * (value - began))


def _shares(folders: Sequence[Path], shares: Sequence[float]) -> list[float]:
    if len(folders) < 2:
        raise CheckpointError("an average needs two checkpoints or more")
    if not shares:
        return [1 / len(folders)] * len(folders)
    if len(shares) != len(folders):
        raise CheckpointError(f"{len(shares)} shares for {len(folders)} checkpoints")
    if min(shares) <= 0 or abs(sum(shares) - 1) > CLOSE:
        raise CheckpointError(f"shares {' '.join(map(str, shares))} must be more than 0 and add up to 1")
    return list(shares)


def _layout(folders: Sequence[Path]) -> dict[str, Any]:
    """The first checkpoint's config.json; CheckpointError where another's layout or tokenizer differs."""
    configs = [read_json(folder, "config.json") for folder in folders]
    words = [read_json(folder, TOKENIZER) for folder in folders]
    for folder, config, own in zip(folders[1:], configs[1:], words[1:], strict=True):
        names = (config.keys() | configs[0].keys()) - set(NO_LAYOUT)
        for name in sorted(names):
            if config.get(name) != configs[0].get(name):
                raise CheckpointError(
                    f"{folder}: {name} is {config.get(name)!r}, in {folders[0]} {configs[0].get(name)!r}; "
                    "only checkpoints of one layout have an average"
                )
        if own != words[0]:
            raise CheckpointError(f"{folder}: its tokenizer is not that of {folders[0]}")
    return configs[0]


def _average(folders: Sequence[Path], shares: Sequence[float]) -> dict[str, Tensor]:
    given = [Tensors(folder) for folder in folders]
    for one in given[1:]:
        apart = sorted(one.keys() ^ given[0].keys()) or [
            name for name in one if one.shape(name) != given[0].shape(name)
        ]
        if apart:
            raise CheckpointError(f"{one.folder}: {apart[0]} is not as in {folders[0]}")
    found = {}
    for name in given[0]:
        total = shares[0] * given[0][name].float()
        for one, share in zip(given[1:], shares[1:], strict=True):
            total += share * one[name].float()
        found[name] = total
    return found


def _set_gains(weights: dict[str, Tensor], gains: Mapping[int, float], folder: Path) -> dict[str, Tensor]:
    for depth, gain in gains.items():
        name = f"heads.{depth}.gain"
        if name not in weights:
            raise CheckpointError(f"{folder}: exit {depth} has no gain; only exits that build on exit 0 have")
        weights[name].fill_(gain)
    return weights


def _digests(folder: Path) -> str:
    """sha256 of the weights; of several files all, one after another."""
    return " ".join(digest_of(file) for file in Tensors(folder).files)


def _write(out: Path, config: dict[str, Any], weights: dict[str, Tensor], like: Path) -> None:
    """A checkpoint with the tokenizer of `like`; `out` is there whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        save_file(weights, beside / WEIGHTS, metadata={"format": "pt"})
        (beside / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for file in like.glob("*token*.json"):
            shutil.copyfile(file, beside / file.name)
        beside.chmod(0o755)
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
