"""Training in miniature: it learns, its exits share a space, a killed run goes on as if nothing had been."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from model.encoder import ModularStarEncoder
from train.bags import make_bags, pool, words_of
from train.config import read_config
from train.data import Pair, group_of
from train.encoding import encode, tokenize
from train.exit0 import Exit0Settings, Table, as_model, start_from, train_table
from train.logs import CURVE
from train.loop import Fit, FitSettings
from train.losses import Contrastive, exit_weights
from train.merge import merge_with_start
from train.teacher import starting_table
from train.tokenizer import train_tokenizer

# A toy language: each thing has a word in prose and another in code.
THINGS = [
    ("open", "fopen"),
    ("close", "unlink"),
    ("sort", "qsort"),
    ("find", "lookup"),
    ("sum", "total"),
    ("list", "array"),
    ("file", "stream"),
    ("user", "account"),
    ("date", "clock"),
    ("page", "view"),
]


def toy_pairs(n: int = 160) -> list[Pair]:
    rng = random.Random(1)
    pairs = []
    for number in range(n):
        some = rng.sample(THINGS, 2)
        prose, code = " the ".join(one[0] for one in some), "_".join(one[1] for one in some)
        pairs.append(Pair("text", prose, f"def {code}(x): return x", "python", source=f"repo{number % 4}"))
    return pairs


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([text for pair in toy_pairs() for text in (pair.query, pair.code)], 400)


def settings(**changed: object) -> FitSettings:
    return replace(read_config(Path("tiny")).fit, **changed)


def fresh(tokenizer: Tokenizer, **shape: object) -> ModularStarEncoder:
    torch.manual_seed(0)
    config = read_config(Path("tiny")).model_config(vocab_size=tokenizer.get_vocab_size(), **shape)
    model = ModularStarEncoder(config)
    model.heads["0"].is_word.copy_(torch.from_numpy(words_of(tokenizer)))
    return model


def hits(queries: np.ndarray, documents: np.ndarray) -> float:
    return float(((queries @ documents.T).argmax(axis=1) == np.arange(len(queries))).mean())


def test_a_tiny_model_learns_and_any_exit_finds_the_code_of_any_other(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = fresh(tokenizer, residual=True)
    run = Fit(model, tokenizer, toy_pairs(), settings(steps=100, lr=0.01, mixed=2.0), tmp_path)
    assert run.run()
    with (tmp_path / CURVE).open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert len(losses) == 100 and np.mean(losses[-5:]) < 0.2 * losses[0]
    seen = {pair.query: pair.code for pair in toy_pairs()}
    asked = encode(run.model, tokenizer, list(seen), bf16=False)
    found = encode(run.model, tokenizer, list(seen.values()), bf16=False)
    for a in run.model.depths:
        for b in run.model.depths:
            assert hits(asked[a], found[b]) > 0.4, f"exit {a} asks exit {b}"  # chance: 0.01


def test_a_killed_run_goes_on_to_the_same_weights(tokenizer: Tokenizer, tmp_path: Path) -> None:
    whole = Fit(fresh(tokenizer), tokenizer, toy_pairs(), settings(steps=12), tmp_path / "whole")
    assert whole.run()
    begun = Fit(fresh(tokenizer), tokenizer, toy_pairs(), settings(steps=12, minutes=1e-9), tmp_path / "cut")
    for _ in range(3):  # stops after every step, as a kill would
        assert not begun.run()
    assert [path.name for path in (tmp_path / "cut").glob("state-*")] == ["state-00000003"]
    resumed = Fit(fresh(tokenizer), tokenizer, toy_pairs(), settings(steps=12), tmp_path / "cut")
    assert resumed.step == 3
    assert resumed.run()
    for (name, one), other in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    steps = [line.split(",")[0] for line in (tmp_path / "cut" / CURVE).read_text().splitlines()[1:]]
    assert steps == [str(step) for step in range(1, 13)]


def test_every_pair_is_seen_once_an_epoch(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = Fit(fresh(tokenizer), tokenizer, toy_pairs(), settings(batch=40, group=4), tmp_path)
    epoch = np.concatenate([run.batches.rows(step) for step in range(4)])
    assert sorted(epoch) == list(range(160))
    assert not np.array_equal(epoch, np.concatenate([run.batches.rows(step) for step in range(4, 8)]))


def test_exit_0_alone_learns_and_its_checkpoint_answers_as_the_table_did(tokenizer: Tokenizer) -> None:
    pairs = toy_pairs()
    queries, documents = (
        make_bags([p.query for p in pairs], tokenizer),
        make_bags([p.code for p in pairs], tokenizer),
    )
    how = Exit0Settings(dimension=32, nested=(16,), batch=32, epochs=20, lr=0.02, weight_lr=0.02)
    table = Table(
        *starting_table(tokenizer, 32, [queries, documents], None),
        torch.from_numpy(words_of(tokenizer)),
        how.tf,
    )
    losses: list[float] = []
    groups = np.asarray([group_of(pair) for pair in pairs])
    train_table(
        table,
        [queries],
        [documents],
        np.zeros(len(pairs)),
        groups,
        how,
        lambda _, loss, __: losses.append(loss),
    )
    assert losses[-1] < 0.6 * losses[0]

    model = as_model(table, how, {})
    texts = [pair.code for pair in pairs[:20]]
    expected = pool(model.fold_exit0(), make_bags(texts, tokenizer), how.tf)
    np.testing.assert_allclose(expected, pool(table.folded(), make_bags(texts, tokenizer), how.tf), atol=1e-4)
    np.testing.assert_allclose(encode(model, tokenizer, texts, bf16=False)[0], expected, atol=1e-4)


def test_an_encoder_started_from_exit_0_keeps_it_while_the_deeper_exits_learn(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    how = Exit0Settings(dimension=32, nested=(16,))
    vectors, weights = starting_table(tokenizer, 32, [make_bags(["open file"], tokenizer)], None)
    exit0 = as_model(Table(vectors, weights, torch.from_numpy(words_of(tokenizer)), how.tf), how, {})
    config = read_config(Path("tiny")).model_config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, num_attention_heads=2
    )
    model = ModularStarEncoder(config)
    start_from(model, exit0)
    before = exit0.fold_exit0()
    torch.testing.assert_close(model.fold_exit0(), before)
    deeper = model.layers[0].mlp.c_fc.weight.detach().clone()
    assert Fit(model, tokenizer, toy_pairs(), settings(steps=3, keep_exit0=True), tmp_path).run()
    torch.testing.assert_close(model.fold_exit0(), before)
    assert not torch.equal(model.layers[0].mlp.c_fc.weight, deeper)


def test_the_contrastive_loss_is_the_textbook_one_and_so_is_its_gradient() -> None:
    torch.manual_seed(0)
    q, d = (torch.nn.functional.normalize(torch.randn(300, 8, dtype=torch.double), dim=-1) for _ in "qd")
    groups = torch.arange(300)
    groups[7] = groups[5]
    mine = [rows.clone().requires_grad_() for rows in (q, d)]
    loss = Contrastive(5.0)(*mine, groups)
    loss.backward()

    book = [rows.clone().requires_grad_() for rows in (q, d)]
    logits = 5.0 * book[0] @ book[1].T
    same = (groups[:, None] == groups[None, :]) & ~torch.eye(300, dtype=torch.bool)
    logits = logits.masked_fill(same, -1e9)
    target = torch.arange(300)
    cross_entropy = torch.nn.functional.cross_entropy
    expected = 0.5 * (cross_entropy(logits, target) + cross_entropy(logits.T, target))
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)
    for one, other in zip(mine, book, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_the_papers_weights_of_the_exits() -> None:
    assert exit_weights([4, 9, 18, 36], 36, 0.0) == {4: 4 / 36, 9: 0.25, 18: 0.5, 36: 1.0}
    assert exit_weights([0, 2, 4], 4, 0.5) == {0: 0.5, 2: 0.5, 4: 1.0}


def test_a_cut_text_keeps_its_closing_special(tokenizer: Tokenizer) -> None:
    ids = tokenize(tokenizer, ["open the file " * 20], 8)[0]
    assert len(ids) == 8 and ids[-1] == tokenizer.token_to_id("<cls>")


def test_merging_goes_from_the_start_to_the_end_of_a_run(tokenizer: Tokenizer) -> None:
    model = fresh(tokenizer)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 2.0)
    merge_with_start(model, {name: torch.zeros_like(value) for name, value in start.items()}, 0.75)
    assert all(torch.equal(p, torch.full_like(p, 1.5)) for p in model.parameters())
