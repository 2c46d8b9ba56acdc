"""Qdrant: collections on a server or cluster, or its core in this process over a folder.

Three collections, as in `lance.py`: chunks, files, repositories. A point has two vectors: `meaning`, which
Qdrant keeps as int8 to search and as floats to give back, and `words`, sparse, a number for each term, with
Qdrant's own IDF. Which of the two engines it is only `Points` knows.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import numpy as np

from modstar_lsp.index.vectors.quantised import Floats
from modstar_lsp.index.words.terms import DEFINES
from modstar_lsp.stores.store import Entry, FileState, Kind, StoredRepository, StoreScope, one_line

MEANING, WORDS = "meaning", "words"
#: Before a field's name in a condition: see `Condition`.
NOT = "!"
#: Fields that conditions name.
INDEXED = ("repository", "label", "path", "language", "terms", "embedded")
# BM25 has to find candidates alone here: it is computed exactly afterwards. A chunk has some 100 terms.
_K1, _B, _LENGTH, _FILE_LENGTH = 1.2, 0.75, 100.0, 1000.0
_POINTS = 256  # in one request: some 500 kB
_VALUES = 500  # in one condition
_BYTE_FIELDS = ("lines_below", "pieces")

#: A point has one of the values of each field; of one with `!` before its name, none of them.
Condition = Mapping[str, Sequence[str]]
Sparse = tuple[list[int], list[float]]


class Point(NamedTuple):
    """meaning: None where a point has none."""

    id: str
    payload: dict[str, Any]
    words: Sparse | None = None
    meaning: Floats | None = None


class Points(Protocol):
    """One engine's collections. What it raises is its own."""

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Writes points, in place of those with the same ids."""

    def delete(self, collection: str, where: Condition) -> None:
        """Deletes the points that are so."""

    def count(self, collection: str, where: Condition) -> int:
        """How many points are so, exactly."""

    def scroll(self, collection: str, where: Condition, k: int | None) -> Sequence[Point]:
        """The points that are so, `k` at most, None for all."""

    def worded(self, collection: str, words: Sparse, where: Condition, k: int) -> Sequence[Point]:
        """The `k` best by the dot product of `words`."""

    def nearest(self, collection: str, vector: Floats, where: Condition, k: int) -> Sequence[Point]:
        """The `k` of the greatest cosines."""

    def optimise(self) -> None:
        """Makes what was written fast to find."""

    def close(self) -> None:
        """Lets go of the engine."""


class QdrantStore:
    """A `Store` of points."""

    def __init__(self, url: str, points: Points) -> None:
        self.url = url
        self._points = points

    # -- filling

    def held(self) -> AbstractContextManager[None]:
        """See `Store`. Whatever two write has the same number, and so is there once."""
        return nullcontext()

    def known(self, repository: str) -> Mapping[str, FileState]:
        """See `Store`."""
        with one_line(self.url):
            found = self._points.scroll("files", {"repository": [repository]}, None)
            payloads = [point.payload for point in found]
            return {p["path"]: FileState(*(p[name] for name in FileState._fields)) for p in payloads}

    def noted(self, repository: str) -> StoredRepository | None:
        """See `Store`."""
        with one_line(self.url):
            found = self._points.scroll("repositories", {"name": [repository]}, 1)
            return StoredRepository(**found[0].payload) if found else None

    def vectors(self, digests: Sequence[str]) -> Mapping[str, Floats]:
        """See `Store`."""
        found: dict[str, Floats] = {}
        with one_line(self.url):
            for start in range(0, len(digests), _VALUES):
                where = {"embedded": digests[start : start + _VALUES]}
                for point in self._points.scroll("chunks", where, None):
                    if point.meaning is not None:
                        found[point.payload["embedded"]] = point.meaning
        return found

    def put(self, files: Mapping[str, FileState], entries: Sequence[Entry], chunks: Sequence[Entry]) -> None:
        """See `Store`."""
        if not entries:
            return
        self.drop(entries[0].repository, [entry.path for entry in entries])
        self._write("chunks", [_point(chunk, _LENGTH) for chunk in chunks])
        self._write("files", [_point(one, _FILE_LENGTH, files[one.path]._asdict()) for one in entries])

    def _write(self, collection: str, points: Sequence[Point]) -> None:
        with one_line(self.url):
            for start in range(0, len(points), _POINTS):
                self._points.upsert(collection, points[start : start + _POINTS])

    def drop(self, repository: str, paths: Sequence[str]) -> None:
        """See `Store`."""
        with one_line(self.url):
            for start in range(0, len(paths), _VALUES):
                where = {"repository": [repository], "path": paths[start : start + _VALUES]}
                for collection in ("files", "chunks"):  # the first makes it known no more
                    self._points.delete(collection, where)

    def note(self, repository: StoredRepository) -> None:
        """See `Store`."""
        self._write("repositories", [Point(_id(repository.name), {**repository._asdict()})])

    def optimise(self) -> None:
        """See `Store`."""
        with one_line(self.url):
            self._points.optimise()

    # -- asking

    def repositories(self, labels: Sequence[str]) -> Sequence[StoredRepository]:
        """See `Store`."""
        with one_line(self.url):
            found = self._points.scroll("repositories", {"label": labels}, None)
            return [StoredRepository(**point.payload) for point in found]

    def count(self, kind: Kind, scope: StoreScope, terms: Sequence[str]) -> int:
        """See `Store`."""
        with one_line(self.url):
            return self._points.count(kind, {**_within(scope), "terms": terms})

    def worded(
        self, kind: Kind, scope: StoreScope, words: Mapping[str, float], k: int, paths: Sequence[str] = ()
    ) -> Sequence[Entry]:
        """See `Store`."""
        where = {**_within(scope), **({"path": paths} if paths else {})}
        with one_line(self.url):
            return [_entry(point) for point in self._points.worded(kind, _sparse(words), where, k)]

    def holding(self, scope: StoreScope, terms: Sequence[str], k: int) -> Sequence[Entry]:
        """See `Store`."""
        if not terms:
            return []
        with one_line(self.url):
            found = self._points.scroll("chunks", {**_within(scope), "terms": terms}, k)
            return [_entry(point) for point in found]

    def nearest(self, scope: StoreScope, vector: Floats, k: int) -> Sequence[Entry]:
        """See `Store`."""
        with one_line(self.url):
            return [_entry(point) for point in self._points.nearest("chunks", vector, _within(scope), k)]

    def close(self) -> None:
        """See `Store`."""
        with one_line(self.url):
            self._points.close()


def _within(scope: StoreScope) -> dict[str, Sequence[str]]:
    where = {"label": scope.labels, "repository": scope.repositories, "language": scope.languages}
    where[NOT + "repository"] = scope.without
    return {field: values for field, values in where.items() if values or field == "label"}


def _id(*names: object) -> str:
    """A point's id: equal for what is equal, so that writing twice writes once."""
    text = "\0".join(map(str, names)).encode("utf-8", "surrogatepass")
    return str(UUID(bytes=blake2b(text, digest_size=16).digest()))


def _sparse(weights: Mapping[str, float]) -> Sparse:
    """Terms as numbers. Two that share one bring some candidates too many."""
    numbers: dict[int, float] = {}
    for term, weight in weights.items():
        number = int.from_bytes(blake2b(term.encode(), digest_size=4).digest(), "little")
        numbers[number] = numbers.get(number, 0.0) + weight
    return list(numbers), list(numbers.values())


def _point(entry: Entry, typical: float, more: Mapping[str, Any] | None = None) -> Point:
    norm = _K1 * (1 - _B + _B * entry.length / typical)
    counts = zip(entry.terms, entry.counts, strict=True)
    weights = {term: n * (_K1 + 1) / (n + norm) for term, n in counts if not term.startswith(DEFINES)}
    payload = {**entry._asdict(), **(more or {})}
    del payload["vector"]
    for field in _BYTE_FIELDS:
        payload[field] = b64encode(payload[field]).decode("ascii")
    payload["symbols"] = list(payload["symbols"])
    name = _id(entry.repository, entry.path, entry.position)
    return Point(name, payload, _sparse(weights), entry.vector)


def _entry(point: Point) -> Entry:
    known = {field: value for field, value in point.payload.items() if field in Entry._fields}
    for field in _BYTE_FIELDS:
        known[field] = b64decode(known[field])
    vector = None if point.meaning is None else np.array(point.meaning, np.float32)
    return Entry(**known)._replace(vector=vector)
