"""The name that was meant by one with a typing error: one slip of the fingers away, and defined somewhere.

Where none is, a word that occurs: a local, an environment variable, a name of another package. There are too
many to compare each with what was typed, so that all texts one slip away are looked up instead (Norvig, "How
to write a spelling corrector", 2007).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modstar_lsp.search.query import Query, name_parts

if TYPE_CHECKING:
    from modstar_lsp.index import View
    from modstar_lsp.search.filters import Mask, Sources

# Of a shorter name every other one is a slip away.
_MIN_LENGTH = 4
# A slip changes no more characters than these, next to each other: one too many, one missing, another one,
# two the wrong way round.
_SLIP = 2
# So many names of a question are looked into: 40 of them, of a pasted text from elsewhere, took 3 s.
_MAX_NAMES = 4
# More words occur than names, and a short one is a slip away from many.
_MIN_USED_LENGTH = 6
# Some 80 texts for each character are looked up; no name that anybody wrote is longer.
_MAX_USED_LENGTH = 64
_TYPED = "abcdefghijklmnopqrstuvwxyz0123456789_"


def did_you_mean(
    view: View, query: Query, allowed: Mask | None = None, sources: Sources | None = None
) -> str:
    """A name, as it is written, for one in the question that occurs nowhere; "" for none.

    allowed: bool [n], the rows in which it has to stand; None: any.  sources: of the files, which say how a
    name that nothing defines is written; without them it is lower case.
    """
    strangers = []
    for name in query.names:
        asked = name_parts(name)[-1].lower()
        if not (len(asked) < _MIN_LENGTH or view.defining([asked]) or view.postings([asked.strip("_")])):
            strangers.append(asked)
    del strangers[_MAX_NAMES:]
    for asked in strangers:
        if meant := _defined(view, asked, allowed):
            return meant
    for asked in strangers:
        if meant := _used(view, asked.strip("_"), allowed, sources):
            return meant
    return ""


def _defined(view: View, asked: str, allowed: Mask | None) -> str:
    """The name that is defined and one slip away from `asked`."""
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


def _used(view: View, asked: str, allowed: Mask | None, sources: Sources | None) -> str:
    """The word that occurs and is one slip away from `asked`; of several as near the most frequent."""
    if not _MIN_USED_LENGTH <= len(asked) <= _MAX_USED_LENGTH:
        return ""
    found = {}
    for term, (rows, _) in view.postings(_one_slip_away(asked)).items():
        rows = rows if allowed is None else rows[allowed[rows]]
        if rows.size:
            found[term] = rows
    nearest = slips(asked, found)
    if not nearest:
        return ""
    meant = max(nearest, key=lambda term: len(found[term]))
    (chunk,) = view.chunks(found[meant][:1])
    text = "" if sources is None else sources.source(chunk.path)
    written = re.search(rf"(?<![^\W_]){re.escape(meant)}(?![^\W_])", text, re.IGNORECASE)
    return written[0] if written else meant


def _one_slip_away(asked: str) -> set[str]:
    """All texts that become `asked` by one character too many, one missing, another one, or two the wrong way
    round.
    """
    letters = {*_TYPED, *asked}
    near = set()
    for at in range(len(asked) + 1):
        head, tail = asked[:at], asked[at:]
        near.add(head + tail[1:])
        near.add(head + tail[1:2] + tail[:1] + tail[2:])
        near.update(f"{head}{letter}{tail}" for letter in letters)
        near.update(f"{head}{letter}{tail[1:]}" for letter in letters)
    return near - {asked}


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
