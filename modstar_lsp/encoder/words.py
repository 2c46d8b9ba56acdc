"""The one place that splits code and prose into words.

`parseJSONResponse_v2` is `parse json response v 2`. The lexical postings, exit 0 and the tokenizer of
the deeper exits all rest on these words, so that a word counts as the same thing everywhere.
"""

from __future__ import annotations

import re

# Letters outside ASCII count as lower case (they decide no identifier border) but for the capitals of
# Latin-1; the ranges leave out the punctuation blocks, so that a quotation mark or 。 ends a word.
_UPPER = "A-ZÀ-ÖØ-Þ"
_LOWER = "a-zß-öø-ʯͰ-῿Ⰰ-ⷿ぀-퟿豈-﫿"

# An acronym with its plural s (HTTP in HTTPAdapter, URLs), a capitalised or lower-case run, a number.
WORD = re.compile(f"[{_UPPER}]+s?(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|[0-9]+")


def split_words(text: str) -> list[str]:
    """Lower-case words of `text` in order, identifiers split at case changes, digits and underscores."""
    return [word.lower() for word in WORD.findall(text)]
