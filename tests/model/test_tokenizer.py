"""The tokenizer's words are `split_words`, whatever the text."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.tokenizer import SPECIALS, empty_tokenizer, is_word
from modstar_lsp.encoder.static import WordPieces
from modstar_lsp.encoder.words import split_words, word_pattern
from tests.encoder.random_bundle import PIECES
from tests.encoder.random_bundle import SPECIALS as THEIR_SPECIALS
from train.tokenizer import train_tokenizer

TOKENIZER = empty_tokenizer()
LETTERS = st.sampled_from("aAbBsSzZ09_-. \n\tÉéßÞøŁłİΩσΣςЖж中あ\u212a\u2126\u212b\u0307\u1680()’")


def pieces(text: str) -> list[str]:
    normal = TOKENIZER.normalizer.normalize_str(text)
    return [word for word, _ in TOKENIZER.pre_tokenizer.pre_tokenize_str(normal)]


def assert_same_words(text: str) -> None:
    assert [piece for piece in pieces(text) if word_pattern(piece).match(piece)] == split_words(text)


@given(st.text(LETTERS, max_size=24))
@example("parseJSONResponse_v2 URLs URLsafe HTTPAdapter IDs2 XMLHttpRequest")
@example("ΟΔΟΣ İstanbul 25\u212a")
def test_words_equal_split_words_at_every_kind_of_border(text: str) -> None:
    assert_same_words(text)


@given(st.text(st.characters(codec="utf-8", max_codepoint=0x2FFF), max_size=40))
def test_words_equal_split_words_on_any_alphabet(text: str) -> None:
    assert_same_words(text)


def test_punctuation_is_isolated_and_space_dropped() -> None:
    assert pieces("a += b[10];") == ["a", "+", "=", "b", "[", "10", "]", ";"]


def test_training_keeps_the_specials_first_and_every_ascii_word_expressible() -> None:
    tokenizer = train_tokenizer(["def parse_json(text): return json.loads(text)"] * 3, 300)
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[token] for token in SPECIALS] == [0, 1, 2, 3, 4]
    assert "<unk>" not in tokenizer.encode("ZebraQuux_77 ~!@#$%^&*").tokens
    assert tokenizer.encode("parseJson").tokens == ["<sep>", "parse", "json", "<cls>"]


def test_only_words_count_for_exit_0() -> None:
    assert is_word("parse") and is_word("##se") and is_word("42")
    assert not is_word("(") and not is_word("<sep>") and not is_word("##")


# Exit 0 cuts words into pieces by itself, so that a question needs no tokenizer.
WORD_PIECES = WordPieces("\n".join(PIECES).encode(), 100)
OF_PIECES = empty_tokenizer({piece: number for number, piece in enumerate(PIECES)})
NO_WORDS = {*range(len(THEIR_SPECIALS)), *(PIECES.index(mark) for mark in "(_.")}
code_like = st.text(
    st.one_of(st.sampled_from("aZbéÉ日本09_ .()İßſıΩKÅſẞŉǅΣς\n"), st.characters())
) | st.lists(
    st.sampled_from(
        ["parseJSON", "HTTPAdapter", "URLs", "uploads", "naïve", "日本", "x9", "_", " ", "(", "É", "s"]
    )
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(code_like)
@example("A\ud800")
def test_the_word_pieces_of_exit_0_are_those_of_the_tokenizer(text: str) -> None:
    ours = [piece for word in split_words(text) for piece in WORD_PIECES.split(word)]
    theirs = OF_PIECES.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids
    assert ours == [piece for piece in theirs if piece not in NO_WORDS]
