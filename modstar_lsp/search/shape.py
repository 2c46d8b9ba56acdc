"""What code looks like with its names taken out: a copy under other names has the same shape.

Names, numbers and strings become one sign each, keywords and operators stay; the shape is the multiset of
runs of RUN such signs. Kamiya, Kusumoto, Inoue, "CCFinder" (2002), finds clones so; the runs in place of a
suffix tree let a piece of a longer text count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Signs of a run.
RUN = 5
# Runs in common by chance: less than these many say little.
FEW_RUNS = 6
# Characters of a text that are looked at.
LONGEST_SHAPED = 8_000

_SHAPE_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\\n])*`)|(?P<word>\w+)|[^\w\s]"""
)
# Words that are no names, in most languages that have them.
_KEYWORDS = frozenset(
    """if else elif elsif unless for foreach while until do loop return yield break continue switch case
    when match default try catch except finally raise throw throws rescue ensure def func function fn
    fun class struct enum interface trait impl module namespace let var val const mut new delete in of
    is as not and or async await lambda static public private protected end then begin import from
    with self this super nil null none true false""".split()
)


def runs_of(code: str) -> Counter[tuple[str, ...]]:
    """The runs of RUN signs of `code`, each as often as it occurs; of a shorter text the one there is."""
    signs = [_sign(found) for found in _SHAPE_TOKEN.finditer(code[:LONGEST_SHAPED])]
    return Counter(tuple(signs[at : at + RUN]) for at in range(max(len(signs) - RUN + 1, min(len(signs), 1))))


def shape_in_common(one: Counter[tuple[str, ...]], other: Counter[tuple[str, ...]]) -> float:
    """The share of the runs of the smaller of two shapes that both have, 0..1."""
    return (one & other).total() / (min(one.total(), other.total()) + FEW_RUNS)


def shapes_in_common(code: str, texts: Sequence[str]) -> list[float]:
    """How much of its shape `code` has in common with each of `texts`."""
    asked = runs_of(code)
    return [shape_in_common(asked, runs_of(text)) for text in texts]


def _sign(found: re.Match[str]) -> str:
    if found["string"]:
        return '"'
    word = found["word"]
    if not word:
        return found[0]
    if word.lower() in _KEYWORDS:
        return word.lower()
    return "0" if word[0].isdigit() else "n"
