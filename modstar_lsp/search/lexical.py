"""BM25 over the words of chunks and of whole files, with the inflections of a word counted as that word.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). The index holds
words as written; `retries` in a question also looks up `retry`, `retried`, `retrying` at query time, so
that no stemmer's mistakes are baked into the postings and an exact spelling still counts for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modstar_lsp.arrays import Floats

if TYPE_CHECKING:
    from modstar_lsp.index import View

K1 = 1.2
B = 0.75
# An inflected form counts this much of an exact one.
INFLECTION_WEIGHT = 0.7
_SUFFIXES = ("", "s", "es", "ed", "d", "ing", "er", "ers", "or", "ion", "ions", "able")
_MIN_INFLECTED = 3
# Too short for rules: they would make `io` of `ios`, and `dn` of `dns`.
_SINGULARS = {f"{word}s": word for word in ("db", "fd", "id", "ip", "pr", "ui", "vm")}
_SHORT_PLURALS = {**_SINGULARS, **{singular: plural for plural, singular in _SINGULARS.items()}}


class LexicalScores(NamedTuple):
    """BM25 of every living chunk and of every file, and how much of the question each chunk holds.

    chunks: float32 [n].  files: float32 [files].  coverage: float32 [n], the share of the question's
    weight whose words the chunk holds, 0..1.  idf: the weight of each term asked for; a term that the
    workspace does not hold weighs as the rarest would.
    """

    chunks: Floats
    files: Floats
    coverage: Floats
    idf: dict[str, float]


def inflections(word: str) -> list[str]:
    """Forms of an English word that code may use instead of it, the word itself left out."""
    if word in _SHORT_PLURALS:
        return [_SHORT_PLURALS[word]]
    if len(word) <= _MIN_INFLECTED or not word.isascii() or not word.isalpha():
        return []
    stems = {word}
    for suffix in ("ing", "ed", "es", "s", "er", "ers", "ion", "ions", "or"):
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_INFLECTED and not word.endswith("ss"):
            stem = word[: -len(suffix)]
            stems.update((stem, stem + "e"))
            if len(stem) > _MIN_INFLECTED and stem[-1] == stem[-2]:
                stems.add(stem[:-1])  # stopped -> stop
    for stem in list(stems):
        if stem.endswith(("ie", "i")):
            stems.add(stem.rstrip("e").removesuffix("i") + "y")  # retries, retried -> retry
    forms: set[str] = set()
    for stem in stems:
        if len(stem) < _MIN_INFLECTED:
            continue
        forms.update(stem + suffix for suffix in _SUFFIXES)
        if stem.endswith("e"):
            forms.update(stem[:-1] + suffix for suffix in ("ing", "ed", "or", "ion", "able"))
        if stem.endswith("y"):
            forms.update(stem[:-1] + suffix for suffix in ("ies", "ied"))
    forms.discard(word)
    return sorted(forms)


def bm25(snapshot: View, terms: Sequence[str]) -> LexicalScores:
    """Scores of `terms` (distinct, lower-case) against every chunk and file of `snapshot`."""
    chunks = np.zeros(snapshot.n, np.float32)
    coverage = np.zeros(snapshot.n, np.float32)
    files = np.zeros(len(snapshot.paths), np.float32)
    corpus = snapshot.corpus
    idf = dict.fromkeys(terms, float(np.log1p(2 * corpus.chunks + 1)))
    if not snapshot.n:
        return LexicalScores(chunks, files, coverage, idf)
    for term, held in snapshot.held({term: weighted_forms(term) for term in terms}):
        idf[term] = idf_of(corpus.chunks, held.in_chunks)
        rows = held.rows.astype(np.intp)  # as numpy takes them, once for all
        norm = _length_norm(snapshot.lengths.take(rows), corpus.chunk_terms)
        chunks[rows] += idf[term] * held.counts * (K1 + 1) / (held.counts + norm)
        coverage[rows] += idf[term]
        norm = _length_norm(snapshot.file_lengths[held.files], corpus.file_terms)
        saturated = held.file_counts * (K1 + 1) / (held.file_counts + norm)
        files[held.files] += idf_of(corpus.files, held.in_files) * saturated
    return LexicalScores(chunks, files, coverage / max(sum(idf.values()), 1e-6), idf)


def weighted_forms(term: str) -> dict[str, float]:
    """A word of a question and its inflections, with what one of each counts."""
    return {term: 1.0, **dict.fromkeys(inflections(term), INFLECTION_WEIGHT)}


def idf_of(n: int, holders: int) -> float:
    """The weight of a word that `holders` of `n` chunks hold; most for one that none holds."""
    return float(np.log1p((n - holders + 0.5) / (holders + 0.5)))


def _length_norm(lengths: Floats, mean: float) -> Floats:
    return (K1 * (1 - B + B * lengths / mean)).astype(np.float32)
