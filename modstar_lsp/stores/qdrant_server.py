"""Qdrant as a server or cluster, by its client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from modstar_lsp.index.vectors.quantised import Floats
from modstar_lsp.stores.qdrant import INDEXED, MEANING, NOT, WORDS, Condition, Point, Sparse

# Collections of this project begin so.
_PREFIX = "modstar-"
_OVERSAMPLING = 2.0  # as in `qdrant_edge.py`
_PAGE = 1_000


class ServerPoints:
    """`Points` in the collections of a server."""

    def __init__(self, client: QdrantClient, dimension: int, *, write: bool) -> None:
        """write: collections that are not there are made."""
        self._client = client
        self._dimension = dimension
        if write:
            for name in ("chunks", "files", "repositories"):
                if not client.collection_exists(_PREFIX + name):
                    self._make(_PREFIX + name)

    def _make(self, collection: str) -> None:
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        meaning = models.VectorParams(
            size=self._dimension,
            distance=models.Distance.COSINE,
            on_disk=True,
            quantization_config=models.ScalarQuantization(scalar=int8),
        )
        self._client.create_collection(
            collection,
            vectors_config={MEANING: meaning},
            sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            on_disk_payload=True,
        )
        for field in INDEXED:
            schema = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, on_disk=True)
            self._client.create_payload_index(collection, field, schema)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Points`."""
        made = [models.PointStruct(id=one.id, vector=_vectors(one), payload=one.payload) for one in points]
        self._client.upsert(_PREFIX + collection, made, wait=True)

    def delete(self, collection: str, where: Condition) -> None:
        """See `Points`."""
        self._client.delete(_PREFIX + collection, models.FilterSelector(filter=_filter(where)), wait=True)

    def count(self, collection: str, where: Condition) -> int:
        """See `Points`."""
        return self._client.count(_PREFIX + collection, _filter(where), exact=True).count

    def scroll(self, collection: str, where: Condition, k: int | None) -> Sequence[Point]:
        """See `Points`."""
        found: list[Point] = []
        offset = None
        while k is None or len(found) < k:
            size = _PAGE if k is None else min(_PAGE, k - len(found))
            records, offset = self._client.scroll(
                _PREFIX + collection, _filter(where), size, offset=offset, with_vectors=[MEANING]
            )
            found += map(_found, records)
            if offset is None:
                break
        return found

    def worded(self, collection: str, words: Sparse, where: Condition, k: int) -> Sequence[Point]:
        """See `Points`."""
        sparse = models.SparseVector(indices=words[0], values=words[1])
        return self._query(collection, sparse, WORDS, where, k)

    def nearest(self, collection: str, vector: Floats, where: Condition, k: int) -> Sequence[Point]:
        """See `Points`."""
        return self._query(collection, vector.tolist(), MEANING, where, k)

    def _query(self, collection: str, query: Any, using: str, where: Condition, k: int) -> Sequence[Point]:
        rescored = models.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
        answer = self._client.query_points(
            _PREFIX + collection,
            query,
            using=using,
            query_filter=_filter(where),
            search_params=models.SearchParams(quantization=rescored),
            limit=k,
            with_vectors=[MEANING],
        )
        return [_found(point) for point in answer.points]

    def optimise(self) -> None:
        """A server does that by itself."""

    def close(self) -> None:
        """See `Points`."""
        self._client.close()


def _vectors(point: Point) -> dict[str, Any]:
    vectors: dict[str, Any] = {}
    if point.meaning is not None:
        vectors[MEANING] = point.meaning.tolist()
    if point.words is not None:
        vectors[WORDS] = models.SparseVector(indices=point.words[0], values=point.words[1])
    return vectors


def _filter(where: Condition) -> models.Filter:
    must: list[Any] = []
    must_not: list[Any] = []
    for field, values in where.items():
        condition = models.FieldCondition(
            key=field.removeprefix(NOT), match=models.MatchAny(any=list(values))
        )
        (must_not if field.startswith(NOT) else must).append(condition)
    return models.Filter(must=must, must_not=must_not)


def _found(point: Any) -> Point:
    meaning = (point.vector or {}).get(MEANING)
    payload = dict(point.payload or {})
    return Point(str(point.id), payload, None, None if meaning is None else np.array(meaning, np.float32))
