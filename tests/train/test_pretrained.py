"""Foreign encoders in our classes: the same states, another vocabulary, exits; errors in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from model.encoder import ModularStarEncoder, load_checkpoint
from tests.train.foreign import CORPUS, SHAPE, bert_tokenizer, bpe_tokenizer, save_bert
from train.encoding import encode
from train.exit0 import Exit0Settings, Table, as_model
from train.pretrained import PretrainedError, load_bert, load_fast_tokenizer, transplanted
from train.tokenizer import train_tokenizer
from train.wrap import fit_early_exits, wrap

IDS = torch.tensor([[2, 17, 8, 30, 9, 3], [2, 11, 40, 3, 0, 0]])
MASK = (IDS != 0).long()


def roberta() -> PreTrainedModel:
    shape = SHAPE | {"max_position_embeddings": 66}
    return RobertaModel(RobertaConfig(vocab_size=160, type_vocab_size=1, pad_token_id=1, **shape))


def distilbert() -> PreTrainedModel:
    return DistilBertModel(
        DistilBertConfig(
            vocab_size=160, dim=32, n_layers=4, n_heads=4, hidden_dim=96, max_position_embeddings=64
        )
    )


def tanh_bert() -> PreTrainedModel:
    return BertModel(BertConfig(vocab_size=160, hidden_act="gelu_new", layer_norm_eps=1e-5, **SHAPE))


@pytest.mark.parametrize("make", [lambda: None, tanh_bert, roberta, distilbert])
def test_every_layer_has_the_states_it_has_in_transformers(
    tmp_path: Path, make: Callable[[], PreTrainedModel | None]
) -> None:
    theirs = save_bert(tmp_path, make())
    # RoBERTa tells padding by its id, 1, and counts positions by it.
    ids = IDS.masked_fill(MASK == 0, theirs.config.pad_token_id)
    ours = load_bert(tmp_path, (2, 4))
    with torch.no_grad():
        expected = theirs(ids, MASK, output_hidden_states=True).hidden_states
        found = dict(ours.states(ids, MASK, upto=4))
    kept = MASK.bool()
    for layer in range(1, 5):
        torch.testing.assert_close(found[layer][kept], expected[layer][kept], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("told", "take"), [("pooling_mode_mean_tokens", None), ("pooling_mode_cls_token", 0)]
)
def test_the_deepest_exit_answers_as_the_published_model(tmp_path: Path, told: str, take: int | None) -> None:
    theirs = save_bert(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({told: True}))
    ours = load_bert(tmp_path, (0, 2, 4))
    with torch.no_grad():
        states = theirs(IDS, MASK).last_hidden_state
        mean = (states * MASK[:, :, None]).sum(1) / MASK.sum(1, keepdim=True)
        pooled = mean if take is None else states[:, take]
        torch.testing.assert_close(
            ours(IDS, MASK)[4], torch.nn.functional.normalize(pooled, dim=-1), atol=1e-5, rtol=1e-4
        )


def test_a_wrapped_encoder_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    ours = load_bert(tmp_path / "bert", (0, 1, 4), dimension=16, residual=True)
    ours.save_pretrained(tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved")
    before, after = ours(IDS, MASK), again.eval()(IDS, MASK)
    assert again.config.residual and list(before) == [0, 1, 4]
    for depth, rows in before.items():
        assert rows.shape == (2, 16) and torch.equal(rows, after[depth])
        torch.testing.assert_close(ours.truncated(depth)(IDS, MASK), rows)


def test_a_residual_exit_is_exit_0_when_its_gain_is_nothing(tmp_path: Path) -> None:
    save_bert(tmp_path)
    ours = load_bert(tmp_path, (0, 2), residual=True)
    with torch.no_grad():
        ours.exit_head(2).gain.zero_()
    found = ours(IDS, MASK)
    torch.testing.assert_close(found[2], found[0])


# ---- another vocabulary ------------------------------------------------------------------------------


def test_a_piece_keeps_its_row_or_gets_the_mean_of_the_pieces_that_spell_it() -> None:
    old, new = bert_tokenizer().backend_tokenizer, train_tokenizer(CORPUS * 3, 220)
    old.no_padding()
    known, vocabulary = old.get_vocab(), new.get_vocab()
    rows = torch.randn(old.get_vocab_size(), 8, generator=torch.Generator().manual_seed(0))
    found = transplanted(rows, old, new)
    assert found.shape == (new.get_vocab_size(), 8) and found.isfinite().all()
    common = [piece for piece in vocabulary if piece in known]
    assert len(common) > 50
    for piece in common:
        assert torch.equal(found[vocabulary[piece]], rows[known[piece]])
    # what opens a text, what closes it, and padding
    assert torch.equal(found[vocabulary["<sep>"]], rows[known["[CLS]"]])
    assert torch.equal(found[vocabulary["<cls>"]], rows[known["[SEP]"]])
    assert torch.equal(found[vocabulary["<pad>"]], rows[known["[PAD]"]])
    whole = next(p for p in vocabulary if p not in known and p.isalpha() and len(p) > 3)
    spelt = [known[token] for token in old.encode(whole, add_special_tokens=False).tokens]
    torch.testing.assert_close(found[vocabulary[whole]], rows[spelt].mean(0))
    inner = next(p for p in vocabulary if p not in known and p.startswith("##") and p[2:].isalpha())
    letters = [known[piece] for piece in _inside(inner[2:], known)]
    torch.testing.assert_close(found[vocabulary[inner]], rows[letters].mean(0))


def _inside(text: str, known: dict[str, int]) -> list[str]:
    """Greedy longest '##' pieces."""
    found = []
    while text:
        end = next(end for end in range(len(text), 0, -1) if f"##{text[:end]}" in known)
        found.append(f"##{text[:end]}")
        text = text[end:]
    return found


def test_a_new_vocabulary_comes_with_its_trained_exit_0(tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    tokenizer = train_tokenizer(CORPUS * 3, 220)
    size = tokenizer.get_vocab_size()
    counted = torch.ones(size)
    counted[:5] = 0
    table = Table(torch.randn(size, 16), torch.rand(size) + 0.1, counted, "log1p")
    exit0 = as_model(table, Exit0Settings(dimension=16, nested=(8,), tf="log1p"), {})
    exit0.save_pretrained(tmp_path / "exit0")
    model = load_bert(tmp_path / "bert", (0, 2, 4), tokenizer, tmp_path / "exit0")
    assert model.config.dimension == 16 and model.config.exit0_tf == "log1p"
    torch.testing.assert_close(model.fold_exit0(), exit0.fold_exit0())
    texts = ["parse json", "close the window"]
    expected, found = (encode(one, tokenizer, texts, exits=[0], bf16=False)[0] for one in (exit0, model))
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(expected))


# ---- early exits -------------------------------------------------------------------------------------


def test_fitted_early_exits_lie_where_the_deepest_does(tmp_path: Path) -> None:
    save_bert(tmp_path)
    tokenizer = load_fast_tokenizer(tmp_path).backend_tokenizer
    words = (
        "parse json read file close window retry upload sort values write them class path open load".split()
    )
    texts = [" ".join(words[n % 7 :: 1 + n % 5]) + f" {words[n % 16]} {n % 10}" for n in range(200)]

    def nearness(model: ModularStarEncoder) -> dict[int, float]:
        found = encode(model, tokenizer, texts, bf16=False)
        return {depth: float((rows * found[4]).sum(1).mean()) for depth, rows in found.items()}

    model = load_bert(tmp_path, (0, 2, 4))
    before = nearness(model)
    fit_early_exits(model, tokenizer, texts)
    after = nearness(model)
    assert after[4] == pytest.approx(1.0, abs=1e-4)
    assert after[2] > max(before[2], 0.9) and after[0] > max(before[0], 0.8)


def test_wrap_writes_a_checkpoint_and_nothing_over_another(tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    told = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (tmp_path / "bert" / "config_sentence_transformers.json").write_text(json.dumps(told))
    (tmp_path / "code").mkdir()
    for number in range(12):
        (tmp_path / "code" / f"m{number}.py").write_text(
            f"def parse_{number}(path):\n    return json.load(path)\n"
        )
    line = wrap(tmp_path / "bert", tmp_path / "out", sources=tmp_path / "code")
    assert "exits 0, 1, 3, 4" in line
    model = load_checkpoint(tmp_path / "out")
    assert model.depths == [0, 1, 3, 4]
    assert model.config.training["prompts"] == {"query": "query: ", "code": "passage: "}
    with pytest.raises(PretrainedError, match="nothing is written over"):
        wrap(tmp_path / "bert", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "code", "out"]


# ---- bad input ---------------------------------------------------------------------------------------


def change(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no model here"),
        (lambda folder: (folder / "config.json").write_text("[1"), "not readable as JSON"),
        (lambda folder: change(folder, model_type="mpnet"), "a 'mpnet'; what can be wrapped is one of"),
        (lambda folder: change(folder, model_type="gpt2"), "a 'gpt2'"),
        (lambda folder: halve(folder / "model.safetensors"), "not readable"),
        (lambda folder: (folder / "model.safetensors").unlink(), "not readable"),
        (lambda folder: change(folder, num_hidden_layers=5), "missing"),
        (lambda folder: change(folder, hidden_act="silu"), "activation 'silu'"),
        (lambda folder: change(folder, position_embedding_type="relative_key"), "relative_key"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no usable tokenizer"),
    ],
)
def test_what_cannot_be_wrapped_is_said_in_one_line(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    save_bert(tmp_path / "bert")
    damage(tmp_path / "bert")
    with pytest.raises(PretrainedError, match=message) as caught:
        wrap(tmp_path / "bert", tmp_path / "out", (0, 2, 4))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


@pytest.mark.parametrize("exits", [(0, 5), (), (0, -1)])
def test_impossible_exits_are_said_in_one_line(tmp_path: Path, exits: tuple[int, ...]) -> None:
    save_bert(tmp_path)
    with pytest.raises(PretrainedError, match=r"exit_layers .* must lie in 0\.\.4"):
        load_bert(tmp_path, exits)


def test_exit_0_is_refused_where_pieces_are_no_wordpieces(tmp_path: Path) -> None:
    save_bert(tmp_path)
    bpe_tokenizer(["<s>", "</s>", "<pad>", "<unk>"]).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(PretrainedError, match="exit 0 needs a tokenizer of WordPieces"):
        load_bert(tmp_path, (0, 2))
    assert load_bert(tmp_path, (2, 4)).depths == [2, 4]
