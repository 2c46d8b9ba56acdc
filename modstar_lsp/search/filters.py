"""What bounds a question: which files, and which of their lines, may answer it.

Filters on files are decided by path and language alone. Those on lines look the words up in the postings
first, and read only the files that are left: the index holds no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from modstar_lsp.arrays import Mask, Rows
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.files.languages import PROSE, SETTINGS
from modstar_lsp.files.lines import joined, lines_of, with_newlines
from modstar_lsp.files.wildmatch import Glob
from modstar_lsp.search.ranking import is_test

if TYPE_CHECKING:
    from modstar_lsp.index import View


class NothingLeft(QueryError):
    """Nothing passes the filters, each of which makes sense: nothing is found."""


class Sources(Protocol):
    """The files of a workspace as they stand now, for filters that must look into them."""

    def source(self, path: str) -> str:
        """The text of a file, "" when it cannot be read."""
        ...

    def modified(self, path: str) -> float:
        """When a file was last written, in seconds since 1970; 0 when it is gone."""
        ...


class Filter(NamedTuple):
    """What a hit must be: all that is set. Of a field's values one is enough, of the last three all count.

    below: files, or folders that it lies in.  languages, not_languages: of its file ("python").
    globs: paths, as `path_matcher` reads them, counted from `below`; `!GLOB` leaves out, folders with all
    that is in them.  paths: parts of a path, or globs when they hold a wildcard; `!` leaves out.
    contents: of CONTENTS.  since: seconds since 1970; the file was written then or later.
    phrases: its lines hold each of them, in any case, whatever the blanks between the words.
    without: words or phrases of which it holds none.  regexes: its lines match each of them.
    """

    below: tuple[str, ...] = ()
    languages: frozenset[str] = frozenset()
    not_languages: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    contents: frozenset[str] = frozenset()
    since: float | None = None
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()


def allowed_rows(view: View, filters: Sequence[Filter], sources: Sources | None = None) -> Mask | None:
    """bool [n], the rows that all `filters` leave, None for all.

    sources: needed for `since` and whatever looks at lines. Raises QueryError for a pattern that cannot be
    read, a language or a glob that no file has, and NothingLeft when nothing else is left.
    """
    filters = [one for one in filters if any(one)]
    if not filters or not view.n:
        return None
    keep = np.ones(len(view.paths), bool)
    for one in filters:
        keep &= _files(view, one, sources)
    if not keep.any():
        raise NothingLeft("no indexed file passes all filters together")
    mask: Mask = keep[view.file_of]
    for one in filters:
        for phrase in one.phrases:
            mask &= _holding(view, phrase, mask, sources)
        for word in one.without:
            mask &= ~_holders(view, word, mask, sources)
        for regex in one.regexes:
            mask &= _matching(view, _compiled(regex), mask, sources)
    if not mask.any():
        raise NothingLeft(_why(filters))
    return mask


def content_of(path: str, language: str) -> str:
    """Which of CONTENTS a file is: prose, else a test or what a test needs, else settings, else code."""
    if language in PROSE:
        return "docs"
    if is_test(path):
        return "tests"
    return "config" if language in SETTINGS else "code"


def path_matcher(glob: str) -> Callable[[str], bool]:
    """Whether a path matches: `*.py` in any folder, `src/*.py` from the root, `**` deeper, `src/` below.

    In time that grows with the path alone, whatever the glob. Raises QueryError for one that cannot be read.
    """
    whole = f"{glob}**" if glob.endswith("/") else glob
    anchored = "/" in glob.rstrip("/")
    try:
        return Glob(whole.lstrip("/") if anchored else f"**/{whole}").matches
    except ValueError as error:
        raise QueryError(f"--glob {glob}: {error or 'not a pattern'}") from None


# -- files


def _files(view: View, one: Filter, sources: Sources | None) -> Mask:
    """bool [files], those that pass `one`."""
    keep = np.ones(len(view.paths), bool)
    inner = [_inside(path, one.below) for path in view.paths] if one.below else view.paths
    if one.below:
        _narrow(keep, [path is not None for path in inner])
        _require(keep, f"no indexed file lies below {_listed(one.below)}")
    if one.languages:
        _narrow(keep, [language in one.languages for language in view.languages])
        if not keep.any():
            asked, have = ", ".join(sorted(one.languages)), ", ".join(sorted(set(view.languages)))
            raise QueryError(f"no indexed file is written in {asked}; there is {have or 'none at all'}")
    if one.not_languages:
        _narrow(keep, [language not in one.not_languages for language in view.languages])
    for patterns, reader in ((one.globs, path_matcher), (one.paths, _part_matcher)):
        wanted = [reader(pattern) for pattern in patterns if not pattern.startswith("!")]
        unwanted = [_with_folders(reader(pattern[1:])) for pattern in patterns if pattern.startswith("!")]
        if wanted:
            _narrow(keep, [path is not None and any(match(path) for match in wanted) for path in inner])
            if not keep.any():
                raise QueryError(f"no indexed file matches {_listed(patterns)}")
        if unwanted:
            _narrow(keep, [path is None or not any(match(path) for match in unwanted) for path in inner])
            _require(keep, f"no indexed file is left by {_listed(patterns)}")
    if one.contents:
        kinds = map(content_of, view.paths, view.languages)
        _narrow(keep, [kind in one.contents for kind in kinds])
        _require(keep, f"no indexed file is {_listed(sorted(one.contents))}")
    if one.since is not None:
        assert sources is not None
        for number in np.flatnonzero(keep):
            keep[number] = sources.modified(view.paths[int(number)]) >= one.since
        _require(keep, "no indexed file was changed since then")
    return keep


def _narrow(keep: Mask, allowed: Sequence[bool]) -> None:
    keep &= np.array(allowed, bool)


def _require(keep: Mask, message: str) -> None:
    if not keep.any():
        raise NothingLeft(message)


def _inside(path: str, below: Sequence[str]) -> str | None:
    """The rest of a path from the first of `below` that it lies in, None when it lies in none."""
    for place in below:
        if path == place:
            return path.rpartition("/")[2]
        if path.startswith(f"{place}/"):
            return path[len(place) + 1 :]
    return None


def _part_matcher(part: str) -> Callable[[str], bool]:
    if any(char in part for char in "*?["):
        return path_matcher(part)
    wanted = part.lower()
    return lambda path: wanted in path.lower()


def _with_folders(matches: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a path matches, or a folder that it lies in."""

    def either(path: str) -> bool:
        return matches(path) or any(matches(path[:at]) for at, char in enumerate(path) if char == "/")

    return either


# -- lines


def _holding(view: View, phrase: str, mask: Mask, sources: Sources | None) -> Mask:
    """Of the rows of `mask` those whose lines hold `phrase`."""
    words = phrase.split()
    pattern = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)
    likely = mask.copy()
    asked = set(split_words(phrase))
    found = view.postings(asked)
    for word in asked:
        likely &= _mask_of(view, found[word][0]) if word in found else np.zeros(view.n, bool)
    return _matching(view, pattern, likely, sources)


def _holders(view: View, word: str, mask: Mask, sources: Sources | None) -> Mask:
    """The rows that hold a word or identifier, in names and last folders too; or a phrase in their lines."""
    if not re.fullmatch(r"\w+", word):
        return _holding(view, word, mask, sources)
    parts = split_words(word)
    term = parts[0] if len(parts) == 1 else word.strip("_").lower()
    found = view.postings([term])
    return _mask_of(view, found[term][0]) if term in found else np.zeros(view.n, bool)


def _matching(view: View, pattern: re.Pattern[str], mask: Mask, sources: Sources | None) -> Mask:
    """Of the rows of `mask` those whose lines as they stand now match `pattern`."""
    assert sources is not None
    matched = np.zeros(view.n, bool)
    for path, rows in _by_file(view, mask):
        text = with_newlines(sources.source(path))
        if not pattern.search(text):
            continue
        lines = lines_of(text)
        for row, chunk in zip(rows, view.chunks(rows), strict=True):
            matched[row] = bool(pattern.search(joined(lines, chunk.start_line, chunk.end_line)))
    return matched


def _by_file(view: View, mask: Mask) -> Iterator[tuple[str, list[int]]]:
    rows = np.flatnonzero(mask).tolist()
    for file, group in groupby(rows, key=view.file_of.__getitem__):
        yield view.paths[int(file)], list(group)


def _mask_of(view: View, rows: Rows) -> Mask:
    mask = np.zeros(view.n, bool)
    mask[rows] = True
    return mask


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise QueryError(f"--regex {regex[:80]}: {error}") from None


def _why(filters: Sequence[Filter]) -> str:
    """One line for filters on lines that leave none."""
    quoted = partial(map, '"{}"'.format)
    wanted = [*quoted(phrase for one in filters for phrase in one.phrases)]
    wanted += [f"a match of {regex}" for one in filters for regex in one.regexes]
    unwanted = [word for one in filters for word in one.without]
    holds = f"no place holds {' and '.join(wanted)}" if wanted else "every place holds"
    return f"{holds}{' without' * bool(wanted and unwanted)} {' or '.join(unwanted)}".rstrip()


def _listed(values: Sequence[str]) -> str:
    return " or ".join(values)
