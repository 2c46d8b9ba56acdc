"""A toy set of five snippets is scored as its task demands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import flat
from bench.sets import SetError, load_flat
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

    def encode(self, texts: Sequence[str], exit: int = 0, role: str = "code") -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in split_words(text):
                row[sum(map(ord, word if exit == 0 else word[:3])) % 64] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_a_query_is_searched_in_the_language_that_it_wants(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    outcomes, _ = flat.evaluate(toy, None, [])
    assert not toy.code_to_code
    assert outcomes["BM25"].values["MRR@10"].tolist() == [1, 1, 1]


def test_code_to_code_wants_the_other_language_and_never_itself(code_to_code: Path) -> None:
    toy = load_flat(code_to_code, "toy_c2c")
    assert toy.code_to_code
    assert flat.plan(toy).wanted == ("java", "java", "python", "python")
    outcomes, _ = flat.evaluate(toy, None, [])
    assert outcomes["BM25"].values["nDCG@10"].tolist() == [1, 1, 1, 1]
    assert outcomes["BM25"].values["recall@10"].tolist() == [1, 1, 1, 1]


def test_every_exit_is_scored_alone_fused_and_across_exits(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    outcomes, crossed = flat.evaluate(toy, flat.Embeddings(WordsEncoder()), [0, 2], matrix=True)  # type: ignore[arg-type]
    assert list(outcomes) == ["BM25", "exit 0", "exit 0 + BM25", "exit 2", "exit 2 + BM25"]
    assert set(crossed) == {(0, 0), (0, 2), (2, 0), (2, 2)}
    assert crossed[0, 0].values["MRR@10"].tolist() == outcomes["exit 0"].values["MRR@10"].tolist()


def test_the_sample_is_the_same_for_the_same_seed(text_to_code: Path) -> None:
    toy = load_flat(text_to_code, "toy_t2c")
    assert flat.plan(toy, sample=2).queries == flat.plan(toy, sample=2).queries
    assert len(flat.plan(toy, sample=2).queries) == 2
    assert flat.plan(toy, sample=0).queries == (0, 1, 2)


def test_a_row_of_equal_scores_says_nothing_in_a_fusion() -> None:
    same, other = np.ones((1, 3), np.float32), np.array([[1, 2, 3]], np.float32)
    assert flat.fused(same, other).argmax() == 2
    assert np.isfinite(flat.fused(same, same)).all()


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


def test_a_missing_folder_or_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert flat.main(["--eval", str(tmp_path / "none")]) == 2
    assert flat.main(["--eval", str(tmp_path), "--sets", "gone"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    with pytest.raises(SetError, match="missing"):
        load_flat(tmp_path, "gone")
