"""The words by which a chunk can be found, and how often it holds each.

A run of letters, digits and underscores is split once and remembered: most identifiers of a code base
come back again and again, and splitting them is what indexing would spend most of its time on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from modstar_lsp.encoder.words import split_words, word_pattern

if TYPE_CHECKING:
    from modstar_lsp.chunking import Chunk

# Any stretch without ASCII punctuation or blanks. No word of `split_words` reaches beyond one.
# Said by what it is not: the range of all letters takes 2 ms to compile.
_RUN = re.compile(r"[^\x00-/:-@\[-^`{-\x7f]+")
# Folders of a path that say what a file is about; the ones above repeat in every chunk.
_PATH_FOLDERS = 3
# A file's own name counts twice: people ask for it.
_STEM_WEIGHT = 2
# Longer identifiers are keys, hashes and data: nobody types them, and each would be a term of its own.
_MAX_WHOLE = 64
_REMEMBERED_RUNS = 1 << 16
# One word to whoever types it, though its capitals make it two: the IPv of IPv6, gRPC, eBPF.
_MIXED = re.compile(r"[A-Z]{2,}[a-z]{1,2}(?=[0-9])|(?<![A-Za-z])[a-z][A-Z]{2,}(?![a-z])")
# Kana, the ideographs and Hangul: written without blanks, so that a word of theirs is a whole clause.
_UNSPACED = "぀-ヿ㐀-䶿一-鿿豈-\ufaff가-\ud7a3"

# Where a symbol ends in its last component: module.Class, Class::method, Class#method, pkg/name.
_SYMBOL_BORDER = re.compile(r"[.:#/]+")
# Signs of Ruby, PHP, JavaScript and Haskell at a name's ends.
_SIGNS_AROUND = re.compile(r"^[$@]+|(?<=\w)[?!=']$")
# An operator, alone or behind what it is defined in, as C++ names it too: `<*>`, `Renderable.<<#`,
# `V.operator+`.
_OPERATOR = re.compile(r"(?:^|(?<=\w)(?:\.|::))(?:operator\s*)?([^\w\s\"']+)$")
# Terms never start with this, so names that a chunk defines can share the postings.
DEFINES = ":"


def chunk_terms(path: str, chunk: Chunk) -> Counter[str]:
    """The terms of `chunk` of the file `path` with their counts.

    They are the words of its text, the compounds in it (see `text_counts`), and the words of its name, scope,
    file stem and last folders.
    """
    words, compounds = text_counts(chunk.text)
    return Counter(with_context(path, chunk, words, compounds))


def text_counts(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """(words of `text` as `split_words` has them, compounds of them and parts), with counts.

    Compounds are identifiers of more than one word as a whole (lower case, outer underscores off) and mixed
    words; parts are what `unspaced_parts` makes of a word. The model sees none of them.
    """
    words: dict[str, int] = {}
    compounds: dict[str, int] = {}
    for run, count in Counter(_RUN.findall(text)).items():
        split, further = _split(run)
        for word in split:
            words[word] = words.get(word, 0) + count
        for compound in further:
            compounds[compound] = compounds.get(compound, 0) + count
    if not text.isascii():
        for word, count in words.items():
            for part in unspaced_parts(word):
                if part != word:
                    compounds[part] = compounds.get(part, 0) + count
    return words, compounds


def asked_terms(text: str) -> list[str]:
    """The terms under which the postings have the words of a question, in order."""
    for start, end in reversed(_mixed(text)):
        text = f"{text[:start]} {text[start:end].lower()} {text[end:]}"
    words = split_words(text)
    return [term for word in words for term in unspaced_parts(word) or [word]]


def _mixed(text: str) -> list[tuple[int, int]]:
    """Where the mixed words of `text` stand: from and to where words of `split_words` begin and end."""
    found = [mixed.span() for mixed in _MIXED.finditer(text)]
    if not found:
        return found
    spans = [word.span() for word in word_pattern(text).finditer(text)]
    begins, ends = {start for start, _ in spans}, {end for _, end in spans}
    if not text.isascii():  # a clause without blanks ends at a mixed word, though `split_words` goes on
        stretches = [stretch.span() for stretch in _stretches().finditer(text) if stretch[1]]
        begins.update(end for _, end in stretches)
        ends.update(start for start, _ in stretches)
    return [(start, end) for start, end in found if start in begins and end in ends]


def unspaced_parts(word: str) -> list[str]:
    """The pairs of neighbours in each Chinese, Japanese or Korean stretch of `word`, and its other stretches.

    None for a word without such a stretch. So a word is found within the clause that it stands in, as Lucene
    has it (CJKBigramFilter).
    """
    if word.isascii():
        return []
    stretches = _stretches().findall(word)
    if not any(unspaced for unspaced, _ in stretches):
        return []
    parts = []
    for unspaced, other in stretches:
        pairs = [unspaced[at : at + 2] for at in range(len(unspaced) - 1)]
        parts.extend(pairs or [unspaced or other])
    return parts


@cache
def _stretches() -> re.Pattern[str]:
    return re.compile(f"([{_UNSPACED}]+)|([^{_UNSPACED}]+)")


def with_context(
    path: str, chunk: Chunk, words: Mapping[str, int], compounds: Mapping[str, int]
) -> dict[str, int]:
    """The terms of a chunk, given the counts of its text."""
    terms = dict(words)
    for compound, count in compounds.items():
        terms[compound] = terms.get(compound, 0) + count
    for word, count in _path_words(path):
        terms[word] = terms.get(word, 0) + count
    for names in (chunk.name, chunk.scope):
        if names:
            for word in _words(names):
                terms[word] = terms.get(word, 0) + 1
    return terms


def bare_name(name: str) -> str:
    """A name without the signs at its ends, which people leave out: `empty?`, `save!`, `$scope`, `@count`."""
    return _SIGNS_AROUND.sub("", name) or name


def operator_of(symbol: str) -> str:
    """The name of signs alone that `symbol` is or ends with, "" for others."""
    found = _OPERATOR.search(symbol)
    return found[1] if found else ""


def defined_names(symbols: tuple[str, ...]) -> set[str]:
    """The lower-case names under which `symbols` can be asked for: each whole, and its last component, with
    the signs around it and without."""
    names: set[str] = set()
    for symbol in symbols:
        lower = symbol.lower()
        last = operator_of(lower) or _SYMBOL_BORDER.split(lower)[-1]
        names.update((lower, last, bare_name(last)))
    names.discard("")
    return names


@lru_cache(_REMEMBERED_RUNS)
def _split(run: str) -> tuple[list[str], tuple[str, ...]]:
    words = split_words(run)
    if len(words) < 2 or len(run) > _MAX_WHOLE:
        return words, ()
    whole = run.strip("_").lower()
    mixed = (run[start:end].lower() for start, end in _mixed(run))
    wholes = (whole,) if whole.isidentifier() else ()
    return words, (*wholes, *(word for word in mixed if word != whole))


@lru_cache(1024)
def _words(names: str) -> list[str]:
    return split_words(names)


@lru_cache(16)
def _path_words(path: str) -> tuple[tuple[str, int], ...]:
    *folders, name = path.split("/")
    stem = name[: name.rfind(".")] if name.rfind(".") > 0 else name
    counts = Counter({word: n * _STEM_WEIGHT for word, n in Counter(split_words(stem)).items()})
    for folder in folders[-_PATH_FOLDERS:]:
        counts.update(split_words(folder))
    return tuple(counts.items())
