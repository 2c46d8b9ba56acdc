"""The grammar of questions, one for the command line, editors and agents: words, and what bounds them.

    "exact phrase"   the lines hold it        -"exact phrase"   they do not
    -word            they do not hold it
    path:src/api     the path holds it        -path:legacy      it does not
    lang:python      the file's language      -lang:sql
    in:code          code, docs, tests or config                -in:tests

Whatever cannot be read so is searched as words; a question of several lines is pasted, and all words.
docs/questions.md says the same for people.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.files.languages import CONTENTS
from modstar_lsp.search.filters import Filter, path_matcher
from modstar_lsp.workspace.languages import languages_named

# One piece between blanks. A quotation that something else touches (`"a", "b"`) is a quotation in a text.
_PIECE = re.compile(
    r"""(?<!\S)(?P<minus>-?)(?:(?P<field>path|lang|in):)?(?:"(?P<quoted>[^"]+)"|(?P<bare>[^\s":][^\s"]*))(?!\S)"""
)
# A single letter behind a dash is an option that the question is about (`-v`), as is a second dash.
_UNWANTED = re.compile(r"[^\W\d]\w+")


class ParsedQuestion(NamedTuple):
    """A question, read. words: what to search for, the words of phrases among them."""

    words: str
    filter: Filter


def parse_question(text: str) -> ParsedQuestion:
    """The words and the filters in `text`. One without filters, or with nothing else, is all words."""
    if "\n" in text.strip() or "\r" in text.strip():
        return ParsedQuestion(text, Filter())
    found = Filter()
    words: list[str] = []
    at = 0
    for piece in _PIECE.finditer(text):
        narrowed = _narrowed(found, piece)
        if narrowed is None:
            continue
        found = narrowed
        said = piece["quoted"] if not piece["minus"] and not piece["field"] else ""
        words += [text[at : piece.start()], said]
        at = piece.end()
    rest = "".join([*words, text[at:]]).strip()
    if not any(found) or not split_words(rest):
        return ParsedQuestion(text, Filter())
    return ParsedQuestion(rest, found)


def _narrowed(found: Filter, piece: re.Match[str]) -> Filter | None:
    """`found` with what a piece says, None when that is words."""
    unwanted, value = bool(piece["minus"]), piece["quoted"] or piece["bare"]
    match piece["field"]:
        case "path":
            return _in_paths(found, value, unwanted)
        case "lang":
            return _in_languages(found, value, unwanted)
        case "in":
            return _in_contents(found, value, unwanted)
    if piece["quoted"] and not unwanted:
        return found._replace(phrases=(*found.phrases, value)) if split_words(value) else None
    if unwanted and (split_words(value) if piece["quoted"] else _UNWANTED.fullmatch(value)):
        return found._replace(without=(*found.without, value))
    return None


def _in_paths(found: Filter, value: str, unwanted: bool) -> Filter | None:
    part = value.removeprefix("./").lstrip("/")
    try:
        path_matcher(part)
    except QueryError:
        return None
    return found._replace(paths=(*found.paths, f"!{part}" if unwanted else part)) if part else None


def _in_languages(found: Filter, named: str, unwanted: bool) -> Filter | None:
    try:
        languages = languages_named(named)
    except QueryError:
        return None
    if unwanted:
        return found._replace(not_languages=found.not_languages | languages)
    return found._replace(languages=found.languages | languages)


def _in_contents(found: Filter, kind: str, unwanted: bool) -> Filter | None:
    if kind not in CONTENTS:
        return None
    within = found.contents or frozenset(CONTENTS if unwanted else ())
    within = within - {kind} if unwanted else within | {kind}
    return found._replace(contents=within) if within else None
