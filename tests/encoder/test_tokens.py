"""A bundle's tokenizer gives what the package `tokenizers` gives, whatever the text, without being it."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Package

from modstar_lsp.encoder import tokens
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.encoder.tokens import open_tokenizer
from modstar_lsp.errors import BundleError
from tests.bare import ROOT, tracked_files

FILES = ("tokenizer.json", "reranker-tokenizer.json")
OURS = {name: open_tokenizer(DEFAULT_FOLDER / name) for name in FILES}
WHOLE = 1 << 30


@cache
def package(name: str, limit: int = WHOLE) -> Package:
    """The same file in the package, set up as it was when the runtime used it."""
    tokenizer = Package.from_file(str(DEFAULT_FOLDER / name))
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return tokenizer


def assert_same(name: str, text: str, limit: int = WHOLE, before: str = "") -> None:
    texts = [one.encode("utf-8", "replace").decode() for one in (before, text)][0 if before else 1 :]
    theirs, ours = package(name, limit).encode(*texts), OURS[name].encode(text, limit, before)
    assert list(ours.ids) == theirs.ids
    assert list(ours.tokens) == theirs.tokens
    assert list(ours.special_tokens_mask) == theirs.special_tokens_mask


def test_the_files_of_the_bundle_need_no_package() -> None:
    assert not [name for name in FILES if isinstance(OURS[name], tokens._OfPackage)]


@cache
def disputed(name: str) -> set[str]:
    """The characters that the package knows otherwise, of the planes that scripts and symbols are in."""

    def same(characters: list[str]) -> bool:
        text = " ".join(f"x{one}x {one}Y A{one} {one} \u03a3{one} {one}\u03a3b" for one in characters)
        return list(OURS[name].encode(text, WHOLE).ids) == package(name).encode(text).ids

    found: set[str] = set()
    for start in range(0, 0x20000, 128):
        block = [chr(number) for number in range(start, start + 128) if not 0xD800 <= number < 0xE000]
        if block and not same(block):
            found.update(one for one in block if not same([one]))
    return found


# Their kind was another when the package's tables were made.
CHANGED = set("\u166d\u1734\u1885\u1886")


@pytest.mark.parametrize("name", FILES)
def test_only_characters_younger_than_the_tables_of_the_package_are_read_otherwise(name: str) -> None:
    old = {one for one in disputed(name) if unicodedata.ucd_3_2_0.category(one) != "Cn"}
    assert old <= CHANGED and len(disputed(name)) < 1200


WORDS = """
parseJSON HTTPAdapter URLs ABCs naïve x9 _ ( É s … [MASK] [CLS] [SEP] [UNK] [unused5] <mask> <sep> <cls> <pad>
##s ## 0x1F ΟΔΟΣ Σ İ ı ẞ ﬁ Ａ ｂ Ǆ 𐐀 日本語 中 𠀀 한국 あ ไทย हिन्दी שָׁלוֹם مرحبا 👩 🎉 ≠ ½ ²
\u2126 \u212a \u0307 e\u0301 \u0345
""".split()
ODD = [*" \t\n\0\x0b\x1c\x7f\x85\xa0\xad\u200b\u200d\u2028\ufeff\ufffd\ue000\ud800\udfff", "\r\n"]
LONG = ["q" * 99, "q" * 100, "q" * 101, "é" * 100, "é" * 101, "supercalifragilistic" * 6]
BITS = st.sampled_from([*WORDS, *ODD, *LONG])


def texts(name: str) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_characters="".join(disputed(name)), exclude_categories=("Cn",))
    return st.lists(BITS | st.text(characters, max_size=12), max_size=30).map("".join)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_any_text_and_any_two_are_read_as_the_package_reads_them(name: str, data: st.DataObject) -> None:
    text, before = data.draw(texts(name)), data.draw(texts(name))
    assert_same(name, text)
    assert_same(name, text, before=before)
    assert_same(name, text, data.draw(st.integers(5, 40)))
    assert_same(name, text, data.draw(st.integers(5, 40)), before)


@pytest.mark.parametrize("name", FILES)
def test_the_sources_of_this_project_are_read_as_the_package_reads_them(name: str) -> None:
    sources = [
        file for file in tracked_files() if file.endswith((".py", ".md", ".ts", ".lua", ".el", ".tsv"))
    ]
    assert len(sources) > 300
    for number, file in enumerate(sources):
        text = (ROOT / file).read_text("utf-8")[:6000]
        assert_same(name, text, (512, 176, 40)[number % 3])


def test_words_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_WORDS_KEPT", 3)
    for _ in range(3):
        assert_same("reranker-tokenizer.json", "one two three four five " * 2)


def test_several_threads_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_WORDS_KEPT", 50)
    tokenizer = open_tokenizer(DEFAULT_FOLDER / FILES[0])
    written = [(ROOT / file).read_text("utf-8")[:3000] for file in tracked_files() if file.endswith(".md")][
        :30
    ]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda text: list(tokenizer.encode(text, 512).ids), written * 8))
    assert read == [package(FILES[0], 512).encode(text).ids for text in written] * 8


# -- what is not ours


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)


def byte_level(raw: Any) -> None:
    raw["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    raw["model"] = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    raw["added_tokens"], raw["post_processor"], raw["normalizer"] = [], None, None


OTHERS: dict[str, Callable[[Any], Any]] = {
    "byte-level": byte_level,
    "cased": lambda raw: raw["normalizer"].update(lowercase=False),
    "accents kept": lambda raw: raw["normalizer"].update(strip_accents=False),
    "another normaliser": lambda raw: raw.update(normalizer={"type": "NFC"}),
    "no normaliser": lambda raw: raw.update(normalizer=None),
    "another pre-tokenizer": lambda raw: raw.update(pre_tokenizer={"type": "Whitespace"}),
    "an added word": lambda raw: raw["added_tokens"][-1].update(special=False),
    "one more token": lambda raw: raw["added_tokens"].append(
        {**raw["added_tokens"][0], "id": 30522, "content": "«"}
    ),
    "normalised specials": lambda raw: raw["added_tokens"][0].update(normalized=True),
    "another prefix": lambda raw: raw["model"].update(continuing_subword_prefix="@@"),
    "an unknown setting": lambda raw: raw["model"].update(dropout=0.1),
    "an unknown part": lambda raw: raw.update(extra={}),
    "no template": lambda raw: raw.update(post_processor=None),
    "BERT's own frame": lambda raw: raw.update(
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}
    ),
    "the text twice": lambda raw: raw["post_processor"]["single"].append(
        {"Sequence": {"id": "A", "type_id": 0}}
    ),
    "the second text first": lambda raw: raw["post_processor"]["pair"].reverse(),
    "another number in the frame": lambda raw: raw["post_processor"]["special_tokens"]["[SEP]"].update(
        ids=[103]
    ),
    "numbers with a gap": lambda raw: raw["model"]["vocab"].update({"##～": 40000}),
    "a version to come": lambda raw: raw.update(version="2.0"),
}


def file_of(folder: Path, other: str) -> Path:
    raw = json.loads((DEFAULT_FOLDER / "reranker-tokenizer.json").read_text("utf-8"))
    OTHERS[other](raw)
    (folder / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    return folder / "tokenizer.json"


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_setting_asks_for_the_package_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    file = file_of(tmp_path, other)
    without_package(monkeypatch)
    with pytest.raises(BundleError) as told:
        open_tokenizer(file)
    assert str(tmp_path) in str(told.value) and 'pip install "tokenizers' in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("other", ["byte-level", "cased", "BERT's own frame", "an added word", "no template"])
def test_with_the_package_it_is_read_as_the_package_does(tmp_path: Path, other: str) -> None:
    file = file_of(tmp_path, other)
    ours, theirs = open_tokenizer(file), Package.from_file(str(file))
    theirs.encode_special_tokens = True
    for text in ("ab abba", "Read [MASK] and [CLS] of a café", "half \ud800 of a pair"):
        whole = text.encode("utf-8", "replace").decode()
        for limit in (6, 500):
            theirs.enable_truncation(limit)
            assert ours.encode(text, limit).ids == theirs.encode(whole).ids
            assert ours.encode(text, limit, "ba bb").tokens == theirs.encode("ba bb", whole).tokens


@pytest.mark.parametrize("content", [b"\xff\xfenothing", b"", b"[]", b'{"model": 3}', b"[" * 100_000])
def test_a_file_that_is_no_tokenizer_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json is no tokenizer") as told:
        open_tokenizer(tmp_path / "tokenizer.json")
    assert "\n" not in str(told.value) and str(tmp_path) in str(told.value)


def test_the_runtime_reads_at_every_depth_without_the_package() -> None:
    program = (
        "import sys; sys.modules['tokenizers'] = sys.modules['huggingface_hub'] = None\n"
        "from modstar_lsp.encoder import Encoder, open_bundle\n"
        "encoder = Encoder(open_bundle())\n"
        "for depth in (4, 6):\n"
        "    assert abs(float((encoder.encode(['def readFile(path):'], depth) ** 2).sum()) - 1) < 1e-3\n"
        "reranker = encoder.reranker()\n"
        "question = reranker.read_question('who reads a file?')\n"
        "codes = ['def read_file(path): return path.read_text()', 'class Lock: held = False']\n"
        "good, bad = (reranker.score(question, reranker.read(code)) for code in codes)\n"
        "assert good > bad"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
