"""The two ways in which a tokenizer.json of ours cuts a text into words: in its own terms, and in Python.

A character younger than the tables of the package `tokenizers` is what this Python knows of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from modstar_lsp.encoder.words import _LOWER, _UPPER, word_pattern

# No letters to WORD, but lowering the case would make them some (signs of Ohm, Kelvin, Angstrom), and the dot
# above, which must not be mistaken for the one that lowering the case of a dotted I leaves behind.
_SIGNS = "\u2126\u212a\u212b\u0307"
_CASED = "[\\p{Lu}\\p{Ll}\\p{Lt}]"
# What stands apart in ASCII and is no punctuation to Unicode.
_ASCII_MARKS = "$+<=>^`|~"
_CHINESE = (
    *(range(0x4E00, 0xA000), range(0x3400, 0x4DC0), range(0xF900, 0xFB00), range(0x20000, 0x2A6E0)),
    *(range(0x2A700, 0x2B740), range(0x2B740, 0x2B820), range(0x2B920, 0x2CEB0), range(0x2F800, 0x2FA20)),
)


class WordKind(NamedTuple):
    """One of the ways: two settings of a tokenizer.json, and what they do to a text."""

    normalizer: dict[str, Any]
    pre_tokenizer: dict[str, Any]
    words: Callable[[str], list[str]]


def shared_words(text: str) -> list[str]:
    """The words of `split_words`, and every other visible character by itself."""
    if "\u03a3" in text:
        text = re.sub("\u03a3", _small_sigma, text)
    return list(map(str.lower, _word_or_mark(word_pattern(text).pattern).findall(text)))


@cache
def _word_or_mark(word: str) -> re.Pattern[str]:
    # To Python four of the control characters are spaces; to Unicode they are not.
    return re.compile(f"{word}|[^\\s{_UPPER}{_LOWER}{_SIGNS}0-9]|[\x1c-\x1f]")


def _small_sigma(found: re.Match[str]) -> str:
    """The small letter of a sigma: the two characters beside it decide. `str.lower` looks further."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    goes_on = _is_cased(after) and re.match(f"[{_LOWER}]", after)
    return "\u03c3" if goes_on or not _is_cased(before) or before in _SIGNS else "\u03c2"


def _is_cased(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in ("Lu", "Ll", "Lt")


def _shared(lower: str) -> WordKind:
    # Where two words touch: after a lower-case letter before a capital, and inside capitals before the last
    # one if it begins a word (HTTP|Adapter) that is not a plural s (URLs).
    border = f"(?<=[{lower}])(?=[{_UPPER}])|(?<=[{_UPPER}])(?=[{_UPPER}](?!s(?![{lower}]))[{lower}])"
    final_sigma = f"(?<={_CASED})\u03a3(?!(?=[{_UPPER}{lower}]){_CASED})"
    replaced = {f"{border}|[{_SIGNS}]": " ", final_sigma: "\u03c2"}
    normalizers: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
        for pattern, content in replaced.items()
    ]
    piece = f"[{lower}\u0307]+|[0-9]+|[^\\s{lower}\u03070-9]"
    return WordKind(
        {"type": "Sequence", "normalizers": [*normalizers, {"type": "Lowercase"}]},
        {"type": "Split", "pattern": {"Regex": piece}, "behavior": "Removed", "invert": True},
        shared_words,
    )


def bert_words(text: str) -> list[str]:
    """BERT's words: lower case, without accents and controls; marks and Chinese characters by themselves."""
    return text.translate(_BERT_LETTERS).split()


class _Letters(dict[int, str]):
    """character -> what becomes of it, found out when it first occurs."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        kind = unicodedata.category(character)
        if character in "\t\n\r" or (character.isspace() and kind != "Cc"):
            letters = " "
        elif character in "\0\ufffd" or kind in ("Cc", "Cf", "Co"):
            letters = ""
        else:
            letters = "".join(map(_letter, unicodedata.normalize("NFD", character)))
            if any(number in block for block in _CHINESE):
                letters = f" {letters} "
        self[number] = letters
        return letters


def _letter(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Mn":
        return ""
    return f" {character} " if kind[0] == "P" or character in _ASCII_MARKS else character.lower()


_BERT_LETTERS = _Letters()
SHARED = _shared(_LOWER)
BERT = WordKind(
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
    | {"strip_accents": None, "lowercase": True},
    {"type": "BertPreTokenizer"},
    bert_words,
)
# The first files have another spelling of the same letters, as no tokenizer reads halves of surrogate pairs.
WORD_KINDS = (SHARED, BERT, _shared(_LOWER.replace("\ue000", "\u8c48")))
