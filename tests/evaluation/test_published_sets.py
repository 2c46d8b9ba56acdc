"""The field's sets are read as their authors lay them out; a broken one is told in one line."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.published.clones import load_bigclonebench, load_poj104
from evaluation.published.codesearchnet import languages_in, load_codesearchnet
from evaluation.published.codexglue import load_advtest, load_cosqa
from evaluation.published.coir import load_coir
from evaluation.published.retrieval import RetrievalSet
from evaluation.sets import SetError

Rows = Sequence[Mapping[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    """Rows as JSON lines, gzipped ones, a JSON array, a table or parquet, by the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
    elif path.suffix == ".tsv":
        table = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(table) + "\n", "utf-8")
    else:
        path.write_text(json.dumps(rows) if path.suffix == ".json" else lines, "utf-8")
    return path


def function(name: str, says: str) -> dict[str, Any]:
    """A row of CodeSearchNet."""
    return {
        "func_name": name,
        "code": f'def {name}(x):\n    """{says}"""\n    return x',
        "code_tokens": ["def", name, "(", "x", ")", ":", "return", "x"],
        "docstring": says,
        "docstring_tokens": says.split(),
        "language": "python",
        "url": f"https://example.org/{name}",
    }


TEST = [function("parse", "Parse a file."), function("send", "Send it — now.")]
VALID = [function("close", "Close the pool.")]
ON_THE_HUB = {
    "code": "func_code_string",
    "code_tokens": "func_code_tokens",
    "docstring": "func_documentation_string",
    "docstring_tokens": "func_documentation_tokens",
    "url": "func_code_url",
}


def authors(root: Path) -> None:
    write(root / "python/final/jsonl/test/python_test_0.jsonl.gz", TEST[:1])
    write(root / "python/final/jsonl/test/python_test_1.jsonl.gz", TEST[1:])
    write(root / "python/final/jsonl/valid/python_valid_0.jsonl.gz", VALID)


def graphcodebert(root: Path) -> None:
    write(root / "python/test.jsonl", TEST)
    write(root / "python/codebase.jsonl", [*TEST, *VALID])


def hub(root: Path) -> None:
    for name, rows in (("test", TEST), ("validation", VALID)):
        renamed = [{ON_THE_HUB.get(key, key): value for key, value in row.items()} for row in rows]
        write(root / f"python/{name}-00000-of-00001.parquet", renamed)


@pytest.mark.parametrize("layout", [authors, graphcodebert, hub])
def test_codesearchnet_asks_its_test_docstrings_among_all_codes_of_dev_and_test(
    tmp_path: Path, layout: Callable[[Path], None]
) -> None:
    layout(tmp_path)
    assert languages_in(tmp_path) == ["python"]
    found = load_codesearchnet(tmp_path, "python")
    assert found.queries == ("Parse a file.", "Send it — now.")
    assert found.documents == tuple(f"def {name} ( x ) : return x" for name in ("parse", "send", "close"))
    assert [dict(one) for one in found.relevant] == [{0: 1}, {1: 1}]
    assert found.language == "python" and len(found.digests) >= 2
    assert load_codesearchnet(tmp_path, "python", "source").documents[0] == TEST[0]["code"]
    assert load_codesearchnet(tmp_path, "python", "stripped").documents[0] == TEST[0]["code"].replace(
        "Parse a file.", ""
    )


def test_advtest_asks_among_its_own_functions(tmp_path: Path) -> None:
    rows = [{**row, "function_tokens": ["def", "Func", str(at)]} for at, row in enumerate(TEST)]
    write(tmp_path / "test.jsonl", rows)
    found = load_advtest(tmp_path)
    assert found.documents == ("def Func 0", "def Func 1") and found.queries[0] == "Parse a file."
    assert [dict(one) for one in found.relevant] == [{0: 1}, {1: 1}]


def test_cosqa_asks_among_all_its_codes(tmp_path: Path) -> None:
    (tmp_path / "code_idx_map.txt").write_text(json.dumps({"def a(): pass": 5, "def b(): pass": 9}))
    write(tmp_path / "cosqa-retrieval-test-500.json", [{"doc": "python b", "code": "", "retrieval_idx": 9}])
    found = load_cosqa(tmp_path)
    assert found.queries == ("python b",) and found.relevant == ({1: 1},)
    assert found.documents == ("def a(): pass", "def b(): pass")


CORPUS = [
    {"_id": "d1", "title": "", "text": "def parse(): pass"},
    {"_id": "d2", "title": "net.py", "text": "def send(): pass"},
]
QUERIES = [
    {"_id": "q0", "text": "of the train split"},
    {"_id": "q1", "text": "send something"},
    {"_id": "q2", "text": "parse or send"},
]
QRELS = [
    {"query-id": "q1", "corpus-id": "d2", "score": 1},
    {"query-id": "q2", "corpus-id": "d1", "score": 2},
    {"query-id": "q2", "corpus-id": "d2", "score": 0},
]
OF_TRAIN = [{"query-id": "q0", "corpus-id": "d1", "score": 1}]


def beir(at: Path) -> None:
    write(at / "corpus.jsonl", CORPUS)
    write(at / "queries.jsonl", QUERIES)
    write(at / "qrels/test.tsv", QRELS)
    write(at / "qrels/train.tsv", OF_TRAIN)


def mteb(at: Path) -> None:
    write(at / "corpus/corpus-00000-of-00001.parquet", CORPUS)
    write(at / "queries/queries-00000-of-00001.parquet", QUERIES)
    write(at / "data/test-00000-of-00001.parquet", QRELS)


def coir(at: Path) -> None:
    both = at.with_name(f"{at.name}-queries-corpus") / "data"
    write(both / "corpus-00000-of-00001-c0ffee.parquet", CORPUS)
    write(both / "queries-00000-of-00001-c0ffee.parquet", QUERIES)
    renamed = [{key.replace("-", "_"): value for key, value in row.items()} for row in QRELS]
    write(at.with_name(f"{at.name}-qrels") / "data/test-00000-of-00001-c0ffee.parquet", renamed)


@pytest.mark.parametrize("layout", [beir, mteb, coir])
def test_a_corpus_with_queries_and_qrels_is_read_in_all_three_layouts(
    tmp_path: Path, layout: Callable[[Path], None]
) -> None:
    layout(tmp_path / "task")
    (found,) = load_coir(tmp_path / "task", code_asks=True)
    assert found.name == "task" and found.code_asks
    assert found.queries == ("send something", "parse or send")
    assert found.documents == ("def parse(): pass", "net.py def send(): pass")
    assert found.relevant == ({1: 1}, {0: 2})


def test_the_subsets_of_a_task_are_a_set_each(tmp_path: Path) -> None:
    for subset in ("go", "python"):
        write(tmp_path / f"csn/{subset}-corpus/test.jsonl", CORPUS)
        write(tmp_path / f"csn/{subset}-queries/test.jsonl", QUERIES)
        write(tmp_path / f"csn/{subset}-qrels/test.jsonl", QRELS)
    assert [one.name for one in load_coir(tmp_path / "csn")] == ["csn go", "csn python"]


def test_a_program_of_poj_104_asks_for_the_others_of_its_problem(tmp_path: Path) -> None:
    rows = [{"label": str(at // 2), "index": str(at), "code": f"int f{at}();"} for at in range(4)]
    write(tmp_path / "test.jsonl", rows)
    found = load_poj104(tmp_path)
    assert found.among_themselves and found.queries == found.documents
    assert set(found.relevant[0]) - {0} == {1} and set(found.relevant[3]) - {3} == {2}


def big_clone_bench(folder: Path) -> Path:
    write(folder / "data.jsonl", [{"idx": str(10 * at), "func": f"int f{at}() {{}}"} for at in range(3)])
    (folder / "valid.txt").write_text("0\t10\t1\n0\t20\t0\n")
    (folder / "test.txt").write_text("20\t10\t0\n")
    return folder


def test_big_clone_bench_is_functions_and_pairs_of_them(tmp_path: Path) -> None:
    found = load_bigclonebench(big_clone_bench(tmp_path))
    assert len(found.functions) == 3 and sorted(found.splits) == ["test", "valid"]
    valid = found.pairs("valid")
    assert [valid.first.tolist(), valid.second.tolist(), valid.clone.tolist()] == [
        [0, 0],
        [1, 2],
        [True, False],
    ]
    with pytest.raises(SetError, match=r"without train\.txt"):
        found.pairs("train")


def broken(root: Path) -> dict[str, Callable[[], object]]:
    """What goes wrong, and what reads it."""
    authors(root / "csn")
    (root / "csn/python/final/jsonl/test/python_test_0.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    write(root / "columns/python/test.jsonl", [{"url": "u", "docstring": "d"}])
    write(root / "columns/python/codebase.jsonl", [{"url": "u"}])
    write(root / "strange/python/test.jsonl", TEST)
    write(root / "strange/python/codebase.jsonl", VALID)
    (root / "json").mkdir()
    (root / "json/test.jsonl").write_text('{"docstring": "d", "code": "c"}\n{"docstring"\n')
    (root / "latin").mkdir()
    (root / "latin/test.jsonl").write_bytes(b'{"docstring": "caf\xe9", "code": "c"}\n')
    write(root / "empty/test.jsonl", [])
    beir(root / "task")
    write(root / "task/qrels/test.tsv", [{"query-id": "q1", "corpus-id": "d9", "score": 1}])
    beir(root / "grade")
    write(root / "grade/qrels/test.tsv", [{"query-id": "q1", "corpus-id": "d1", "score": "high"}])
    write(root / "alone/test.jsonl", [{"label": "1", "index": "0", "code": "int f();"}])
    big_clone_bench(root / "pairs")
    (root / "pairs/test.txt").write_text("0\t10\tmaybe\n")
    big_clone_bench(root / "gone")
    (root / "gone/test.txt").write_text("0\t11\t1\n")
    return {
        "cannot be read": lambda: load_codesearchnet(root / "csn", "python"),
        "no code_tokens": lambda: load_codesearchnet(root / "columns", "python"),
        "is not in the corpus": lambda: load_codesearchnet(root / "strange", "python"),
        "none of the folders ruby": lambda: languages_in(root / "json"),
        "line 2 is no JSON": lambda: load_advtest(root / "json"),
        "utf-8": lambda: load_advtest(root / "latin"),
        "0 questions": lambda: load_advtest(root / "empty"),
        "test.jsonl is missing": lambda: load_advtest(root / "nowhere"),
        "code_idx_map.txt is missing": lambda: load_cosqa(root / "json"),
        "answer d9 is not in the corpus": lambda: load_coir(root / "task"),
        "'high', no number": lambda: load_coir(root / "grade"),
        "no qrels of dev": lambda: load_coir(root / "task", "dev"),
        "no set at": lambda: load_coir(root / "nowhere"),
        "alone with their label": lambda: load_poj104(root / "alone"),
        "line 1 is not two numbers": lambda: load_bigclonebench(root / "pairs"),
        "function 11 is not in data": lambda: load_bigclonebench(root / "gone"),
    }


def test_a_broken_set_is_told_in_one_line(tmp_path: Path) -> None:
    for message, reading in broken(tmp_path).items():
        with pytest.raises(SetError, match=message) as caught:
            reading()
        assert "\n" not in str(caught.value)


def test_a_set_of_nothing_is_no_set() -> None:
    with pytest.raises(SetError, match="0 documents"):
        RetrievalSet("toy", ("a",), (), ({},)).checked()


def test_parquet_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mteb(tmp_path / "task")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SetError, match=r"pip install pyarrow.*JSON lines"):
        load_coir(tmp_path / "task")
