"""Patterns in the syntax of .gitignore, read once per file.

Our own lines instead of pathspec: its import takes 27 ms and it needs 8 us for each path and pattern file,
together about 70 ms of the 100 ms that a warm query has beyond the interpreter and numpy. The tests compare
the answers with those of git itself.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from pathlib import Path

from modstar_lsp.files.opening import read_regular
from modstar_lsp.files.wildmatch import SPECIAL, Glob

# An ignore file is written by hand; a larger one is not read past this.
MAX_IGNORE_BYTES = 1_000_000


# Of the patterns with wildcards in one file no more than this are obeyed, and of those without three plain
# letters in a row no more than that: each may cost a look at each name. Names and extensions are looked up,
# however many there are.
MAX_GLOBS = 20_000
MAX_LOOSE_GLOBS = 1_000
# Patterns with wildcards are found by so many of their letters rather than tried one by one.
_GRAM = 3
# Of the letters in a pattern so many are looked at for those that the fewest other patterns have.
_MAX_GRAMS = 16


_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What becomes of bytes that are no text: file names may have the same.
_ODD = {"utf-16": "replace", "utf-8-sig": "surrogateescape"}

# One pattern: negated ("!"), only for folders ("/" at its end), the rest. Making NamedTuples would take a
# third of the time of a long file.
_Rule = tuple[bool, bool, str]


class _Texts:
    """Patterns by what a text (a name, or a path) has to have for them to match: few are ever tried."""

    __slots__ = ("_by_extension", "_by_gram", "_by_text", "_globs", "_loose", "_rules")

    def __init__(self, rules: list[_Rule]) -> None:
        # Numbers of rules here and below, ascending
        self._rules = rules
        self._by_text: dict[str, list[int]] = {}
        self._by_extension: dict[str, list[int]] = {}
        self._by_gram: dict[str, list[int]] = {}
        self._loose: list[int] = []  # to be tried at every text
        self._globs: dict[int, Glob | None] = {}  # None: not read yet, as nothing asked for it

    def add(self, number: int, pattern: str, *, is_path: bool) -> None:
        if SPECIAL.isdisjoint(pattern):
            self._by_text.setdefault(pattern, []).append(number)
            return
        if (
            not is_path
            and pattern.startswith("*.")
            and "." not in pattern[2:]
            and SPECIAL.isdisjoint(pattern[2:])
        ):
            self._by_extension.setdefault(pattern[2:], []).append(number)
            return
        if len(self._globs) == MAX_GLOBS:
            return
        grams = _grams(pattern)
        if grams:
            # What the fewest others have tells most.
            gram = min(grams, key=lambda gram: len(self._by_gram.get(gram, ())))
            self._by_gram.setdefault(gram, []).append(number)
        elif len(self._loose) < MAX_LOOSE_GLOBS:
            self._loose.append(number)
        self._globs[number] = None

    def latest(self, text: str, is_folder: bool, best: int) -> int:
        """The number of the last rule that matches `text`, at least `best`."""
        candidates = []
        if text in self._by_text:
            candidates.append(self._by_text[text])
        if self._by_extension:
            dot = text.rfind(".") + 1
            if dot and text[dot:] in self._by_extension:
                candidates.append(self._by_extension[text[dot:]])
        if self._loose:
            candidates.append(self._loose)
        if self._by_gram:
            by_gram = self._by_gram
            if len(by_gram) < len(text):
                candidates += [by_gram[gram] for gram in by_gram if gram in text]
            else:
                grams = [text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)]
                candidates += [by_gram[gram] for gram in grams if gram in by_gram]
        for numbers in candidates:
            for number in reversed(numbers):
                if number <= best:
                    break
                if (is_folder or not self._rules[number][1]) and self._matches(number, text):
                    best = number
                    break
        return best

    def _matches(self, number: int, text: str) -> bool:
        if number not in self._globs:
            return True  # found by its whole text or its extension
        glob = self._globs[number]
        if glob is None:
            try:
                glob = Glob(self._rules[number][2])
            except ValueError:
                glob = _NOTHING
            self._globs[number] = glob
        return glob.matches(text)


# No text is empty.
_NOTHING = Glob("")


class Patterns:
    """The patterns of one ignore file, which speak about paths below the folder that holds it."""

    __slots__ = ("_names", "_paths", "_rules")

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules: list[_Rule] = []
        self._names = _Texts(self._rules)
        self._paths = _Texts(self._rules)
        for line in lines:
            parsed = _parse(line)
            if parsed is None:
                continue
            rule, anchored = parsed
            (self._paths if anchored else self._names).add(len(self._rules), rule[2], is_path=anchored)
            self._rules.append(rule)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """True: ignored. False: re-included by a later "!" pattern. None: no pattern speaks about it.

        `path` is relative to the folder of these patterns, `name` its last component. The folders above
        are not looked at: an ignored folder is never entered.
        """
        best = self._paths.latest(path, is_folder, self._names.latest(name, is_folder, -1))
        return None if best < 0 else not self._rules[best][0]


def read_patterns(path: Path, *, follow: bool = False) -> Patterns | None:
    """The patterns of an ignore file, None when it is missing, unreadable, no regular file or empty.

    follow: whether it may be a link; git follows none in the work tree.
    """
    try:
        data = read_regular(path, MAX_IGNORE_BYTES, follow=follow)
    except OSError:
        return None
    # git reads no UTF-16, which Windows PowerShell writes; whoever wrote it wants something left out.
    encoding = "utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig"
    patterns = Patterns(data.decode(encoding, _ODD[encoding]).split("\n"))
    return patterns or None


def _parse(line: str) -> tuple[_Rule, bool] | None:
    """(the rule, whether it speaks of whole paths), None for a comment or nothing."""
    if line.startswith("#"):
        return None
    line = _trimmed(line.removesuffix("\r"))
    negated = line.startswith("!")
    line = line[1:] if negated else line
    folders = line.endswith("/")
    line = line[:-1] if folders else line
    anchored = "/" in line
    line = line[1:] if line.startswith("/") else line
    if not line:
        return None
    if anchored and line.startswith("**/") and line[3:] and "/" not in line[3:]:
        line, anchored = line[3:], False
    return (negated, folders, line), anchored


def _grams(pattern: str) -> list[str]:
    """Some letters in a row that a text has in it wherever `pattern` matches."""
    plain = pattern.partition("[")[0]
    # "**/" may match nothing, so its "/" is no letter to be found; nor is what stands behind a backslash.
    pieces = re.split(r"\\.?|\*\*+/?|[*?]", plain)
    grams = [piece[at : at + _GRAM] for piece in pieces for at in range(len(piece) - _GRAM + 1)]
    return grams[-_MAX_GRAMS:]


def _trimmed(line: str) -> str:
    """Without spaces at the end; one behind a backslash stays."""
    text = line.rstrip(" ")
    if len(text) < len(line) and (len(text) - len(text.rstrip("\\"))) % 2:
        text += " "
    return text
