"""Text of a repository is data: what whoever shows or reads it would obey is written as what it is."""

from __future__ import annotations

import re

# Control characters (an escape sequence begins with one), line separators, the marks that reorder text so
# that it reads unlike what it is, and halves of surrogate pairs, which stand for undecodable file names. Then
# what nobody sees: characters without a width, but for the joiners of scripts and emoji, and tags.
_OBEYED = (
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\xad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """`text` with control characters written as escapes (`\\x1b`), fit for one line."""
    if text.isprintable():
        return text
    return re.sub(_OBEYED, lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
