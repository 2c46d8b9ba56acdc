"""Heads beside a trained exit 0: where they start, and what they weigh in the end."""

from __future__ import annotations

from pathlib import Path

import torch

from model.encoder import ModularStarEncoder
from tests.train.foreign import CORPUS, bert_tokenizer, save_bert
from train.align import GAINS, align_heads, fit_gains, pooled_states
from train.data import Pair
from train.pretrained import load_bert

WORDS = "read write parse open close retry json file index search query merge sort list tree node".split()
PAIRS = [Pair("text", f"{a} the {b}", f"def {a}_{b}(): return {b}", "python") for a in WORDS for b in WORDS]


def wrapped(folder: Path) -> ModularStarEncoder:
    torch.manual_seed(0)
    save_bert(folder)
    return load_bert(folder, (0, 2, 4), dimension=16, residual=True)


def test_the_deepest_exit_is_turned_towards_exit_0_and_not_bent(tmp_path: Path) -> None:
    model, tokenizer = wrapped(tmp_path), bert_tokenizer().backend_tokenizer

    def nearness() -> float:
        pooled = pooled_states(model, tokenizer, CORPUS * 4, 64)
        head = model.exit_head(4)
        rows = torch.nn.functional.normalize(pooled[4] @ head.proj.weight.T, dim=-1)
        return (rows * pooled[0]).sum(dim=-1).mean().item()

    before = nearness()
    align_heads(model, tokenizer, CORPUS * 4, 64)
    turn = model.exit_head(4).proj.weight
    torch.testing.assert_close(turn @ turn.T, torch.eye(len(turn)), atol=1e-4, rtol=0)
    assert nearness() > before


def test_a_gain_is_chosen_where_held_out_questions_find_their_code_best(tmp_path: Path) -> None:
    model, tokenizer = wrapped(tmp_path), bert_tokenizer().backend_tokenizer
    # The layers know nothing here: what they add can only hurt, so the least gain is the best.
    with torch.no_grad():
        for depth in (2, 4):
            model.exit_head(depth).proj.weight.normal_(generator=torch.Generator().manual_seed(1))
    chosen = fit_gains(model, tokenizer, PAIRS)
    assert set(chosen) == {2, 4}
    for depth, gain in chosen.items():
        assert gain in GAINS and model.exit_head(depth).gain.item() == torch.tensor(gain).item()
    assert chosen[4] < 1.0


def test_pooled_states_come_in_the_order_of_the_texts(tmp_path: Path) -> None:
    model, tokenizer = wrapped(tmp_path), bert_tokenizer().backend_tokenizer
    texts = ["a much longer text about json and files and parsing", "read", "open the file"]
    together = pooled_states(model, tokenizer, texts, 64, bf16=False)
    for row, text in enumerate(texts):
        alone = pooled_states(model, tokenizer, [text], 64, bf16=False)
        for depth, rows in together.items():
            torch.testing.assert_close(rows[row], alone[depth][0], atol=1e-4, rtol=0)
