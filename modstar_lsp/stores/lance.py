"""LanceDB: tables in a folder or an object store, no server.

Three tables: `chunks`, `files` (one row a file, written last, so that a file is known only when it is whole)
and `repositories`. Words are found by its full-text index over the terms as we cut them, vectors by a scan
and, where there are many, by its scalar-quantised HNSW index.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, Bitmap, BTree, IvfHnswSq, LabelList
from lancedb.query import BooleanQuery, MatchQuery, Occur

from modstar_lsp.index.vectors.quantised import Floats
from modstar_lsp.stores.lease import Lease
from modstar_lsp.stores.store import Entry, FileState, Kind, StoredRepository, StoreScope, one_line

# BM25 has long saturated when a chunk holds a word more often; the full-text index counts repetitions.
_REPEATED = 8
# Rows below which a scan of all vectors is exact and fast enough.
_INDEX_ABOVE = 100_000
_REFINE = 4  # of so many times as many as asked for the exact distance decides
# Who began to read before may still do so for so long; LanceDB's own week makes a store four times as large.
_KEPT = timedelta(hours=1)
# A face that lives on looks so often for what others wrote, or it would read files that are gone by then.
_LOOKED_AGAIN = timedelta(seconds=5)
# Bytes of indexes and of metadata that who fills keeps; LanceDB's own bounds are gigabytes.
_CACHES = (256_000_000, 64_000_000)
# glibc's number of the setting for how many heaps its threads share.
_M_ARENA_MAX = -8
_LANCE_PATHS = 500  # in one condition
_PLAIN_NAME = {"base_tokenizer": "whitespace", "lower_case": False, "stem": False}
_TOKENS = {**_PLAIN_NAME, "remove_stop_words": False, "ascii_folding": False, "max_token_length": None}

_COMMON = [
    *(pa.field(name, pa.string()) for name in ("repository", "label", "path", "language")),
    pa.field("length", pa.int64()),
    pa.field("terms", pa.list_(pa.string())),
    pa.field("counts", pa.list_(pa.int32())),
    pa.field("words", pa.string()),
]
_FILE_TABLE = pa.schema(
    [*_COMMON, *(pa.field(name, pa.string()) for name in ("digest", "made")), pa.field("chunks", pa.int64())]
)
_REPOSITORIES = pa.schema(
    [pa.field(name, pa.string()) for name in ("name", "label", "bundle")]
    + [pa.field(name, pa.int64()) for name in ("exit", "files", "chunks", "terms")]
    + [pa.field("revision", pa.string())]
)


def _chunks(dimension: int) -> pa.Schema:
    numbers = ("position", "start_line", "end_line", "kind", "exit")
    return pa.schema(
        [
            *_COMMON,
            *(pa.field(name, pa.int32()) for name in numbers),
            *(pa.field(name, pa.string()) for name in ("name", "scope", "embedded")),
            pa.field("symbols", pa.list_(pa.string())),
            *(pa.field(name, pa.binary()) for name in ("lines_below", "pieces")),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


class LanceStore:
    """A `Store` in LanceDB's files. Several may read while one writes."""

    def __init__(self, url: str, place: str, *, write: bool = False) -> None:
        """place: as LanceDB knows it.  write: it is to be filled."""
        self.url = url
        # Python takes another where this one is not there, LanceDB fails when it makes an index.
        os.environ["TMPDIR"] = tempfile.gettempdir()
        if write:
            _share_one_heap()
        session = lancedb.Session(*_CACHES) if write else None
        self._database = lancedb.connect(place, read_consistency_interval=_LOOKED_AGAIN, session=session)
        self._tables: dict[str, Any] = {}
        self._lease: Lease | None = None

    # -- filling

    @contextmanager
    def held(self) -> Iterator[None]:
        """See `Store`."""
        with one_line(self.url):
            lease = Lease(self._database, self.url)
            lease.take()
        self._lease = lease
        try:
            yield
        finally:
            lease.give_back()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with one_line(self.url):
            if self._lease is not None:
                self._lease.require()
            yield

    def known(self, repository: str) -> Mapping[str, FileState]:
        """See `Store`."""
        with one_line(self.url):
            rows = self._rows("files", f"repository = {_text(repository)}", _FILE_TABLE.names)
            return {row["path"]: FileState(*(row[name] for name in FileState._fields)) for row in rows}

    def noted(self, repository: str) -> StoredRepository | None:
        """See `Store`."""
        with one_line(self.url):
            rows = self._rows("repositories", f"name = {_text(repository)}", _REPOSITORIES.names)
            return StoredRepository(**rows[0]) if rows else None

    def vectors(self, digests: Sequence[str]) -> Mapping[str, Floats]:
        """See `Store`."""
        found: dict[str, Floats] = {}
        with one_line(self.url):
            for start in range(0, len(digests), _LANCE_PATHS):
                where = _among("embedded", digests[start : start + _LANCE_PATHS])
                for row in self._rows("chunks", where, ["embedded", "vector"]):
                    found[row["embedded"]] = np.array(row["vector"], np.float32)
        return found

    def put(self, files: Mapping[str, FileState], entries: Sequence[Entry], chunks: Sequence[Entry]) -> None:
        """See `Store`."""
        if not entries:
            return
        self.drop(entries[0].repository, [entry.path for entry in entries])
        with self._writing():
            if chunks:
                assert chunks[0].vector is not None
                schema = _chunks(len(chunks[0].vector))
                self._made("chunks", schema).add(_table(map(_chunk_row, chunks), schema))
            rows = ({**_common(entry), **files[entry.path]._asdict()} for entry in entries)
            self._made("files", _FILE_TABLE).add(_table(rows, _FILE_TABLE))

    def drop(self, repository: str, paths: Sequence[str]) -> None:
        """See `Store`."""
        with self._writing():
            for start in range(0, len(paths), _LANCE_PATHS):
                some = _among("path", paths[start : start + _LANCE_PATHS])
                for name in ("files", "chunks"):  # the first makes it known no more
                    if table := self._table(name):
                        table.delete(f"repository = {_text(repository)} AND {some}")

    def note(self, repository: StoredRepository) -> None:
        """See `Store`."""
        with self._writing():
            table = self._made("repositories", _REPOSITORIES)
            rows = _table([repository._asdict()], _REPOSITORIES)
            merged = table.merge_insert("name").when_matched_update_all().when_not_matched_insert_all()
            merged.execute(rows)

    def optimise(self) -> None:
        """See `Store`."""
        with self._writing():
            for name in ("chunks", "files"):
                if (table := self._table(name)) and table.count_rows():
                    self._index(table)
            if table := self._table("repositories"):
                table.optimize(cleanup_older_than=_KEPT)
        _give_memory_back()

    def _index(self, table: Any) -> None:
        there = {column for index in table.list_indices() for column in index.columns}
        wanted = {"repository": Bitmap(), "label": Bitmap(), "path": BTree(), "terms": LabelList()}
        for column, config in {**wanted, "embedded": BTree(), "words": FTS(**_TOKENS)}.items():
            if column in table.schema.names and column not in there:
                table.create_index(column, config=config)
        if "vector" in table.schema.names and "vector" not in there and table.count_rows() > _INDEX_ABOVE:
            table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
        table.optimize(cleanup_older_than=_KEPT)

    # -- asking

    def repositories(self, labels: Sequence[str]) -> Sequence[StoredRepository]:
        """See `Store`."""
        with one_line(self.url):
            rows = self._rows("repositories", _among("label", labels), _REPOSITORIES.names)
            return [StoredRepository(**row) for row in rows]

    def count(self, kind: Kind, scope: StoreScope, terms: Sequence[str]) -> int:
        """See `Store`."""
        with one_line(self.url):
            table = self._table(kind)
            return table.count_rows(f"{_within(scope)} AND {_holds(terms)}") if table else 0

    def worded(
        self, kind: Kind, scope: StoreScope, words: Mapping[str, float], k: int, paths: Sequence[str] = ()
    ) -> Sequence[Entry]:
        """See `Store`."""
        by_weight: dict[float, list[str]] = {}
        for word, weight in words.items():
            by_weight.setdefault(weight, []).append(word)
        parts = [
            (Occur.SHOULD, MatchQuery(" ".join(some), "words", boost=weight))
            for weight, some in by_weight.items()
        ]
        where = _within(scope) + (f" AND {_among('path', paths)}" if paths else "")
        with one_line(self.url):
            table = self._table(kind)
            if table is None or not words:
                return []
            query = table.search(BooleanQuery(parts), query_type="fts").where(where, prefilter=True)
            return [_entry(row) for row in query.limit(k).to_list()]

    def holding(self, scope: StoreScope, terms: Sequence[str], k: int) -> Sequence[Entry]:
        """See `Store`."""
        if not terms:
            return []
        with one_line(self.url):
            return [
                _entry(row) for row in self._rows("chunks", f"{_within(scope)} AND {_holds(terms)}", None, k)
            ]

    def nearest(self, scope: StoreScope, vector: Floats, k: int) -> Sequence[Entry]:
        """See `Store`."""
        with one_line(self.url):
            table = self._table("chunks")
            if table is None:
                return []
            query = table.search(vector).distance_type("cosine").where(_within(scope), prefilter=True)
            return [_entry(row) for row in query.refine_factor(_REFINE).limit(k).to_list()]

    def close(self) -> None:
        """See `Store`."""
        self._tables.clear()

    # -- tables

    def _table(self, name: str) -> Any:
        """The table of this name, None when there is none."""
        if name not in self._tables:
            if name not in self._database.list_tables().tables:
                return None
            self._tables[name] = self._database.open_table(name)
        return self._tables[name]

    def _made(self, name: str, schema: pa.Schema) -> Any:
        if self._table(name) is None:
            self._tables[name] = self._database.create_table(name, schema=schema, exist_ok=True)
        return self._tables[name]

    def _rows(
        self, name: str, where: str, columns: Sequence[str] | None, k: int | None = None
    ) -> list[dict[str, Any]]:
        table = self._table(name)
        if table is None:
            return []
        query = table.search().where(where)
        if columns is not None:
            query = query.select(list(columns))
        rows: list[dict[str, Any]] = query.limit(k or table.count_rows() or 1).to_list()
        return rows


def _share_one_heap() -> None:
    """Has all threads of this process share one heap, where the C library is glibc.

    LanceDB's threads leave a heap each with holes in it: at 432 MB a store's filling held 840 MB, and more as
    it grew; with one heap, and what is free given back, 546 MB, of which 320 are its caches.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library, or none that can be asked
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _give_memory_back() -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _text(text: str) -> str:
    """A string in a condition."""
    return "'" + text.replace("'", "''") + "'"


def _among(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(_text, values))})" if values else "false"


def _within(scope: StoreScope) -> str:
    parts = [_among("label", scope.labels)]
    if scope.repositories:
        parts.append(_among("repository", scope.repositories))
    if scope.languages:
        parts.append(_among("language", scope.languages))
    if scope.without:
        parts.append(f"NOT ({_among('repository', scope.without)})")
    return " AND ".join(parts)


def _holds(terms: Sequence[str]) -> str:
    return f"array_has_any(terms, [{', '.join(map(_text, terms))}])"


def _table(rows: Any, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def _common(entry: Entry) -> dict[str, Any]:
    words = (
        " ".join([term] * min(count, _REPEATED))
        for term, count in zip(entry.terms, entry.counts, strict=True)
        if not term.startswith(":")
    )
    return {**{name: getattr(entry, name) for name in _FILE_TABLE.names[:7]}, "words": " ".join(words)}


def _chunk_row(entry: Entry) -> dict[str, Any]:
    return {**entry._asdict(), **_common(entry)}


def _entry(row: Mapping[str, Any]) -> Entry:
    known = {name: row[name] for name in Entry._fields if name in row}
    if known.get("vector") is not None:
        known["vector"] = np.array(known["vector"], np.float32)
    return Entry(**known)
