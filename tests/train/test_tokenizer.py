"""The tokenizer's words are `split_words`, whatever the text."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from modstar_lsp.encoder.words import split_words, word_pattern
from train.tokenizer import SPECIALS, empty_tokenizer, is_word, train_tokenizer

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
