"""Training as the paper has it: its loss, its schedule, its prompts."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder, load_checkpoint
from model.prompts import Prompts
from tests.train.test_learning import toy_pairs
from train.config import TrainConfig, read_config
from train.data import Augmentation, Pair
from train.evaluate import FlatSet, encode_sets
from train.loop import Fit, FitSettings
from train.pretrain import PretrainSettings
from train.published import CODE_PROMPT, QUERY_PROMPT
from train.run import Run, TrainingError
from train.stages import save
from train.tokenizer import train_tokenizer

TINY = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([text for pair in toy_pairs() for text in (pair.query, pair.code)], 400)


@pytest.fixture(scope="module")
def paper() -> TrainConfig:
    return read_config(Path("modstar-1b"))


def small(paper: TrainConfig, tokenizer: Tokenizer, **shape: object) -> ModularStarEncoder:
    """The paper's encoder with its exits a ninth as deep."""
    torch.manual_seed(0)
    told = TINY | {"num_hidden_layers": 4, "exit_layers": [1, 2, 4], "dimension": 32}
    config = paper.changed(model=told | shape).model_config(vocab_size=tokenizer.get_vocab_size())
    config.training = paper.prompts.told()
    return ModularStarEncoder(config)


def run_of(
    paper: TrainConfig, model: ModularStarEncoder, tokenizer: Tokenizer, folder: Path, **changed: object
) -> Fit:
    given = {
        "batch": 8,
        "steps": 3,
        "query_tokens": 200,
        "code_tokens": 200,
        "slice_tokens": 2048,
        "workers": 1,
    }
    settings: FitSettings = replace(paper.fit, **(given | changed))  # type: ignore[arg-type]
    still = Augmentation(**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0))
    return Fit(model, tokenizer, toy_pairs(), settings, folder, still)


def by_hand(vectors: dict[int, Tensor], layers: int, scale: float) -> float:
    """Sum over exits of i/n times the symmetric cross-entropy of all cosines of a batch."""
    total = 0.0
    for depth, rows in vectors.items():
        queries, documents = rows.chunk(2)
        logits, wanted = scale * queries @ documents.T, torch.arange(len(queries))
        both = F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)
        total += depth / layers * both.item() / 2
    return total


def test_the_1b_configuration_trains_with_the_papers_loss(
    paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = small(paper, tokenizer)
    run = run_of(paper, model, tokenizer, tmp_path, bf16=False)
    rows = np.array([0, 1, 2, 3, 3, 5, 6, 7])  # one pair twice: the paper has it among the negatives
    vectors = {depth: F.normalize(torch.randn(16, 32), dim=-1) for depth in model.depths}
    loss, told = run.losses({depth: both.clone() for depth, both in vectors.items()}, rows)
    assert loss.item() == pytest.approx(by_hand(vectors, 4, 10.0), rel=1e-5)
    assert set(told) == {"loss_1", "loss_2", "loss_4"}  # nothing else is minimised
    assert paper.model["nested_dimensions"] == [] and not paper.fit.int8_noise
    assert (paper.fit.batch, paper.fit.steps, paper.fit.lr) == (2048, 20_000, 1e-5)


def test_it_takes_a_part_of_ours_when_told(paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = small(paper, tokenizer, nested_dimensions=[16])
    vectors = {depth: F.normalize(torch.randn(16, 32), dim=-1) for depth in model.depths}
    rows = np.array([0, 1, 2, 3, 3, 5, 6, 7])
    plain = run_of(paper, small(paper, tokenizer), tokenizer, tmp_path / "a", bf16=False)
    told = {
        "noise": run_of(
            paper, small(paper, tokenizer), tokenizer, tmp_path / "b", bf16=False, int8_noise=True
        ),
        "nested": run_of(paper, model, tokenizer, tmp_path / "c", bf16=False),
        "mean": run_of(paper, small(paper, tokenizer), tokenizer, tmp_path / "d", bf16=False, summed=False),
        "spared": run_of(
            paper, small(paper, tokenizer), tokenizer, tmp_path / "e", bf16=False, spare_groups=True
        ),
    }
    loss = plain.losses(vectors, rows)[0].item()
    for name, run in told.items():
        assert run.losses(vectors, rows)[0].item() != pytest.approx(loss, rel=1e-6), name
    mean = told["mean"].losses(vectors, rows)[0].item()
    assert mean == pytest.approx(loss / (0.25 + 0.5 + 1.0), rel=1e-5)


def rates(settings: PretrainSettings | FitSettings, steps: list[int]) -> list[float]:
    """What the schedule makes of the peak at some steps."""
    run = object.__new__(Fit)
    run.plan = settings
    found = []
    for step in steps:
        run.step = step
        found.append(Run._rate(run))
    return found


def test_the_rate_falls_at_the_papers_milestones(paper: TrainConfig) -> None:
    steps = [0, 1999, 3999, 4000, 119_999, 120_000, 184_999, 185_000, 220_000, 230_000, 240_000, 244_999]
    assert rates(paper.pretrain, steps) == [
        *(pytest.approx(one) for one in (1 / 4000, 0.5, 1.0)),
        *(1.0, 1.0, 0.36, 0.36, 0.1, 0.031, 0.01, 0.001, 0.001),
    ]
    assert rates(replace(paper.fit, warmup=0), [0, 19_999]) == [1.0, 1.0]


def test_a_run_follows_its_milestones(paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path) -> None:
    changed = {"warmup": 0, "steps": 4, "milestones": (2, 3), "factors": (0.5, 0.1), "lr": 0.01}
    assert run_of(paper, small(paper, tokenizer), tokenizer, tmp_path, **changed).run()
    with (tmp_path / "curve.csv").open(newline="") as stream:
        curve = list(csv.DictReader(stream))
    assert [float(row["lr"]) for row in curve] == pytest.approx([0.01, 0.01, 0.005, 0.001])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"milestones": (2, 3), "factors": (0.5,)}, "1 factors for 2 milestones"),
        ({"milestones": (3, 2), "factors": (0.5, 0.1)}, "must rise"),
        ({"schedule": "cosine", "milestones": (3,), "factors": (0.5,)}, 'belong to the schedule "steps"'),
    ],
)
def test_milestones_that_are_no_schedule_are_one_line(
    paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        run_of(paper, small(paper, tokenizer), tokenizer, tmp_path, **changed)


def test_queries_and_code_are_read_behind_the_papers_prompts(
    paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    assert paper.prompts == Prompts(QUERY_PROMPT, CODE_PROMPT, paired=True)
    run = run_of(paper, small(paper, tokenizer), tokenizer, tmp_path)
    pair = toy_pairs()[0]
    asked, found = run._as_read(pair, random.Random(0))
    assert asked == (QUERY_PROMPT, pair.query)
    assert found == ("Represent this python code snippet for retrieval:", pair.code)
    code = Pair("code", "int f();", pair.code, "python")
    assert run._as_read(code, random.Random(0))[0] == (
        "Represent this code snippet for retrieval:",
        "int f();",
    )
    framed = tokenizer.encode(*asked).tokens
    assert framed[0] == "<sep>" and framed.count("<sep>") == 2 and framed[-1] == "<cls>"


def test_a_checkpoint_keeps_its_prompts_and_is_scored_behind_them(
    paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = small(paper, tokenizer)
    run = run_of(paper, model, tokenizer, tmp_path / "run", query_tokens=200, code_tokens=200)
    assert run.run()
    save(model, tokenizer, tmp_path / "checkpoint")
    told = json.loads((tmp_path / "checkpoint/config.json").read_text())["training"]
    assert (
        told["prompts"]["code"] == "Represent this code snippet for retrieval:"
    )  # an index names no language
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert Prompts.of(loaded.config.training) == paper.prompts
    same = ["open the file"]
    flat = FlatSet("toy", same, same, [np.array([0])], [frozenset({0})])
    queries, documents = encode_sets(loaded, tokenizer, [flat], 200)["toy"]
    assert not np.allclose(queries[4], documents[4], atol=1e-4)


def test_exit_0_reads_no_prompts(paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = small(paper, tokenizer, exit_layers=[0, 2, 4])
    with pytest.raises(TrainingError, match="exit 0 reads words and no prompts"):
        run_of(paper, model, tokenizer, tmp_path)


def test_a_prompt_that_leaves_no_room_for_a_text_is_one_line(
    paper: TrainConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="query_tokens 16 leave no room"):
        run_of(paper, small(paper, tokenizer), tokenizer, tmp_path, query_tokens=16)


def test_a_text_behind_another_is_no_pair() -> None:
    prompts = Prompts("query: ", "", paired=False)
    assert prompts.before(["a"], "query") == ["query: a"] and prompts.before(["a"], "code") == ["a"]
    assert Prompts.of(ModularStarConfig(training=prompts.told()).training) == prompts
    assert not Prompts().told()
