"""What may answer a question: the candidates worth ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Mask, Rows
from modstar_lsp.encoder.words import split_words
from modstar_lsp.index.words.terms import text_counts
from modstar_lsp.search.lexical import bm25, idf_of
from modstar_lsp.search.query import Query, name_parts
from modstar_lsp.search.ranking import Candidates, Terms

if TYPE_CHECKING:
    from modstar_lsp.index import View
    from modstar_lsp.search.filters import Sources

# Enough that a right file is among them for 99 of 100 development questions; one costs some 10 µs.
LEXICAL_CANDIDATES = 120
DENSE_CANDIDATES = 120
# The best chunk of each of the files that hold most of the question's words, though none holds much.
FILE_CANDIDATES = 40
# Find-similar searches for the rarest words of the selection; more only add common ones.
TELLING_TERMS = 24
# An identifier that so few chunks hold brings all of them.
RARE = 40
# Candidates whose shape is compared with the selection's: one costs some 0.3 ms.
SHAPED = 60
# Terms in common by chance: less than these many say little, as they stand in any file.
FEW = 4


_NOWHERE = np.zeros(0, np.int32), np.zeros(0, np.float32)


def pool(
    snapshot: View,
    query: Query,
    vector: Floats | None,
    allowed: Mask | None,
    *,
    lexical: bool,
    names: bool,
) -> Candidates:
    """Everything that may answer: by words, by its file's words, by meaning, by a name it defines.

    vector: float32 [dim] of the question, None to leave meaning out.  allowed: bool [n], the rows that the
    filters leave, None for all.  lexical, names: whether words and defined names bring candidates.
    """
    scores = bm25(snapshot, query.terms)
    chosen = np.zeros(snapshot.n, bool)
    if lexical:
        chosen[_best(scores.chunks, LEXICAL_CANDIDATES, allowed)] = True
        chosen[_best_of_best_files(snapshot, scores.chunks, scores.files, allowed)] = True
    if vector is not None and snapshot.n:
        rows = None if allowed is None else np.flatnonzero(allowed).astype(np.int32)
        chosen[snapshot.nearest(vector, DENSE_CANDIDATES, rows)[0]] = True
    identifiers = np.zeros(snapshot.n, np.float32)
    if names and query.names:
        asked = {part for name in query.names for part in name_parts(name)}
        for rows in snapshot.defining(asked).values():
            chosen[rows] = True
        for holders, rarity in _holders(snapshot, asked):
            identifiers[holders] = np.maximum(identifiers[holders], rarity)
            if holders.size <= RARE:
                chosen[holders] = True
    if allowed is not None:
        chosen &= allowed
    rows = np.flatnonzero(chosen).astype(np.int32)
    nothing = np.zeros(rows.size, np.float32)
    return Candidates(
        rows=rows,
        files=snapshot.file_of[rows].astype(np.int32),
        lexical=scores.chunks[rows] if lexical else nothing,
        coverage=scores.coverage[rows],
        dense=snapshot.cosines(vector, rows) if vector is not None else nothing,
        chunks=snapshot.chunks(rows),
        terms=Terms(scores.idf),
        nearest_words=nothing,
        identifiers=identifiers[rows],
    )


def _holders(snapshot: View, names: Iterable[str]) -> Iterator[tuple[NDArray[np.integer], float]]:
    """The chunks that hold each of `names` as a whole, and how rare it is: 1 in one chunk, 0 in all."""
    wholes = [name.strip("_").lower() for name in names if len(split_words(name)) > 1]
    chunks = snapshot.corpus.chunks
    rarest = idf_of(chunks, 1)
    for _, held in snapshot.held({whole: {whole: 1.0} for whole in wholes}):
        yield held.rows, idf_of(chunks, held.in_chunks) / rarest


def telling_terms(snapshot: View, words: Sequence[str]) -> tuple[str, ...]:
    """The words of a piece of code that few chunks hold, rarest first."""
    distinct = [word for word in dict.fromkeys(words) if len(word) > 1]
    found = snapshot.postings(distinct)
    rare = sorted((term for term in distinct if term in found), key=lambda term: len(found[term][0]))
    return tuple(rare[:TELLING_TERMS]) or tuple(distinct[:TELLING_TERMS])


def likeness_features(snapshot: View, code: str, found: Candidates) -> dict[str, Floats]:
    """What each candidate has that compares between selections, by the names in `LIKENESS`.

    `rare` is the share of the weight of the terms of `code` that the chunk holds, where rare ones weigh most.
    `shared` is the share of the terms of `code` or of the chunk, whichever has fewer, that both have: the
    copy of a function may be a part of a chunk, or divided into some.
    """
    words, wholes = text_counts(code)
    counts = Counter(words) + Counter(wholes)
    postings = snapshot.postings(counts)
    both, held = np.zeros((2, snapshot.n), np.float32)
    total = 0.0
    for term, times in counts.items():
        rows, found_times = postings.get(term, _NOWHERE)
        weight = idf_of(snapshot.n, rows.size)
        total += weight
        both[rows] += np.minimum(found_times, times)
        held[rows] += weight
    fewer = np.minimum(counts.total(), snapshot.lengths[found.rows])
    return {
        "cosine": found.dense,
        "rare": held[found.rows] / max(total, 1e-6),
        "shared": both[found.rows] / (fewer + FEW),
    }


def shapes(code: str, found: Candidates, likely: Floats, sources: Sources | None) -> Floats:
    """How much of its shape `code` has in common with each candidate (shape.py), float32 [m].

    likely: of each, that it is the code; the SHAPED likeliest are looked at, the others have 0.
    sources: of their texts; None: all have 0.
    """
    out = np.zeros(len(found.rows), np.float32)
    if sources is not None:
        from modstar_lsp.search.shape import shapes_in_common  # a question in words needs neither
        from modstar_lsp.search.source_lines import SourceLines

        files = SourceLines(sources)
        best = np.argsort(-likely, kind="stable")[:SHAPED]
        out[best] = shapes_in_common(code, [files.text(found.chunks[at]) for at in best])
    return out


def elsewhere(snapshot: View, origin: tuple[str, int, int], allowed: Mask | None) -> Mask:
    """`allowed` without the chunks that share a line with `origin` (path, first and last line)."""
    path, first, last = origin
    kept = np.ones(snapshot.n, bool) if allowed is None else allowed.copy()
    if path in snapshot.paths:
        rows = np.flatnonzero(snapshot.file_of == snapshot.paths.index(path)).astype(np.int32)
        chunks = snapshot.chunks(rows)
        kept[rows[[chunk.start_line <= last and chunk.end_line >= first for chunk in chunks]]] = False
    return kept


def _best(scores: Floats, count: int, allowed: Mask | None) -> Rows:
    """Rows of the `count` highest positive scores."""
    rows = np.flatnonzero(scores > 0 if allowed is None else (scores > 0) & allowed)
    if rows.size > count:
        rows = rows[np.argpartition(scores[rows], -count)[-count:]]
    return rows.astype(np.int32)


def _best_of_best_files(snapshot: View, chunks: Floats, files: Floats, allowed: Mask | None) -> Rows:
    """The row of the best chunk in each of the FILE_CANDIDATES best files."""
    wanted = _best(files, FILE_CANDIDATES, None)
    first, end = (np.searchsorted(snapshot.file_of, wanted, side) for side in ("left", "right"))
    parts = [np.arange(*borders) for borders in zip(first.tolist(), end.tolist(), strict=True)]
    rows = np.concatenate([np.zeros(0, np.int64), *parts])
    if allowed is not None:
        rows = rows[allowed[rows]]
    rows.sort()
    rows = rows[np.argsort(chunks[rows], kind="stable")]
    best = np.full(len(snapshot.paths), -1, np.int32)
    best[snapshot.file_of[rows]] = rows  # the last one assigned, the best, stays
    return best[best >= 0]
