"""Exit 0: equal to its formula, to the tokenizer's word pieces, and to itself in any company."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.encoder import Encoder, open_bundle, split_words
from modstar_lsp.encoder.static import StaticExit, WordPieces
from modstar_lsp.errors import QueryError
from tests.encoder.random_bundle import DIMENSION, PIECES, make_bundle

WORD_PIECES = WordPieces("\n".join(PIECES).encode(), 100)

TEXTS = [
    "def parseJSON(file): return retry(uploads)",
    "parse parse parse json",
    "HTTPAdapter.send(url2)",
    "naïve 日本 parser",
    "Ωmega §",
    "a",
]


def reference(folder: Path, text: str, tf: str) -> np.ndarray:
    """The formula, piece by piece."""
    table = np.load(folder / "static.npy").astype(np.float64) * np.load(folder / "static-scales.npy")[:, None]
    pieces: Counter[int] = Counter()
    for word, count in Counter(split_words(text)).items():
        for piece in WORD_PIECES.split(word):
            pieces[piece] += count
    weight = {"linear": lambda x: x, "log1p": np.log1p, "sqrt": np.sqrt}[tf]
    total = sum((weight(count) * table[piece] for piece, count in pieces.items()), np.zeros(DIMENSION))
    norm = np.linalg.norm(total)
    return total / norm if norm else total


@pytest.mark.parametrize("tf", ["linear", "log1p", "sqrt"])
def test_rows_follow_the_formula(tmp_path: Path, tf: str) -> None:
    folder = make_bundle(tmp_path / "bundle", tf=tf)
    rows = Encoder(open_bundle(folder)).encode(TEXTS)
    assert rows.dtype == np.float32 and rows.shape == (len(TEXTS), DIMENSION)
    np.testing.assert_allclose(rows, [reference(folder, text, tf) for text in TEXTS], atol=1e-6)


def test_rows_have_unit_length_and_nothing_gives_a_zero_row(bundle_folder: Path) -> None:
    rows = Encoder(open_bundle(bundle_folder)).encode(["", "parse json", " \n\t", "+-*/", "ψφ", "x" * 101])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [0, 1, 0, 0, 0, 0], atol=1e-6)
    assert Encoder(open_bundle(bundle_folder)).encode([]).shape == (0, DIMENSION)


def test_counts_of_words_give_the_same_rows_as_texts(bundle_folder: Path) -> None:
    encoder = Encoder(open_bundle(bundle_folder))
    assert np.array_equal(
        encoder.encode(TEXTS), encoder.encode_words([Counter(split_words(t)) for t in TEXTS])
    )


def test_a_row_is_the_same_to_the_last_bit_in_any_company(bundle_folder: Path) -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(PIECES[8:], size=rng.integers(1, 80))) for _ in range(300)]
    encoder = Encoder(open_bundle(bundle_folder))
    together = encoder.encode(texts)
    assert np.array_equal(together, np.vstack([encoder.encode([text]) for text in texts]))
    assert np.array_equal(together[::-1], encoder.encode(texts[::-1]))


def test_forgetting_the_remembered_words_changes_nothing(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Encoder(open_bundle(bundle_folder)).encode(TEXTS)
    monkeypatch.setattr("modstar_lsp.encoder.static.MAX_REMEMBERED_WORDS", 2)
    monkeypatch.setattr("modstar_lsp.encoder.static.TEXTS_AT_ONCE", 1)
    assert np.array_equal(Encoder(open_bundle(bundle_folder)).encode(TEXTS), expected)


def test_an_exit_that_the_model_lacks_is_named_with_those_it_has(bundle_folder: Path) -> None:
    with pytest.raises(QueryError, match="no exit 7; choose one of 0"):
        Encoder(open_bundle(bundle_folder)).encode(["x"], depth=7)


def test_a_megabyte_of_text_is_encoded(bundle_folder: Path) -> None:
    rows = Encoder(open_bundle(bundle_folder)).encode(["parse json retry " * 60_000])
    assert np.isclose(np.linalg.norm(rows), 1.0, atol=1e-6)


code_like = st.text(
    st.one_of(st.sampled_from("aZbéÉ日本09_ .()İßſıΩKÅſẞŉǅΣς\n"), st.characters())
) | st.lists(
    st.sampled_from(
        ["parseJSON", "HTTPAdapter", "URLs", "uploads", "naïve", "日本", "x9", "_", " ", "(", "É", "s"]
    )
).map("".join)


@given(code_like)
def test_the_first_words_have_the_same_pieces_as_later_ones(text: str) -> None:
    fresh = WordPieces("\n".join(PIECES).encode(), 100)
    for word in split_words(text):
        assert fresh.split(word) == WORD_PIECES.split(word)


@given(st.text(st.sampled_from("abcdprsejonuplig0123"), max_size=40))
def test_a_word_is_rebuilt_from_its_pieces(word: str) -> None:
    pieces = [PIECES[piece] for piece in WORD_PIECES.split(word)]
    assert "".join(piece.removeprefix("##") for piece in pieces) == word


def test_one_static_exit_serves_several_threads(bundle_folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    static = StaticExit(open_bundle(bundle_folder))
    counts = [Counter(split_words(f"{a}{b} parse {a}")) for a in "abcdefgh" for b in "rstuvwxyz"]
    expected = StaticExit(open_bundle(bundle_folder)).encode_words(counts)
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(lambda _: static.encode_words(counts), range(32)):
            assert np.array_equal(rows, expected)


@pytest.mark.imports
def test_exit_0_imports_numpy_and_no_machine_learning_library(bundle_folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from modstar_lsp.encoder import Encoder, open_bundle;"
        f"v = Encoder(open_bundle(Path({str(bundle_folder)!r}))).encode(['parse json']);"
        "heavy = {'onnxruntime', 'tokenizers', 'torch', 'transformers', 'concurrent'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy or not v.any() else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
