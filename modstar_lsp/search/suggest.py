"""The name that was meant by one with a typing error: one slip of the fingers away, and defined somewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modstar_lsp.search.query import Query, name_parts

if TYPE_CHECKING:
    from modstar_lsp.index import View
    from modstar_lsp.search.filters import Mask

# Of a shorter name every other one is a slip away.
_MIN_LENGTH = 4
# A slip changes no more characters than these, next to each other: one too many, one missing, another one,
# two the wrong way round.
_SLIP = 2


def did_you_mean(view: View, query: Query, allowed: Mask | None = None) -> str:
    """A name that is defined, as it is written, for one in the question that occurs nowhere; "" for none.

    allowed: bool [n], the rows in which it has to be defined; None: any.
    """
    for name in query.names:
        asked = name_parts(name)[-1].lower()
        if len(asked) < _MIN_LENGTH or view.defining([asked]) or view.postings([asked.strip("_")]):
            continue
        names = view.names(len(asked) - _SLIP, len(asked) + _SLIP)
        for meant in slips(asked, names):
            for defining in view.defining([meant]).values():  # none when its chunks are gone
                rows = [row for row in defining if allowed is None or allowed[row]]
                if not rows:
                    continue
                (chunk,) = view.chunks(rows[:1])
                parts = [name_parts(symbol)[-1] for symbol in chunk.symbols if name_parts(symbol)]
                return next((part for part in parts if part.lower() == meant), meant)
    return ""


def slips(asked: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are one slip away from `asked`, the nearest first."""
    # Whatever the slip, what stands before the middle or behind it is as it should be, but for one across it.
    middle = len(asked) // 2
    head, tail, before, behind = asked[:middle], asked[middle:], asked[: middle - 1], asked[middle + 1 :]
    near = {}
    for name in names:
        across = name.startswith(before) and name.endswith(behind)
        if across or name.startswith(head) or name.endswith(tail):
            distance = _changed(asked, name)
            if 0 < distance <= _SLIP:
                near[name] = distance
    return sorted(near, key=lambda name: (near[name], abs(len(name) - len(asked)), name))


def _changed(one: str, other: str) -> int:
    """How many characters lie between what both begin with and what both end with."""
    begin = _shared(one, other)
    return max(len(one), len(other)) - begin - _shared(one[begin:][::-1], other[begin:][::-1])


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
