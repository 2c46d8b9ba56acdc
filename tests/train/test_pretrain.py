"""Pre-training in miniature: both tasks are learnt at every exit, and a broken corpus is one line."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model.encoder import ModularStarEncoder, load_checkpoint
from train.config import read_config
from train.data import CorpusError
from train.pretrain import HEADS, IGNORED, Pretrain, Window, example, read_windows
from train.run import TrainingError
from train.tokenizer import train_tokenizer

# Each repository speaks of its own things.
WORDS = {
    "files": "open close read write stream path folder".split(),
    "shop": "cart price order customer invoice stock refund".split(),
}


def toy_windows(n: int = 60) -> list[Window]:
    rng = random.Random(3)
    windows = []
    for number in range(n):
        source = list(WORDS)[number % 2]
        some = [" ".join(rng.choices(WORDS[source], k=5)) for _ in range(4)]
        windows.append(Window(tuple(some), source))
    return windows


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([one for window in toy_windows() for one in window.snippets], 150)


def test_masked_words_and_windows_are_learnt_at_every_exit(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = read_config(Path("tiny"))
    torch.manual_seed(0)
    model = ModularStarEncoder(config.model_config(vocab_size=tokenizer.get_vocab_size()))
    settings = replace(config.pretrain, steps=120, batch=16, warmup=10, workers=1)
    run = Pretrain(model, tokenizer, toy_windows(), settings, tmp_path / "run")
    first = run.train_step()
    assert run.run()
    run.step = 0  # the very examples of the first step again
    again = run.train_step()
    for e in (1, 2):
        assert again[f"mlm_{e}"] < 0.8 * first[f"mlm_{e}"]
        assert again[f"right_{e}"] > 0.8
    run.save(tmp_path / "saved")
    assert load_checkpoint(tmp_path / "saved").depths == [0, 1, 2] and (tmp_path / "saved" / HEADS).is_file()


def test_an_example_masks_words_only_and_says_whether_it_is_of_one_repository(tokenizer: Tokenizer) -> None:
    settings = replace(read_config(Path("tiny")).pretrain, masked=0.5, tokens=64)
    windows = toy_windows()
    seen = set()
    for number in range(40):
        one = example(windows, number, tokenizer, random.Random(number), settings)
        assert len(one.ids) == len(one.labels) <= 64
        assert one.ids[-1] == tokenizer.token_to_id("<cls>")
        originals = [b if b != IGNORED else a for a, b in zip(one.ids, one.labels, strict=True)]
        text = tokenizer.decode(originals)
        held = {source for source, words in WORDS.items() if any(word in text.split() for word in words)}
        assert one.same == (len(held) == 1)
        seen.add(one.same)
    assert seen == {True, False}


def test_broken_lines_cost_no_more_than_themselves(tmp_path: Path) -> None:
    rows = [json.dumps({"snippets": ["a", "b"], "src": "r"}), "broken", '{"snippets": 3, "src": "r"}', "[]"]
    (tmp_path / "windows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert list(read_windows(tmp_path)) == [Window(("a", "b"), "r")]
    with pytest.raises(CorpusError, match="no windows"):
        list(read_windows(tmp_path / "nowhere"))


def test_windows_of_one_repository_are_refused_in_one_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = read_config(Path("tiny"))
    model = ModularStarEncoder(config.model_config(vocab_size=tokenizer.get_vocab_size()))
    alike = [window for window in toy_windows() if window.source == "shop"]
    with pytest.raises(TrainingError, match=r"all 30 windows are of one repository \(shop\)"):
        Pretrain(model, tokenizer, alike, config.pretrain, tmp_path)
    masked_words_alone = replace(config.pretrain, icc=0.0, steps=1)
    assert Pretrain(model, tokenizer, alike, masked_words_alone, tmp_path / "mlm").run()


def test_windows_longer_than_the_model_are_refused_in_one_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = read_config(Path("tiny"))
    model = ModularStarEncoder(config.model_config(vocab_size=tokenizer.get_vocab_size()))
    with pytest.raises(TrainingError, match="positions"):
        Pretrain(model, tokenizer, toy_windows(), replace(config.pretrain, tokens=4096), tmp_path)
