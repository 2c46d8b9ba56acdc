"""A toy set of five snippets is scored as its task demands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import flat
from evaluation.record import Record
from evaluation.scoring import cut, fused
from evaluation.sets import SetError, load_flat
from modstar_lsp.encoder.words import split_words

DOCS = [
    ("p0", "python", "def parse_json(text): return loads(text)"),
    ("p1", "python", "def open_window(title): show(title)"),
    ("p2", "python", "def retry(call): again(call)"),
    ("j0", "java", "Object parseJson(String text) { return loads(text); }"),
    ("j1", "java", "void openWindow(String title) { show(title); }"),
]


def write_set(folder: Path, queries: list[dict[str, str]], qrels: list[tuple[str, str, int]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries), encoding="utf-8")
    docs = [{"id": i, "lang": language, "code": code, "path": ""} for i, language, code in DOCS]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(d) + "\n" for d in docs), encoding="utf-8")
    rows = "".join(f"{q}\t{d}\t{s}\n" for q, d, s in qrels)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows, encoding="utf-8")
    return folder.parent


@pytest.fixture
def text_to_code(tmp_path: Path) -> Path:
    queries = [
        {"id": "a", "text": "parse json", "lang": "python"},
        {"id": "b", "text": "open a window", "lang": "python"},
        {"id": "c", "text": "parse json", "lang": "java"},
    ]
    return write_set(tmp_path / "toy_t2c", queries, [("a", "p0", 1), ("b", "p1", 1), ("c", "j0", 1)])


@pytest.fixture
def code_to_code(tmp_path: Path) -> Path:
    queries = [{"id": f"q-{i}", "text": code, "lang": language} for i, language, code in DOCS if i[1] != "2"]
    pairs = [("p0", "j0"), ("p1", "j1")]
    return write_set(
        tmp_path / "toy_c2c",
        queries,
        [(f"q-{a}", b, 1) for one, two in pairs for a, b in ((one, two), (two, one))],
    )


class WordsEncoder:
    """A bag of hashed words instead of a model; the deeper "exit" sees only a word's first three letters."""

    def encode(self, texts: Sequence[str], depth: int = 0, role: str = "code") -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in split_words(text):
                row[sum(map(ord, word if depth == 0 else word[:3])) % 64] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_a_query_is_searched_in_the_language_that_it_wants(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    outcomes = flat.evaluate(toy)
    assert not toy.code_to_code
    assert outcomes["BM25"].values["MRR@10"].tolist() == [1, 1, 1]


def test_code_to_code_wants_the_other_language_and_never_itself(code_to_code: Path) -> None:
    toy = load_flat(code_to_code, "toy_c2c")
    assert toy.code_to_code
    assert flat.plan(toy).wanted == ("java", "java", "python", "python")
    outcomes = flat.evaluate(toy)
    assert outcomes["BM25"].values["nDCG@10"].tolist() == [1, 1, 1, 1]
    assert outcomes["BM25"].values["recall@10"].tolist() == [1, 1, 1, 1]


def test_every_exit_is_scored_alone_fused_cut_and_across_exits(text_to_code: Path) -> None:
    toy, encoder = load_flat(text_to_code, "toy_t2c"), flat.Embeddings(WordsEncoder())
    contenders = flat.Contenders(bundle=encoder, exits=[0, 2], dimensions=[64], deepened=True, matrix=True)
    outcomes = flat.evaluate(toy, contenders)
    asked = [f"exit {e}{what}" for e in (0, 2) for what in ("", " + BM25", " at 64")]
    mixed = ["0 asks 2", "2 asks 0", "25% at 2", "50% at 2", "75% at 2"]
    assert list(outcomes) == ["BM25", *asked, *mixed]
    for depth in (0, 2):  # all of the 64 values there are
        whole, cut = (outcomes[f"exit {depth}{what}"].values["nDCG@10"].tolist() for what in ("", " at 64"))
        assert whole == cut


def test_an_index_that_is_deep_throughout_ranks_as_the_deep_exit(text_to_code: Path) -> None:
    toy, encoder = load_flat(text_to_code, "toy_t2c"), flat.Embeddings(WordsEncoder())
    queries, rows = [0, 1, 2], np.arange(5)
    deep, shallow = (flat.dense(toy, encoder, 2, depth)(queries, rows) for depth in (2, 0))
    assert (flat.deepened(toy, encoder, 0, 2, 1.0)(queries, rows) == deep).all()
    assert (flat.deepened(toy, encoder, 0, 2, 0.0)(queries, rows) == shallow).all()
    half = flat.deepened(toy, encoder, 0, 2, 0.5)(queries, rows)
    assert not (half == deep).all() and not (half == shallow).all()


def test_a_cut_vector_is_of_unit_length_again() -> None:
    rows = np.array([[3, 4, 12], [0, 0, 1]], np.float32) / np.array([[13], [1]], np.float32)
    assert np.allclose(np.linalg.norm(cut(rows, 2), axis=1), [1, 0])
    assert cut(rows, 0) is rows or (cut(rows, 0) == rows).all()


def test_the_sample_is_the_same_for_the_same_seed(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    assert flat.plan(toy, sample=2).queries == flat.plan(toy, sample=2).queries
    assert len(flat.plan(toy, sample=2).queries) == 2
    assert flat.plan(toy, sample=0).queries == (0, 1, 2)


def test_a_row_of_equal_scores_says_nothing_in_a_fusion() -> None:
    same, other = np.ones((1, 3), np.float32), np.array([[1, 2, 3]], np.float32)
    assert fused(same, other).argmax() == 2
    assert np.isfinite(fused(same, same)).all()


def test_the_command_writes_a_dated_result_without_absolute_paths(
    text_to_code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    assert flat.main(["--eval", str(text_to_code), "--out", str(out)]) == 0
    (written,) = out.glob("*.json")
    record = json.loads(written.read_text(encoding="utf-8"))
    assert record["command"].startswith("python -m bench.flat --eval ")
    assert record["machine"]["cores"] >= 1
    assert set(record["inputs"]) == {
        f"toy_t2c/{name}" for name in ("queries.jsonl", "corpus.jsonl", "qrels.tsv")
    }
    assert record["results"]["sets"]["toy_t2c"]["systems"]["BM25"]["MRR@10"]["mean"] == 1
    assert str(tmp_path) not in written.read_text(encoding="utf-8")
    assert str(tmp_path) not in written.with_suffix(".md").read_text(encoding="utf-8")
    assert "| toy_t2c" in capsys.readouterr().out


def test_what_is_scored_beside_bm25_has_its_tables(text_to_code: Path) -> None:
    toy, encoder = load_flat(text_to_code, "toy_t2c"), flat.Embeddings(WordsEncoder())
    contenders = flat.Contenders(
        bundle=encoder,
        full=encoder,
        baselines={"other": encoder},
        exits=[0, 2],
        dimensions=[32],
        deepened=True,
        matrix=True,
    )
    record = Record(what="flat", command="", bundle="", inputs={})
    flat.report(record, [toy], {toy.name: flat.evaluate(toy, contenders)}, contenders)
    titles = "\n".join(table.splitlines()[0] for table in record.tables)
    wanted = ["nDCG@10 [95", "recall@1 ", "minus BM25's", "published encoder's", "in fp32", "first 32 values"]
    assert all(title in titles for title in [*wanted, "reached a share", "across exits"])
    apart = record.results["differences"]["nDCG@10 of the bundle minus its checkpoint's in fp32, paired"]
    assert apart["toy_t2c"]["exit 2"] == {"mean": 0, "low": 0, "high": 0}
    assert set(record.results["sets"]["toy_t2c"]["systems"]) >= {"other + BM25", "exit 2 fp32", "50% at 2"}


def test_a_language_with_enough_queries_has_a_row(
    text_to_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat, "LEAST_QUERIES", 2)
    toy = load_flat(text_to_code, "toy_t2c")
    contenders = flat.Contenders(bundle=flat.Embeddings(WordsEncoder()), exits=[0])
    record = Record(what="flat", command="", bundle="", inputs={})
    outcomes = {toy.name: flat.evaluate(toy, contenders)}
    flat.report(record, [toy], outcomes, contenders)
    found = record.results["languages"]
    assert set(found) == {"python"}  # java has one
    python = [language == "python" for language in outcomes[toy.name]["exit 0"].wanted]
    assert found["python"]["exit 0"]["mean"] == pytest.approx(
        outcomes[toy.name]["exit 0"].values["nDCG@10"][python].mean(), abs=1e-4
    )


def test_a_set_that_bm25_solves_is_no_part_of_the_means(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    sets = [replace(toy, name=name) for name in ("cosqa_dev", "nl2bash", *flat.SATURATED)]
    assert flat.groups_of(sets)["mean"] == ["cosqa_dev", "nl2bash"]


def test_a_missing_folder_or_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert flat.main(["--eval", str(tmp_path / "none")]) == 2
    assert flat.main(["--eval", str(tmp_path), "--sets", "gone"]) == 2
    assert flat.main(["--eval", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    with pytest.raises(SetError, match="missing"):
        load_flat(tmp_path, "gone")
