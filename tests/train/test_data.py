"""The corpus reader and what it makes of a pair."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import zstandard

from train.data import (
    Augmentation,
    CorpusError,
    Pair,
    augment,
    drop_comments,
    first_sentence,
    read_corpus,
    rename,
    split_by_source,
)

ROW = {
    "text": "Loads a file.",
    "code": "def load(p): ...",
    "lang": "python",
    "name": "load",
    "path": "a/b.py",
    "src": "own+er",
}


def corpus(folder: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_broken_lines_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    pairs, report = read_corpus(
        corpus(
            tmp_path,
            ROW,
            "{half a line",
            '"text"',
            {"text": "", "code": "x"},
            {"text": "no code"},
            {**ROW, "code": 7},
        )
    )
    assert [pair.name for pair in pairs] == ["load"]
    assert report.broken == 5
    assert "5 broken lines" in report.line() and "\n" not in report.line()


def test_compressed_files_and_every_shape_of_row_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "num": 7,
            "title": "Sum",
            "text": "Add all.",
            "solutions": {"python": "sum(x)", "java": "add();", "go": "add()"},
        },
        {"java": "int f() {}", "csharp": "int F() {}"},
        {"text": "How to sum?", "rewritten": "sum a list", "code": "sum(x)", "lang": "python"},
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "more.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    pairs, _ = read_corpus(tmp_path)
    assert [pair.kind for pair in pairs] == ["text"] * 3 + ["code"] * 4 + ["text"] * 2
    assert all(pair.query != pair.code for pair in pairs)


def test_excluded_repositories_stay_out(tmp_path: Path) -> None:
    listed = tmp_path / "exclude.txt"
    listed.write_text(
        "# comment\nown/er\nexercism/*\ndoocs/leetcode (number%3==0)\ncurl/curl\n", encoding="utf-8"
    )
    problem = {"title": "t", "text": "x", "solutions": {"go": "f()"}}
    folder = corpus(
        tmp_path,
        ROW,
        {**ROW, "src": "exercism+go"},
        {**ROW, "src": "src-curl"},
        {**ROW, "src": "else+where"},
        {"num": 3, **problem},
        {"num": 4, **problem},
    )
    pairs, report = read_corpus(folder, exclude=listed)
    assert [pair.source for pair in pairs] == ["else+where", "doocs/leetcode#4"]
    assert report.excluded == 4


def test_what_shares_text_with_an_evaluation_set_stays_out(tmp_path: Path) -> None:
    shared = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(30))
    (tmp_path / "eval" / "some").mkdir(parents=True)
    (tmp_path / "eval" / "some" / "corpus.jsonl").write_text(
        json.dumps({"id": 1, "code": shared}), encoding="utf-8"
    )
    folder = corpus(tmp_path, ROW, {**ROW, "code": f"before {shared} after"})
    pairs, report = read_corpus(folder, decontaminate=tmp_path / "eval")
    assert len(pairs) == 1 and report.contaminated == 1


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_a_corpus_is_one_clear_line(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "pairs.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path)
    assert "\n" not in str(caught.value)


def test_validation_holds_out_whole_repositories() -> None:
    pairs = [Pair("text", f"q{i}", "c", "go", source=f"repo{i % 50}") for i in range(1000)]
    train, held_out = split_by_source(pairs)
    assert len(train) + len(held_out) == 1000 and held_out
    assert not {pair.source for pair in train} & {pair.source for pair in held_out}


def test_renaming_takes_whole_words_and_every_use() -> None:
    assert (
        rename("def load(x): return load(x - 1) + preload", "load", "f")
        == "def f(x): return f(x - 1) + preload"
    )


def test_comments_go_and_strings_stay() -> None:
    assert drop_comments('x = "a # b"  # gone\n', "python") == 'x = "a # b"  \n'
    assert drop_comments('f("http://x"); // gone\n/* gone\n too */ g();', "java") == 'f("http://x"); \n g();'
    assert drop_comments("# nothing but this", "python") == "# nothing but this"


def test_first_sentence() -> None:
    assert first_sentence("Opens the given file. Raises if absent.") == "Opens the given file."
    assert first_sentence("E.g. This one is kept whole") == "E.g. This one is kept whole"


def test_a_renamed_function_leaves_no_trace_of_its_name() -> None:
    pair = Pair(
        "text", "Loads it.", "def load_it(p):\n    return load_it(p)", "python", "load_it", "a/b/c/d.py"
    )
    _, code = augment(pair, random.Random(0), Augmentation(rename=1.0, header=1.0))
    assert code.startswith("b/c/d.py\n") and "load_it" not in code
