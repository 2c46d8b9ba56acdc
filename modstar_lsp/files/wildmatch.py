"""Globs as git's wildmatch reads them, matched in one pass over the text.

Patterns come with a clone, from whoever wrote the repository. A backtracking regex made of a chain of stars
takes longer than anybody waits, and holds the interpreter all the while. Here all the ways to match are
followed at once, a bit of one integer each (Baeza-Yates and Gonnet, "A new approach to text searching",
1992): each character of the text is one step, whatever the pattern.
"""

from __future__ import annotations

from typing import NamedTuple

#: No path is longer (PATH_MAX), and so no pattern that could match one.
MAX_PATTERN_CHARS = 4_096
# Characters whose places a pattern remembers; names in all the scripts there are would take the memory.
_MAX_MASKS = 256

SPECIAL = frozenset("*?[\\")
_POSIX = {
    "alpha": "azAZ",
    "digit": "09",
    "alnum": "azAZ09",
    "upper": "AZ",
    "lower": "az",
    "space": "\t\r  ",
    "blank": "\t\t  ",
    "punct": "!/:@[`{~",
    "xdigit": "09afAF",
    "cntrl": "\0\x1f\x7f\x7f",
    "print": " ~",
    "graph": "!~",
}


def lower(text: str) -> str:
    """ASCII in lower case: git folds no other letters."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


class _Class(NamedTuple):
    """A bracket expression, or "?" (the negated empty one): what stands in it, and ranges."""

    negated: bool
    characters: frozenset[str]
    ranges: tuple[tuple[str, str], ...]

    def accepts(self, char: str, folded: bool = False) -> bool:
        """folded: `char` is in lower case, and stands for its capital in ranges, as git has it."""
        inside = char in self.characters or self._in_range(char) or (folded and self._in_range(char.upper()))
        return inside is not self.negated and char != "/"

    def _in_range(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges)


class _Star(NamedTuple):
    """Any text without "/", or with it; `skipped`: a "/" follows, and both may be left out."""

    slashes: bool
    skipped: bool = False


_ANY_CHARACTER = _Class(True, frozenset(), ())
# "**/": any folders, or none
_ANY_FOLDERS = _Star(slashes=True, skipped=True)
# A token is a literal character, a class or a star.
_Token = str | _Class | _Star


class Glob:
    """One pattern. Raises ValueError for one that matches nothing: an open bracket, an unknown class, a lone
    backslash at the end, or more than MAX_PATTERN_CHARS.

    folded: capitals count as small letters. The texts are in lower case (`lower`), the pattern is as written.
    """

    __slots__ = ("_beginning", "_ends", "_everything", "_folded", "_masks", "_names", "_places", "_skips")

    def __init__(self, pattern: str, folded: bool = False) -> None:
        if len(pattern) > MAX_PATTERN_CHARS:
            raise ValueError("too long")
        # git compares what stands before the first special character by itself, so that "**" right behind it
        # stands at a beginning.
        at = next((at for at, char in enumerate(pattern) if char in SPECIAL), len(pattern))
        self._folded = folded
        self._beginning = lower(pattern[:at]) if folded else pattern[:at]
        tokens = [*self._beginning, *_tokens(pattern[at:], folded)]
        specials = [at for at, token in enumerate(tokens) if not isinstance(token, str)]
        self._ends = _ends(tokens, specials[-1] + 1 if specials else 0)
        # Places are what takes a character. A state is how many places are behind it, a bit of an integer.
        # Names, everything: the states in which any character but "/", or any at all, changes nothing.
        # Skips: the states that the next place may be left out in, once they are entered.
        self._places: list[str | _Class] = []
        self._names = self._everything = self._skips = 0
        for token in tokens:
            bit = 1 << len(self._places)
            if not isinstance(token, _Star):
                self._places.append(token)
                continue
            self._names |= bit
            if token.slashes:
                self._everything |= bit
            if token.skipped:
                self._skips |= bit
                self._places.append("/")
        self._masks: dict[str, int] = {}

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole of `text`, a name or a path with "/"."""
        if not (text.startswith(self._beginning) and text.endswith(self._ends)):
            return False
        states = 1 | (self._skips & 1) << 1
        for char in text:
            mask = self._masks.get(char)
            if mask is None:
                mask = self._mask(char)
                if len(self._masks) < _MAX_MASKS:
                    self._masks[char] = mask
            moved = (states & mask) << 1
            moved |= (moved & self._skips) << 1
            states = moved | states & (self._everything if char == "/" else self._names)
            if not states:
                return False
        return bool(states >> len(self._places) & 1)

    def _mask(self, char: str) -> int:
        """The places that take `char`, a bit each."""
        taking = (
            place == char if isinstance(place, str) else place.accepts(char, self._folded)
            for place in self._places
        )
        return sum(1 << at for at, takes in enumerate(taking) if takes)


def _ends(tokens: list[_Token], plain: int) -> tuple[str, ...]:
    """What a match ends with one of. `plain`: from where on the tokens are literal characters."""
    last = tokens[-1] if tokens else ""
    if isinstance(last, _Class) and not last.negated and not last.ranges:  # ranges alone are folded
        return tuple(last.characters)
    return ("".join(map(str, tokens[plain:])),)


def _tokens(pattern: str, folded: bool) -> list[_Token]:
    """`pattern` begins at its first special character. No letter behind a backslash is folded, as in git."""
    tokens: list[_Token] = []
    at, size = 0, len(pattern)
    while at < size:
        char = pattern[at]
        at += 1
        if char == "*":
            double = pattern[at : at + 1] == "*"
            while pattern[at : at + 1] == "*":
                at += 1
            if double and (not tokens or tokens[-1] == "/" or tokens[-1] == _ANY_FOLDERS):
                if pattern[at : at + 1] == "/":
                    at += 1
                    if tokens[-1:] != [_ANY_FOLDERS]:
                        tokens.append(_ANY_FOLDERS)
                    continue
                if at == size or pattern.startswith("\\/", at):
                    tokens.append(_Star(slashes=True))
                    continue
            tokens.append(_Star(slashes=False))
        elif char == "[":
            at, found = _bracket(pattern, at)
            tokens.append(found)
        elif char == "\\":
            if at == size:
                raise ValueError("a backslash at the end")
            tokens.append(pattern[at])
            at += 1
        else:
            tokens.append(_ANY_CHARACTER if char == "?" else lower(char) if folded else char)
    return tokens


def _bracket(pattern: str, at: int) -> tuple[int, _Class]:
    """The class whose "[" stands before `at`, and the position behind it."""
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    characters: set[str] = set()
    ranges: list[tuple[str, str]] = []
    before = ""
    first = True
    while first or pattern[at : at + 1] != "]":
        first = False
        char = pattern[at : at + 1]
        following = pattern[at + 1 : at + 2]
        if char == "-" and before and following not in ("", "]"):
            at += 1
            if following == "\\":
                at += 1
                following = pattern[at : at + 1]
            ranges.append((before, following))
            char = ""
        elif char == "[" and following == ":":
            close = pattern.find("]", at + 2)
            if close < 0:
                raise ValueError("an open bracket")
            if close > at + 2 and pattern[close - 1] == ":":
                limits = _POSIX.get(pattern[at + 2 : close - 1])
                if limits is None:
                    raise ValueError("an unknown class")
                ranges.extend(zip(limits[::2], limits[1::2], strict=True))
                at, char = close, ""
            else:
                characters.add(char)
        else:
            if char == "\\":
                at += 1
                char = pattern[at : at + 1]
            characters.add(char)
        before = char
        at += 1
        if at >= len(pattern):
            raise ValueError("an open bracket")
    return at + 1, _Class(negated, frozenset(characters), tuple(ranges))
