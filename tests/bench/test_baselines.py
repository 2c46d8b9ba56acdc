"""Published encoders, and a bundle's checkpoint, stand beside its exits; their vectors are encoded once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from bench import flat
from bench.baselines import Baseline, BaselineError, CheckpointEncoder, split_identifiers
from bench.vectors import Embeddings, VectorCache
from model.encoder import load_checkpoint
from model.tokenizer import load_tokenizer
from tests.export.tiny_checkpoint import make_checkpoint

WORDS = ["[PAD]", "[UNK]", "parse", "json", "open", "window", "the", "query", ":", "file"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT in miniature, laid out as encoders are published."""
    folder = tmp_path_factory.mktemp("published") / "mini-encoder"
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), pad_token_id=0, **shape)).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 4}))
    return folder


def test_texts_of_any_length_get_the_vector_they_have_alone(published: Path) -> None:
    encoder = Baseline(published)
    texts = ["parse the json", "open", "open the window", "json file", ""]
    together, alone = encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts])
    assert together.shape == (5, 16)
    assert np.allclose(together[:4], alone[:4], atol=0.02)  # bfloat16
    assert np.allclose(np.linalg.norm(together[:4], axis=1), 1, atol=1e-3)
    assert np.isfinite(together).all()


def test_no_more_of_a_text_is_read_than_was_published(published: Path) -> None:
    encoder = Baseline(published)
    short, long = encoder.encode(["parse the json file", "parse the json file open window"])
    assert np.allclose(short, long, atol=0.02)


def test_prompts_are_those_of_the_folder_and_else_those_given(published: Path, tmp_path: Path) -> None:
    plain, prompted = Baseline(published), Baseline(published, prompts={"query": "query: ", "code": ""})
    assert np.allclose(plain.encode(["query: json"]), prompted.encode(["json"], role="query"), atol=0.02)
    assert np.allclose(plain.encode(["json"]), prompted.encode(["json"], role="code"), atol=0.02)
    folder = tmp_path / "prompted"
    folder.mkdir()
    for file in published.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    told = {"prompts": {"query": "open the ", "document": "window "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(told))
    own = Baseline(folder, prompts={"query": "query: ", "code": ""})
    assert np.allclose(plain.encode(["open the json"]), own.encode(["json"], role="query"), atol=0.02)
    assert np.allclose(plain.encode(["window json"]), own.encode(["json"]), atol=0.02)
    assert len({plain.digest, prompted.digest, own.digest}) == 3  # vectors are never taken for another's


def test_split_identifiers_are_words() -> None:
    assert split_identifiers("parseJson(raw_text) // HTTPAdapter") == "parse json(raw text) // http adapter"


def test_a_split_baseline_reads_words(published: Path) -> None:
    plain, split = Baseline(published), Baseline(published, split=True)
    assert split.name == f"{plain.name}, split"
    assert np.allclose(split.encode(["parseJson"]), plain.encode(["parse json"]), atol=0.02)
    assert not np.allclose(plain.encode(["parseJson"]), plain.encode(["parse json"]), atol=0.02)


def test_a_folder_that_holds_no_encoder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BaselineError) as caught:
        Baseline(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_checkpoint_answers_as_itself_and_a_question_leans_on_exit_0(tmp_path: Path) -> None:
    source = "def parse_json(text):\n    return loads(text)\n\ndef open_window(title): show(title)\n"
    folder = make_checkpoint(tmp_path / "checkpoint", source, residual=True, query_ground=3.0)
    model, tokenizer = load_checkpoint(folder).eval(), load_tokenizer(folder)
    encoder = CheckpointEncoder(folder, 64)
    texts = ["open_window(title)", "parse"]
    for depth in model.depths:
        for role, ground in (("code", 1.0), ("query", 3.0)):
            rows = encoder.encode(texts, depth, role)  # type: ignore[arg-type]
            for text, row in zip(texts, rows, strict=True):
                ids = torch.tensor([tokenizer.encode(text).ids])
                with torch.inference_mode():
                    truth = model(ids, torch.ones_like(ids), [depth], ground)[depth][0].numpy()
                assert np.allclose(row, truth, atol=1e-5)
    with pytest.raises(BaselineError, match="no exit 2"):
        encoder.encode(texts, 2)
    with pytest.raises(BaselineError):
        CheckpointEncoder(tmp_path / "none", 64)


class Counting:
    """An encoder that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], depth: int = 0, role: str = "code") -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text), depth, role == "code"] for text in texts], np.float32)


def test_a_text_is_encoded_once_per_encoder_exit_and_role_over_all_runs(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "vectors.db"
    for run in range(2):
        encoder = Counting()
        embeddings = Embeddings(encoder, "one", VectorCache(path))
        assert embeddings.of(["a", "bb", "a"], 0, "code").tolist() == [[1, 0, 1], [2, 0, 1], [1, 0, 1]]
        assert embeddings.of(["a"], 4, "code").tolist() == [[1, 4, 1]]
        assert embeddings.of(["a"], 0, "query").tolist() == [[1, 0, 0]]
        assert encoder.asked == ([] if run else ["a", "bb", "a", "a"])
    other = Counting()
    Embeddings(other, "another", VectorCache(path)).of(["a"], 0, "code")
    assert other.asked == ["a"]


def test_a_run_reads_while_another_writes(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    VectorCache(path).put("one", {"a": np.ones(2, np.float32)})
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM vectors")
    assert VectorCache(path).get("one", ["a", "b"])["a"].tolist() == [1, 1]


def test_the_command_scores_a_published_encoder_and_keeps_its_vectors(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "eval" / "toy"
    folder.mkdir(parents=True)
    (folder / "queries.jsonl").write_text(json.dumps({"id": "q", "text": "parse json", "lang": "python"}))
    documents = [{"id": f"d{i}", "code": code, "lang": "python"} for i, code in enumerate(["json", "window"])]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t1\n")
    out, cache = tmp_path / "results", tmp_path / "vectors.db"
    told = ["--eval", str(folder.parent), "--out", str(out), "--cache", str(cache), "--split"]
    assert flat.main([*told, "--baseline", str(published), "query: ", ""]) == 0
    (written,) = out.glob("*-flat-baselines-*.json")
    record = json.loads(written.read_text(encoding="utf-8"))
    systems = record["results"]["sets"]["toy"]["systems"]
    names = ["mini-encoder", "mini-encoder, split"]
    assert list(systems) == ["BM25", *(f"{name}{what}" for name in names for what in ("", " + BM25"))]
    assert {f"baseline {name}" for name in names} < set(record["inputs"])
    assert cache.is_file() and str(tmp_path) not in json.dumps(record)
    capsys.readouterr()
    assert flat.main([*told, "--baseline", str(published), "query: "]) == 2
    assert flat.main([*told, "--baseline", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
