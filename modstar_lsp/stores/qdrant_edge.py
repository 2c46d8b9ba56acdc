"""Qdrant's core in this process: a folder for each collection, one process at a time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from modstar_lsp.errors import StoreError
from modstar_lsp.index.vectors.quantised import Floats
from modstar_lsp.stores.qdrant import INDEXED, MEANING, NOT, WORDS, Condition, Point, Sparse

# Of so many times as many as asked for, found by int8, the floats decide.
_EDGE_OVERSAMPLING = 2.0
_EDGE_PAGE = 1_000
# Bytes: a log of 32 MB for each of three collections, as much again, and the portion that is written.
_LEAST_FREE = 256_000_000
# How it says that its log is locked.
_IN_USE = "WouldBlock"


class EdgePoints:
    """`Points` in the folders below one."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._dimension = dimension
        self._shards: dict[str, Any] = {}

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Points`."""
        self._require_room()
        made = [edge.Point(point.id, _vectors(point), point.payload) for point in points]
        shard = self._shard(collection)
        shard.update(edge.UpdateOperation.upsert_points(made))
        shard.flush()

    def delete(self, collection: str, where: Condition) -> None:
        """See `Points`."""
        self._shard(collection).update(edge.UpdateOperation.delete_points_by_filter(_filter(where)))

    def count(self, collection: str, where: Condition) -> int:
        """See `Points`."""
        return int(self._shard(collection).count(edge.CountRequest(exact=True, filter=_filter(where))))

    def scroll(self, collection: str, where: Condition, k: int | None) -> Sequence[Point]:
        """See `Points`."""
        found: list[Point] = []
        offset = None
        while k is None or len(found) < k:
            size = _EDGE_PAGE if k is None else min(_EDGE_PAGE, k - len(found))
            request = edge.ScrollRequest(
                offset=offset, limit=size, filter=_filter(where), with_payload=True, with_vector=True
            )
            records, offset = self._shard(collection).scroll(request)
            found += map(_found, records)
            if offset is None:
                break
        return found

    def worded(self, collection: str, words: Sparse, where: Condition, k: int) -> Sequence[Point]:
        """See `Points`."""
        return self._query(collection, edge.Query.Nearest(edge.SparseVector(*words), using=WORDS), where, k)

    def nearest(self, collection: str, vector: Floats, where: Condition, k: int) -> Sequence[Point]:
        """See `Points`."""
        return self._query(collection, edge.Query.Nearest(vector.tolist(), using=MEANING), where, k)

    def _query(self, collection: str, query: Any, where: Condition, k: int) -> Sequence[Point]:
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=_EDGE_OVERSAMPLING)
        request = edge.QueryRequest(
            limit=k,
            query=query,
            filter=_filter(where),
            with_payload=True,
            with_vector=True,
            params=edge.SearchParams(quantization=rescored),
        )
        return [_found(point) for point in self._shard(collection).query(request)]

    def optimise(self) -> None:
        """See `Points`."""
        for shard in self._shards.values():
            shard.optimize()
            shard.flush()

    def close(self) -> None:
        """See `Points`."""
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()

    def _require_room(self) -> None:
        """Raises StoreError on a disk that is nearly full.

        The core writes into mapped files, and would end this process without a word (SIGBUS).
        """
        there = next(folder for folder in (self._folder, *self._folder.parents) if folder.is_dir())
        free = shutil.disk_usage(there).free
        if free < _LEAST_FREE:
            raise StoreError(
                f"the disk of the store qdrant:{self._folder} is nearly full ({free // 1_000_000} MB are "
                f"left): make room for {_LEAST_FREE // 1_000_000} MB; what it holds is kept"
            )

    def _shard(self, collection: str) -> Any:
        if collection not in self._shards:
            self._require_room()
            folder = self._folder / collection
            if folder.is_dir():
                self._shards[collection] = _loaded(folder)
            else:
                folder.mkdir(parents=True)
                self._shards[collection] = self._made(folder)
        return self._shards[collection]

    def _made(self, folder: Path) -> Any:
        quantised = edge.ScalarQuantizationConfig(edge.ScalarType.Int8)
        meaning = edge.EdgeVectorParams(self._dimension, edge.Distance.Cosine, quantization_config=quantised)
        words = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
        shard = edge.EdgeShard.create(
            str(folder), edge.EdgeConfig(vectors={MEANING: meaning}, sparse_vectors={WORDS: words})
        )
        for field in INDEXED:
            shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
        return shard


def _loaded(folder: Path) -> Any:
    try:
        return edge.EdgeShard.load(str(folder))
    except Exception as error:
        if _IN_USE not in str(error):
            raise
        raise StoreError(
            f"another program is using the store qdrant:{folder.parent}: try again when it is done "
            "(a Qdrant server lets several in at once)"
        ) from None


def _vectors(point: Point) -> dict[str, Any]:
    vectors: dict[str, Any] = {}
    if point.meaning is not None:
        vectors[MEANING] = point.meaning.tolist()
    if point.words is not None:
        vectors[WORDS] = edge.SparseVector(*point.words)
    return vectors


def _filter(where: Condition) -> Any:
    must: list[Any] = []
    must_not: list[Any] = []
    for field, values in where.items():
        condition = edge.FieldCondition(field.removeprefix(NOT), match=edge.MatchAny(list(values)))
        (must_not if field.startswith(NOT) else must).append(condition)
    return edge.Filter(must=must, must_not=must_not)


def _found(point: Any) -> Point:
    meaning = (point.vector or {}).get(MEANING)
    return Point(
        str(point.id), point.payload, None, None if meaning is None else np.array(meaning, np.float32)
    )
