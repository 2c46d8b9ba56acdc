"""How a checkpoint is scored: sets cut down, texts encoded once, questions asked as the runtime asks them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.encoder import ModularStarEncoder, load_checkpoint
from model.tokenizer import load_tokenizer
from tests.export.tiny_checkpoint import make_checkpoint
from train.encoding import encode
from train.evaluate import FlatSet, encode_sets, load_flat_set, score_vectors, smaller

SOURCE = "def parse_json(text):\n    return loads(text)\n\ndef open_window(title): show(title)\n"


def toy(name: str = "toy_t2c", code_to_code: bool = False) -> FlatSet:
    """Six documents, of which the even ones are one query's candidates and all are the other's."""
    documents = [f"def {word}_json(text): pass" for word in ("a", "open", "parse", "show", "load", "b")]
    return FlatSet(
        name,
        ["parse json", "show json"],
        documents,
        [np.array([0, 2, 4]), np.arange(6)],
        [frozenset({2}), frozenset({3})],
        code_to_code,
    )


def test_a_smaller_set_keeps_the_answers_and_asks_among_the_same_candidates() -> None:
    flat = toy()
    small = smaller(flat, 4)
    assert len(small.documents) == 4
    for at in range(2):
        answers = {small.documents[row] for row in small.relevant[at]}
        assert answers == {flat.documents[row] for row in flat.relevant[at]}
        candidates = {small.documents[row] for row in small.candidates[at]}
        allowed = {flat.documents[row] for row in flat.candidates[at]}
        assert answers <= candidates == allowed & set(small.documents)
    assert smaller(flat, 0) is flat and smaller(flat, 6) is flat
    assert len(smaller(flat, 1).documents) == 2  # the answers, whatever is asked
    assert smaller(flat, 4).documents == small.documents


def test_recall_at_1_is_told_beside_ndcg() -> None:
    queries = np.eye(6, dtype=np.float32)[[2, 1]]
    scores = score_vectors(toy(), queries, np.eye(6, dtype=np.float32))
    assert scores.per_query["first"].tolist() == [1, 0] and scores.first == 0.5
    assert scores.per_query["ndcg"][0] == 1


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    return make_checkpoint(folder, SOURCE, residual=True, query_ground=3.0)


def test_questions_in_prose_lean_on_exit_0_and_code_that_asks_does_not(checkpoint: Path) -> None:
    model, tokenizer = load_checkpoint(checkpoint), load_tokenizer(checkpoint)
    prose, code = toy(), toy("toy_c2c", code_to_code=True)
    found = encode_sets(model, tokenizer, [prose, code], 64)
    plain = encode(model, tokenizer, prose.queries, 64, bf16=False)
    assert isinstance(model, ModularStarEncoder) and sorted(found[prose.name][0]) == model.depths
    cosine = {name: {e: (found[name][0][e] * plain[e]).sum(axis=1) for e in model.depths} for name in found}
    assert np.allclose(cosine[code.name][3], 1, atol=2e-3) and np.allclose(
        cosine[prose.name][0], 1, atol=2e-3
    )
    assert (cosine[prose.name][3] < 0.99).all()
    towards_exit_0 = [(rows[0][3] * plain[0]).sum(axis=1) for rows in (found[prose.name], found[code.name])]
    assert (towards_exit_0[0] > towards_exit_0[1]).all()
    assert np.allclose(found[prose.name][1][3], found[code.name][1][3])  # one encoding for both


def test_code_that_asks_wants_one_other_language(tmp_path: Path) -> None:
    folder = tmp_path / "toy_c2c"
    folder.mkdir()
    documents = [{"id": f"{at}{lang}", "lang": lang, "code": f"{lang} {at}"} for at in "xy" for lang in "pj"]
    queries = [{"id": f"q{one['id']}", "lang": one["lang"], "text": one["code"]} for one in documents]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    pairs = [f"q{at}{a}\t{at}{b}\t1" for at in "xy" for a, b in ("pj", "jp")]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(pairs))
    flat = load_flat_set(tmp_path, "toy_c2c")
    assert flat.code_to_code
    for text, pool in zip(flat.queries, flat.candidates, strict=True):
        assert {flat.documents[row][0] for row in pool} == {"j" if text[0] == "p" else "p"}
