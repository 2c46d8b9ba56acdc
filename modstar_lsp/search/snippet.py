"""Which lines of a hit to show, and which words in them to mark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from modstar_lsp.encoder.words import word_pattern
from modstar_lsp.index.words.terms import operator_of, unspaced_parts
from modstar_lsp.search.lexical import inflections
from modstar_lsp.search.query import analyse

# An operator ends where none of these goes on.
_GOES_ON = frozenset("!#$%&*+./:<=>?@\\^|~-")
TAB = 4

# Lines that stand before a definition and may name it: comments, decorators, annotations, attributes.
_PREAMBLE = ("#", "//", "/*", "*", "--", ";", "%", "@", "[", '"', "'", "<!--", "{-")
# A window that begins or ends with an empty line wastes it; smaller than any word's worth.
_BLANK_COST = 0.01
# What a word in the window is worth when the definition's own line, always shown, holds it too.
_KNOWN_WORTH = 0.2


class Focus(NamedTuple):
    """The definition within a hit that answers: its symbol ("" for none), its line, its first and last + 1.

    All are indices into the lines of the hit.
    """

    symbol: str
    line: int
    first: int
    end: int


class Snippet(NamedTuple):
    """Some lines of a hit. `numbers` are those of the file; a gap in them is a gap in the text."""

    numbers: tuple[int, ...]
    lines: tuple[str, ...]


def asked_words(text: str) -> frozenset[str]:
    """The words of a question that are worth marking, with their inflections; as typed and in English."""
    query = analyse(text)
    terms = (*query.terms, *query.spoken)
    return frozenset(terms).union(*map(inflections, terms))


def marks(line: str, words: Collection[str]) -> list[tuple[int, int]]:
    """Start and end of each run of asked words in `line`, neighbours joined (`parseJson` is one)."""
    found: list[tuple[int, int]] = []
    for match in word_pattern(line).finditer(line):
        for start, end in _marked(match[0].lower(), match.start(), words):
            if found and (start < found[-1][1] or line[found[-1][1] : start] in ("", "_")):
                start = found.pop()[0]
            found.append((start, end))
    return found


def _marked(word: str, start: int, words: Collection[str]) -> list[tuple[int, int]]:
    """Start and end of what of a word at `start` was asked for: all of it, or parts."""
    if word in words:
        return [(start, start + len(word))]
    asked = [part for part in unspaced_parts(word) if part in words]
    spans = {(at, at + len(part)) for part in asked for at in range(len(word)) if word.startswith(part, at)}
    return sorted((start + first, start + end) for first, end in spans)


def focus(
    lines: Sequence[str],
    name: str,
    symbols: Sequence[str],
    words: Collection[str],
    *,
    asked: str = "",
    symbol_lines: Sequence[int] = (),
) -> Focus:
    """Which of the `symbols` that `lines` define is the one asked for; the first when the words do not tell.

    asked: the one that the question names, "" for none.  symbol_lines: the line that defines each, an index;
    where that no longer names it, since the file has changed, it is looked for.

    Small neighbours share a hit, and its own `name` is that of the first of them. A piece of a long
    definition does not define its name, and shows the line that holds most of the words.
    """
    known = dict(zip(symbols, symbol_lines, strict=False))
    places = {symbol: _line_of(lines, symbol, known.get(symbol)) for symbol in symbols}
    if tuple(symbols) == (name,):  # nothing to choose from
        line = places[name]
        return Focus(name, line, _with_preamble(lines, line), len(lines))
    held = [_held(line, words) for line in lines]
    starts = sorted({_with_preamble(lines, line) for line in places.values()})
    found = []
    for symbol, line in places.items():
        end = next((start for start in starts if start > line), len(lines))
        found.append(Focus(symbol, line, _with_preamble(lines, line), end))
        if symbol == asked:
            return found[-1]
    inside = [frozenset().union(*held[place.first : place.end]) for place in found]
    if name not in places:
        rest = [n for n in range(len(lines)) if not any(place.first <= n < place.end for place in found)]
        richest = max(rest or range(len(lines)), key=lambda n: len(held[n]), default=0)
        found.insert(0, Focus(name, richest, 0, len(lines)))
        inside.insert(0, frozenset().union(*(held[n] for n in rest)))
    spread = Counter(word for words_inside in inside for word in words_inside)
    worths = [
        sum(1 / spread[word] for word in words_inside) + len(_held(place.symbol, words))
        for place, words_inside in zip(found, inside, strict=True)
    ]
    return found[worths.index(max(worths))]


def _line_of(lines: Sequence[str], symbol: str, known: int | None) -> int:
    if known is not None and known < len(lines) and name_at(lines[known], last_name(symbol)) >= 0:
        return known
    return defining_line(lines, symbol)


def defining_line(lines: Sequence[str], symbol: str) -> int:
    """Index of the line that defines `symbol`, below its comment and decorators; 0 when none names it."""
    name = last_name(symbol)
    naming = [number for number, line in enumerate(lines) if name_at(line, name) >= 0]
    return next((n for n in naming if not _is_preamble(lines[n])), naming[0] if naming else 0)


def last_name(symbol: str) -> str:
    """`send` of `HTTPAdapter.send`."""
    return operator_of(symbol) or next((part for part in reversed(re.split(r"\W+", symbol)) if part), symbol)


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def name_at(line: str, name: str) -> int:
    """Where `name` stands in `line` as a whole word, an operator among letters too; -1 where it does not."""
    is_word = any(_is_letter(character) for character in name)
    at = line.find(name)
    while at >= 0:
        around = line[max(0, at - 1) : at] + line[at + len(name) : at + len(name) + 1]
        if not any(_is_letter(one) if is_word else one in _GOES_ON for one in around):
            return at
        at = line.find(name, at + 1)
    return at


def snippet(
    lines: Sequence[str], first_number: int, shown: Focus, words: Collection[str], count: int
) -> Snippet:
    """Some `count` of the lines in focus: the defining one, and those around the words asked for."""
    chosen = sorted([shown.line, *_window(lines, shown, words, count - 1)])
    # one line takes no more room than the sign of a gap
    chosen = sorted([*chosen, *(n + 1 for n, after in pairwise(chosen) if after - n == 2)])
    while len(chosen) > 1 and not lines[chosen[-1]].strip():
        chosen.pop()
    while len(chosen) > 1 and not lines[chosen[0]].strip():
        del chosen[0]
    texts = [lines[n].expandtabs(TAB).rstrip() for n in chosen]
    margin = min((len(text) - len(text.lstrip(" ")) for text in texts if text), default=0)
    return Snippet(tuple(first_number + n for n in chosen), tuple(text[margin:] for text in texts))


def _window(lines: Sequence[str], shown: Focus, words: Collection[str], size: int) -> list[int]:
    """The `size` lines in a row, but for the defining one, with most of the asked words, rare ones first."""
    others = [n for n in range(shown.first, shown.end) if n != shown.line]
    held = {n: _held(lines[n], words) for n in others}
    spread = Counter(word for inside in held.values() for word in inside)
    known = _held(lines[shown.line], words)
    below = [n for n in others if n > shown.line][:size]
    above = [n for n in others if n < shown.line]
    best, most = above[max(0, len(above) - size + len(below)) :] + below, 0.0
    for start in range(len(others) - size + 1) if size else ():
        window = others[start : start + size]
        inside = frozenset().union(*(held[n] for n in window))
        worth = sum((_KNOWN_WORTH if word in known else 1.0) / spread[word] for word in inside)
        worth -= _BLANK_COST * sum(not lines[n].strip() for n in (window[0], window[-1]))
        if worth > most + 1e-9:
            best, most = window, worth
    return best


def _is_preamble(line: str) -> bool:
    return line.lstrip().startswith(_PREAMBLE)


def _with_preamble(lines: Sequence[str], line: int) -> int:
    """The first of the comment lines and decorators directly above `line`."""
    while line > 0 and _is_preamble(lines[line - 1]):
        line -= 1
    return line


def _held(text: str, words: Collection[str]) -> frozenset[str]:
    found = [match.lower() for match in word_pattern(text).findall(text)]
    parts = (part for word in found for part in unspaced_parts(word))
    return frozenset(word for word in (*found, *parts) if word in words)
