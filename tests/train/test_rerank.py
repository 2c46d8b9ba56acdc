"""A reranker learns to tell answers from what a search confuses them with; a run goes on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model.reranker import Reranker, RerankerConfig
from train.data import Pair
from train.data.lines import CorpusError
from train.pretrained import PretrainedError
from train.rerank import Example, Rerank, RerankSettings, read_examples, start_reranker
from train.run import TrainingError
from train.tokenizer import train_tokenizer

COLOURS = ["red", "green", "blue", "black", "white", "brown", "pink", "grey"]
THINGS = ["lock", "cache", "socket", "file", "queue", "timer"]
# The words of a question and of its answer are never the same: what goes with what has to be learnt.
EXAMPLES = [
    Example(
        f"where is the {colour} {thing}?",
        (f"def open_{thing[::-1]}():\n    return {colour[::-1]}",),
        tuple(f"def open_{thing[::-1]}():\n    return {other[::-1]}" for other in COLOURS if other != colour),
    )
    for colour in COLOURS
    for thing in THINGS
]
PAIRS = [Pair("text", f"a {one}", f"return {one[::-1]}", "python") for one in COLOURS + THINGS]
SETTINGS = RerankSettings(
    steps=60,
    lr=2e-3,
    warmup=2,
    exits=(1, 2),
    dimension=16,
    questions=12,
    rivals=4,
    pairs=2,
    question_tokens=16,
    code_tokens=24,
    frozen=0,
    head_lr=2.0,
    bf16=False,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [text for one in EXAMPLES for text in (one.question, *one.right)]
    return train_tokenizer(texts, 400)


def fresh(tokenizer: Tokenizer) -> Reranker:
    torch.manual_seed(0)
    return Reranker(
        RerankerConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            exit_layers=[1, 2],
            dimension=16,
            nested_dimensions=[],
            pooling="mean",
            max_position_embeddings=32,
            initializer_range=0.1,
        )
    )


def test_every_exit_learns_which_answer_is_right(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, SETTINGS, tmp_path / "run")
    before = run.train_step()
    assert run.run()
    after = run.train_step()
    for depth in (1, 2):
        assert after[f"loss_{depth}"] < 0.7 * before[f"loss_{depth}"], depth
    assert after["first"] > before["first"]


def test_a_run_that_was_stopped_ends_with_the_same_weights(tokenizer: Tokenizer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=6)
    whole = Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, settings, tmp_path / "whole")
    assert whole.run()
    halves = tmp_path / "halves"
    first = replace(settings, minutes=1e-9)
    for _ in range(5):
        assert not Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, first, halves).run()
    last = Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, settings, halves)
    assert last.step == 5 and last.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, last.model.state_dict()[name]), name


def saved(folder: Path, tokenizer: Tokenizer, **told: object) -> Path:
    model = fresh(tokenizer)
    model.config.training = dict(told)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_a_trained_reranker_is_gone_on_from_with_its_weights_and_its_record(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    before = saved(tmp_path / "before", tokenizer, rerank={"steps": 7})
    model, words = start_reranker(before, SETTINGS, [], data="more pairs")
    for name, value in fresh(tokenizer).state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert words.get_vocab() == tokenizer.get_vocab()
    assert model.config.training == {
        "question_tokens": SETTINGS.question_tokens,
        "code_tokens": SETTINGS.code_tokens,
        "data": "more pairs",
        "before": {"rerank": {"steps": 7}},
    }
    settings = replace(SETTINGS, steps=1)
    assert Rerank(model, words, EXAMPLES, PAIRS, settings, tmp_path / "run").run()


def test_a_reranker_of_another_shape_or_damaged_is_one_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    before = saved(tmp_path / "before", tokenizer)
    with pytest.raises(PretrainedError, match=r"a reranker of exits \[1, 2\] and 16 values") as caught:
        start_reranker(before, replace(SETTINGS, exits=(2,)), [])
    assert "\n" not in str(caught.value)
    (before / "tokenizer.json").unlink()
    with pytest.raises(PretrainedError, match="before"):
        start_reranker(before, SETTINGS, [])


def test_what_is_frozen_stays(tokenizer: Tokenizer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=3, frozen=1)
    model = fresh(tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert Rerank(model, tokenizer, EXAMPLES, PAIRS, settings, tmp_path / "run").run()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("layers.1.") for name in changed)
    assert not any(name.startswith(("layers.0.", "embed_tokens")) for name in changed)


def test_each_question_comes_once_before_any_comes_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, SETTINGS, tmp_path / "run")
    asked: list[str] = []
    for run.step in range(len(EXAMPLES) // SETTINGS.questions):
        asked += run.batch().questions[: SETTINGS.questions]
    assert sorted(asked) == sorted(one.question for one in EXAMPLES)


@pytest.mark.parametrize(
    "line", ["", "{", '{"text": "a"}', '{"text": "a", "right": 3, "wrong": []}', "[1]"], ids=range(5)
)
def test_another_file_is_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "answers.jsonl").write_text(f"{line}\n")
    with pytest.raises(CorpusError, match=r"answers\.jsonl"):
        read_examples(tmp_path / "answers.jsonl")


def test_examples_are_read_as_written(tmp_path: Path) -> None:
    rows = [one._asdict() for one in EXAMPLES[:3]]
    lines = [
        json.dumps({"text": row["question"], "right": row["right"], "wrong": row["wrong"]}) for row in rows
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines) + "\n")
    assert read_examples(tmp_path / "answers.jsonl") == EXAMPLES[:3]


def test_texts_longer_than_the_model_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, code_tokens=99)
    with pytest.raises(TrainingError, match="texts of 99 tokens"):
        Rerank(fresh(tokenizer), tokenizer, EXAMPLES, PAIRS, settings, tmp_path / "run")
    with pytest.raises(TrainingError, match="no examples"):
        Rerank(fresh(tokenizer), tokenizer, [], PAIRS, SETTINGS, tmp_path / "run")
