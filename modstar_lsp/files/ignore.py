"""Patterns in the syntax of .gitignore, read once per file.

Our own lines instead of pathspec: its import takes 27 ms and it needs 8 us for each path and pattern file,
together about 70 ms of the 100 ms that a warm query has beyond the interpreter and numpy. The tests compare
the answers with those of git itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from modstar_lsp.files.lines import decode_names
from modstar_lsp.files.opening import read_regular
from modstar_lsp.files.wildmatch import SPECIAL, Glob, lower

# An ignore file is written by hand, or by a tool that names each file it made; no more is read than this.
MAX_IGNORE_BYTES = 4_000_000


# Of the patterns with wildcards in one file no more than this are obeyed, and of those that neither an end
# nor three plain letters in a row tell no more than that: each may cost a look at each name. Patterns without
# wildcards are looked up, however many there are.
MAX_GLOBS = 50_000
MAX_LOOSE_GLOBS = 1_000
# A pattern is found by at most so many of its characters before the first wildcard, by its extension or by
# those behind the last, where fewer than that share them: what a tool wrote differs in one place, maybe the
# middle.
_MAX_PART = 32
_MAX_SHARING = 8
# Those whose ends too many share are found by so many of their letters rather than tried one by one.
_GRAM = 3
# Of the letters in a pattern so many are looked at for those that the fewest other patterns have.
_MAX_GRAMS = 16
# What begins or ends a bracket or a character that stands for itself
_NOT_PLAIN = frozenset("[]\\")


# One pattern: whether it is only for folders ("/" at its end), whether it speaks of whole paths, the rest.
# Making NamedTuples would take a third of the time of a long file.
_Rule = tuple[bool, bool, str]


class _Texts:
    """Patterns by what a text (a name, or a path) has to have for them to match: few are ever tried."""

    __slots__ = (
        "_by_end",
        "_by_extension",
        "_by_gram",
        "_by_start",
        "_by_text",
        "_ends",
        "_folded",
        "_globs",
        "_loose",
        "_room",
        "_starts",
    )

    def __init__(self, folded: bool) -> None:
        self._folded = folded
        # Numbers of rules here and below, ascending
        self._by_text: dict[str, list[int]] = {}
        self._by_extension: dict[str, list[int]] = {}
        self._by_start: dict[str, list[int]] = {}
        self._by_end: dict[str, list[int]] = {}
        self._by_gram: dict[str, list[int]] = {}
        self._loose: list[int] = []  # to be tried at every text
        self._starts: set[int] = set()  # how long the keys are
        self._ends: set[int] = set()
        self._room = MAX_GLOBS
        # Whether only for folders, and the pattern: a text until something asks for it
        self._globs: dict[int, tuple[bool, str | Glob]] = {}

    def add(self, number: int, pattern: str, for_folders: bool) -> None:
        told = lower(pattern) if self._folded else pattern
        if SPECIAL.isdisjoint(pattern):
            self._by_text.setdefault(told, []).append(number)
        elif self._room and (numbers := self._place(told)) is not None:
            self._room -= 1
            numbers.append(number)
        else:
            return
        self._globs[number] = for_folders, pattern

    def _place(self, pattern: str) -> list[int] | None:
        """Where texts that `pattern` may match look for its number, None where there is no room for it."""
        if start := _start(pattern):
            self._starts.add(len(start))
            sharing = self._by_start.setdefault(start, [])
            if len(sharing) < _MAX_SHARING:
                return sharing
        end = _end(pattern)
        if "." in end:
            sharing = self._by_extension.setdefault(end.rpartition(".")[2], [])
            if len(sharing) < _MAX_SHARING:
                return sharing
        if end:
            self._ends.add(len(end))
            sharing = self._by_end.setdefault(end, [])
            if len(sharing) < _MAX_SHARING:
                return sharing
        if grams := _grams(pattern):
            # What the fewest others have tells most.
            gram = min(grams, key=lambda gram: len(self._by_gram.get(gram, ())))
            return self._by_gram.setdefault(gram, [])
        return self._loose if len(self._loose) < MAX_LOOSE_GLOBS else None

    def latest(self, text: str, is_folder: bool, best: int) -> int:
        """The number of the last rule that matches `text`, at least `best`."""
        if not self._globs:
            return best
        candidates = [self._loose] if self._loose else []
        if text in self._by_text:
            candidates.append(self._by_text[text])
        if self._by_extension:
            dot = text.rfind(".") + 1
            if dot and text[dot:] in self._by_extension:
                candidates.append(self._by_extension[text[dot:]])
        for size in self._starts:
            if text[:size] in self._by_start:
                candidates.append(self._by_start[text[:size]])
        for size in self._ends:
            if text[-size:] in self._by_end:
                candidates.append(self._by_end[text[-size:]])
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
                if self._matches(number, text, is_folder):
                    best = number
                    break
        return best

    def _matches(self, number: int, text: str, is_folder: bool) -> bool:
        for_folders, glob = self._globs[number]
        if for_folders and not is_folder:
            return False
        if isinstance(glob, str):
            try:
                glob = Glob(glob, self._folded)
            except ValueError:
                glob = _NOTHING
            self._globs[number] = for_folders, glob
        return glob.matches(text)


# No text is empty.
_NOTHING = Glob("")


class Patterns:
    """The patterns of one ignore file, which speak about paths below the folder that holds it.

    Of rules with the same text the last counts, so a rule is looked up by its line; only lines with a
    wildcard or with something to be taken off are read one by one. 40,000 of the others take 15 ms.
    """

    __slots__ = ("_folded", "_lines", "_names", "_paths", "_plain")

    def __init__(self, lines: Iterable[str], folded: bool = False) -> None:
        """folded: capitals count as small letters, as git has it where `core.ignoreCase` is set."""
        self._folded = folded
        self._lines = list(lines)
        # Numbers of lines here and below
        ignored = dict(zip(self._lines, range(len(self._lines)), strict=True))
        kept = {}
        self._names = _Texts(folded)
        self._paths = _Texts(folded)
        # Comments, and what has a wildcard, a backslash or blanks at its end; calls would take as long again
        odd = [
            line
            for line in ignored
            if "*" in line
            or "?" in line
            or "[" in line
            or "\\" in line
            or line[:1] in "#"
            or line[-1] in " \r"
        ]
        for number, line in sorted((ignored.pop(line), line) for line in odd):
            rule = _parse(line)
            if rule is not None:
                for_folders, is_path, pattern = rule
                (self._paths if is_path else self._names).add(number, pattern, for_folders)
        for line in [line for line in ignored if line[:1] == "!"]:
            kept[line[1:]] = ignored.pop(line)
        if folded:
            ignored, kept = _folded(ignored), _folded(kept)
        self._plain = [numbers for numbers in (ignored, kept) if numbers]

    def __bool__(self) -> bool:
        return any(_parse(line) is not None for line in self._lines)

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """True: ignored. False: re-included by a later "!" pattern. None: no pattern speaks about it.

        `path` is relative to the folder of these patterns, `name` its last component. The folders above
        are not looked at: an ignored folder is never entered.
        """
        if self._folded:
            path, name = lower(path), lower(name)
        spelt = [name, path, f"/{path}"]
        if is_folder:
            spelt += [f"{text}/" for text in spelt]
        best = -1
        for numbers in self._plain:
            for text in spelt:
                if text in numbers and numbers[text] > best:
                    best = numbers[text]
        best = self._paths.latest(path, is_folder, self._names.latest(name, is_folder, best))
        return None if best < 0 else not self._lines[best].startswith("!")


def _folded(numbers: dict[str, int]) -> dict[str, int]:
    """Of lines that are one in lower case the last."""
    return {lower(line): numbers[line] for line in sorted(numbers, key=numbers.__getitem__)}


def read_patterns(path: Path, *, follow: bool = False, folded: bool = False) -> Patterns | None:
    """The patterns of an ignore file, None when it is missing, unreadable, no regular file or empty.

    follow: whether it may be a link; git follows none in the work tree.  folded: as of `Patterns`.
    """
    try:
        data = read_regular(path, MAX_IGNORE_BYTES, follow=follow)
    except OSError:
        return None
    text = decode_names(data)  # git reads no UTF-16; whoever wrote it wants something left out
    if len(data) == MAX_IGNORE_BYTES:
        text = text.rpartition("\n")[0]  # half a line may speak of everything
    patterns = Patterns(text.replace("\r\n", "\n").split("\n"), folded)
    return patterns or None


def _parse(line: str) -> _Rule | None:
    """The rule that a line is, None for a comment or nothing."""
    if line.startswith("#"):
        return None
    line = _trimmed(line.removesuffix("\r"))
    line = line.removeprefix("!")
    folders = line.endswith("/")
    line = line[:-1] if folders else line
    anchored = "/" in line
    line = line[1:] if line.startswith("/") else line
    if not line:
        return None
    if anchored and line.startswith("**/") and line[3:] and "/" not in line[3:]:
        line, anchored = line[3:], False
    return folders, anchored, line


def _start(pattern: str) -> str:
    """What all that `pattern` matches begins with, up to its first wildcard."""
    for special in SPECIAL:
        pattern = pattern.partition(special)[0]
    return pattern[:_MAX_PART]


def _end(pattern: str) -> str:
    """What all that `pattern` matches ends with, behind its last wildcard; no "/" first, since "**/" may
    match nothing.
    """
    end = pattern.rpartition("*")[2].rpartition("?")[2].lstrip("/")
    return end[-_MAX_PART:] if _NOT_PLAIN.isdisjoint(end) else ""


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
