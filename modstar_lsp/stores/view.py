"""The candidates that a store found, as ranking sees an index: some rows, and the numbers of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.reading.view import Corpus, Held
from modstar_lsp.index.records import KINDS, StoredChunk
from modstar_lsp.index.vectors.quantised import Floats, Quantised, Rows, quantise, top
from modstar_lsp.index.words.terms import DEFINES
from modstar_lsp.stores.store import Entry, Store, StoreScope

# A file, in all repositories.
_File = tuple[str, str]


class FoundView:
    """A `View` of the chunks that were found. Rows are numbered by path, repository and line.

    entries: the chunk of each row.
    """

    def __init__(
        self,
        store: Store,
        scope: StoreScope,
        chunks: Iterable[Entry],
        files: Iterable[Entry],
        dimension: int,
    ) -> None:
        """chunks, files: what was found, some of it twice.  scope: of what they were found in."""
        self._store = store
        self._scope = scope._replace(languages=())  # a word is as rare as in all that may be seen
        distinct = {(one.path, one.repository, one.position): one for one in chunks}
        self.entries: Sequence[Entry] = [distinct[key] for key in sorted(distinct)]
        self._number_files(files)
        self.n = len(self.entries)
        self.lengths: Floats = np.array([one.length for one in self.entries], np.float32)
        self._vectors = _quantised(self.entries, dimension)
        self._rows = _postings(self.entries)
        self._counted: dict[tuple[str, ...], tuple[int, int]] = {}
        found = [one for one in store.repositories(scope.labels) if scope.sees(one)]
        n_files, n_chunks = sum(one.files for one in found), sum(one.chunks for one in found)
        terms = float(sum(one.terms for one in found))
        self.corpus = Corpus(n_chunks, n_files, terms / max(n_chunks, 1), terms / max(n_files, 1))

    def _number_files(self, files: Iterable[Entry]) -> None:
        known = {(one.path, one.repository): one for one in files}
        of_row = [(one.path, one.repository) for one in self.entries]
        keys = sorted({*known, *of_row})
        number = {key: position for position, key in enumerate(keys)}
        languages = {key: one.language for key, one in zip(of_row, self.entries, strict=True)}
        self.paths: Sequence[str] = [path for path, _ in keys]
        self.languages: Sequence[str] = [
            known[key].language if key in known else languages[key] for key in keys
        ]
        self.file_of: Rows = np.array([number[key] for key in of_row], np.int32)
        # Of files that were not found as such, which do not compete as files, it does not matter.
        lengths = [known[key].length if key in known else 1 for key in keys]
        self.file_lengths: Floats = np.array(lengths, np.float32)
        self._files = _postings([known[key] for key in keys if key in known])
        self._file_rows = np.array([number[key] for key in keys if key in known], np.int32)

    # -- words

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
        """See `View`."""
        return {term: self._rows[term] for term in dict.fromkeys(terms) if term in self._rows}

    def held(self, words: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Held]]:
        """See `View`. How many hold a word in all the store is asked, once."""
        for word, forms in words.items():
            rows, counts = _summed(self._rows, forms)
            numbers, file_counts = _summed(self._files, forms)
            if rows.size or numbers.size:
                in_chunks, in_files = self._count(tuple(sorted(forms)))
                yield word, Held(rows, counts, self._file_rows[numbers], file_counts, in_chunks, in_files)

    def _count(self, forms: tuple[str, ...]) -> tuple[int, int]:
        if forms not in self._counted:
            chunks, files = (self._store.count(kind, self._scope, forms) for kind in ("chunks", "files"))
            self._counted[forms] = chunks, files
        return self._counted[forms]

    def defining(self, names: Iterable[str]) -> dict[str, Rows]:
        """See `View`."""
        found = self.postings(DEFINES + name.lower() for name in names)
        return {term.removeprefix(DEFINES): rows for term, (rows, _) in found.items()}

    def names(self, least: int, most: int) -> list[str]:
        """None: a store is not asked for what somebody may have meant."""
        return []

    # -- vectors

    @property
    def indexed_share(self) -> float:
        """A store does not say what it lacks."""
        return 1.0

    @property
    def exits(self) -> NDArray[np.uint8]:
        """See `View`."""
        return np.array([one.exit for one in self.entries], np.uint8)

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """See `View`."""
        rows = np.arange(self.n, dtype=np.int32) if rows is None else np.asarray(rows, np.int32)
        cosines = self.cosines(query, rows)
        best = top(cosines, k)
        return rows[best], cosines[best]

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """See `View`."""
        return self._vectors.cosines(query, rows)

    # -- chunks

    def chunks(self, rows: Iterable[int]) -> list[StoredChunk]:
        """See `View`."""
        return [_stored(self.entries[int(row)]) for row in rows]


def _stored(entry: Entry) -> StoredChunk:
    return StoredChunk(
        entry.path,
        entry.language,
        entry.start_line,
        entry.end_line,
        KINDS[entry.kind],
        entry.name,
        entry.scope,
        tuple(entry.symbols),
        entry.lines_below,
        entry.pieces,
    )


def _quantised(entries: Sequence[Entry], dimension: int) -> Quantised:
    """The vectors as int8: what a store gives back as floats were int8 numbers, and are again, exactly."""
    vectors = np.zeros((len(entries), dimension), np.float32)
    for row, entry in enumerate(entries):
        if entry.vector is not None:
            vectors[row] = entry.vector
    return quantise(vectors)


def _postings(entries: Sequence[Entry]) -> dict[str, tuple[Rows, Floats]]:
    """By term the positions of those that hold it, ascending, and how often each does."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for position, entry in enumerate(entries):
        for term, count in zip(entry.terms, entry.counts, strict=True):
            rows, counts = found.setdefault(term, ([], []))
            rows.append(position)
            counts.append(count)
    return {term: (np.array(rows, np.int32), np.array(n, np.float32)) for term, (rows, n) in found.items()}


def _summed(postings: Mapping[str, tuple[Rows, Floats]], forms: Mapping[str, float]) -> tuple[Rows, Floats]:
    """(positions of those that hold one of `forms`, ascending, what each holds in all)."""
    held = [(postings[form], weight) for form, weight in forms.items() if form in postings]
    parts = [(rows, weight * counts) for (rows, counts), weight in held]
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    rows, at = np.unique(np.concatenate([rows for rows, _ in parts]), return_inverse=True)
    totals = np.bincount(at, np.concatenate([counts for _, counts in parts])).astype(np.float32)
    return rows, totals
