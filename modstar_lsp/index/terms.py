"""The words by which a chunk can be found, and how often it holds each.

A run of letters, digits and underscores is split once and remembered: most identifiers of a code base
come back again and again, and splitting them is what indexing would spend most of its time on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from modstar_lsp.encoder.words import split_words

if TYPE_CHECKING:
    from modstar_lsp.chunking import Chunk

# Any stretch without ASCII punctuation or blanks. No word of `split_words` reaches beyond one.
# Said by what it is not: the range of all letters takes 2 ms to compile.
_RUN = re.compile(r"[^\x00-/:-@\[-^`{-\x7f]+")
# Folders of a path that say what a file is about; the ones above repeat in every chunk.
_FOLDERS = 3
# A file's own name counts twice: people ask for it.
_STEM_WEIGHT = 2
# Longer identifiers are keys, hashes and data: nobody types them, and each would be a term of its own.
_MAX_WHOLE = 64
_REMEMBERED_RUNS = 1 << 16

# Where a symbol ends in its last component: module.Class, Class::method, Class#method, pkg/name.
_SYMBOL_BORDER = re.compile(r"[.:#/]+")
# Terms never start with this, so names that a chunk defines can share the postings.
DEFINES = ":"


def chunk_terms(path: str, chunk: Chunk) -> Counter[str]:
    """The terms of `chunk` of the file `path` with their counts.

    They are the words of its text, its identifiers of more than one word as a whole (lower case, outer
    underscores off), and the words of its name, scope, file stem and last folders.
    """
    words, wholes = text_counts(chunk.text)
    return Counter(with_context(path, chunk, words, wholes))


def text_counts(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """(words of `text` as `split_words` has them, identifiers of more than one word), with counts."""
    words: dict[str, int] = {}
    wholes: dict[str, int] = {}
    for run, count in Counter(_RUN.findall(text)).items():
        parts, whole = _split(run)
        for word in parts:
            words[word] = words.get(word, 0) + count
        if whole:
            wholes[whole] = wholes.get(whole, 0) + count
    return words, wholes


def with_context(
    path: str, chunk: Chunk, words: Mapping[str, int], wholes: Mapping[str, int]
) -> dict[str, int]:
    """The terms of a chunk, given the counts of its text."""
    terms = dict(words)
    for whole, count in wholes.items():
        terms[whole] = terms.get(whole, 0) + count
    for word, count in _path_words(path):
        terms[word] = terms.get(word, 0) + count
    for names in (chunk.name, chunk.scope):
        if names:
            for word in _words(names):
                terms[word] = terms.get(word, 0) + 1
    return terms


def defined_names(symbols: tuple[str, ...]) -> set[str]:
    """The lower-case names under which `symbols` can be asked for: each whole, and its last component."""
    names = set()
    for symbol in symbols:
        lower = symbol.lower()
        names.add(lower)
        names.add(_SYMBOL_BORDER.split(lower)[-1])
    names.discard("")
    return names


@lru_cache(_REMEMBERED_RUNS)
def _split(run: str) -> tuple[list[str], str]:
    words = split_words(run)
    if len(words) < 2 or len(run) > _MAX_WHOLE:
        return words, ""
    whole = run.strip("_").lower()
    return words, whole if whole.isidentifier() else ""


@lru_cache(1024)
def _words(names: str) -> list[str]:
    return split_words(names)


@lru_cache(16)
def _path_words(path: str) -> tuple[tuple[str, int], ...]:
    *folders, name = path.split("/")
    stem = name[: name.rfind(".")] if name.rfind(".") > 0 else name
    counts = Counter({word: n * _STEM_WEIGHT for word, n in Counter(split_words(stem)).items()})
    for folder in folders[-_FOLDERS:]:
        counts.update(split_words(folder))
    return tuple(counts.items())
