"""Pairs of functions are told apart after training, at every exit, whichever way they are read."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from tests.evaluation.test_published_sets import write
from tests.export.tiny_checkpoint import make_checkpoint
from train.__main__ import main
from train.clones import between

WORDS = ("open", "close", "parse", "send")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clones are about the same word, the others are not."""
    folder = tmp_path_factory.mktemp("pairs")
    functions = [(word, f"int {word}(int x{at}) {{ {word}(); }}") for at in range(8) for word in WORDS]
    write(folder / "data.jsonl", [{"idx": str(at), "func": text} for at, (_, text) in enumerate(functions)])
    rng = random.Random(0)
    for split, most in (("train", 200), ("test", 60)):
        lines = []
        for _ in range(most):
            one, other = rng.sample(range(len(functions)), 2)
            if rng.random() < 0.4:
                other = (one + len(WORDS) * rng.randint(1, 7)) % len(functions)
            lines.append(f"{one}\t{other}\t{int(functions[one][0] == functions[other][0])}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = "\n".join(f"int {word}(int x) {{ {word}(); }}" for word in WORDS)
    return make_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint", words)


@pytest.mark.parametrize("joint", [False, True])
def test_pairs_are_told_apart_after_training(
    pairs: Path, checkpoint: Path, tmp_path: Path, joint: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"steps": 40, "batch": 16, "lr": 0.01, "embedding_lr": 0.01, "warmup": 4, "tokens": 48}
    config = tmp_path / "small.json"
    sections = {"base": "tiny", "clones": {**told, "joint": joint, "workers": 1}}
    config.write_text(json.dumps(sections))
    options = ["--checkpoint", checkpoint, "--data", pairs, "--config", config, "--out", tmp_path / "run"]
    assert main(["clones", *map(str, options)]) == 0
    found = json.loads((tmp_path / "run/clones.json").read_text())
    assert found and "0" not in found
    assert set(next(iter(found.values()))) == {"precision", "recall", "f1"}
    assert all(f"exit {depth}: F1" in capsys.readouterr().out for depth in list(found)[:1])
    if not joint:  # embeddings of the same words are near each other from the start
        assert max(one["f1"] for one in found.values()) > 0.8


def test_which_function_comes_first_does_not_matter() -> None:
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(between(first, second), between(second, first))


def test_pairs_without_what_is_needed_are_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--checkpoint", str(checkpoint), "--config", "tiny", "--out", str(tmp_path / "run")]
    assert main(["clones", *options, "--data", str(tmp_path)]) == 2
    write(tmp_path / "data.jsonl", [{"idx": "1", "func": "int f();"}])
    (tmp_path / "train.txt").write_text("1\t1\t1\n")
    assert main(["clones", *options, "--data", str(tmp_path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "data.jsonl is missing" in first and "without test.txt" in second
