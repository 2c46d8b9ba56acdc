"""The one place that splits code and prose into words.

`parseJSONResponse_v2` is `parse json response v 2`. The lexical postings, exit 0 and the tokenizer of
the deeper exits all rest on these words, so that a word counts as the same thing everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

# Letters outside ASCII count as lower case (they decide no identifier border) but for the capitals of
# Latin-1; the ranges leave out the punctuation blocks, so that a quotation mark or 。 ends a word, and the
# surrogates, which no tokenizer reads.
_UPPER = "A-ZÀ-ÖØ-Þ"
_LOWER = "a-zß-öø-ʯͰ-῿Ⰰ-ⷿ぀-퟿\ue000-﫿"

# What both patterns agree on in ASCII, which nearly all questions are: compiling the ranges takes 4 ms.
_ASCII_WORD = re.compile("[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# How a vocabulary marks a piece that begins no word.
CONTINUATION = "##"


@cache
def _any_word() -> re.Pattern[str]:
    """An acronym with its plural s (HTTP in HTTPAdapter, URLs), a capitalised or lower-case run, a number."""
    return re.compile(f"[{_UPPER}]+s?(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|[0-9]+")


def word_pattern(text: str) -> re.Pattern[str]:
    """What a word looks like before it is made lower case, in a text like `text`."""
    return _ASCII_WORD if text.isascii() else _any_word()


def split_words(text: str) -> list[str]:
    """Lower-case words of `text` in order, identifiers split at case changes, digits and underscores."""
    return [word.lower() for word in word_pattern(text).findall(text)]


def longest_pieces(word: str, id_of: Callable[[str], int | None], longest: int) -> list[int]:
    """The longest pieces of a vocabulary, one after the other, that make up `word`; none when they do not.

    id_of: the number of a piece, None where there is none.  longest: characters of the longest piece.
    """
    whole = id_of(word)
    if whole is not None:
        return [whole]
    found = []
    start, prefix = 0, ""
    while start < len(word):
        for end in range(min(len(word), start + longest), start, -1):
            piece = id_of(prefix + word[start:end])
            if piece is not None:
                break
        else:
            return []
        found.append(piece)
        start, prefix = end, CONTINUATION
    return found
