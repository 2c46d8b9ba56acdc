"""Records on disk, read where they are needed: a corpus of millions costs the memory of its offsets.

A store is two files, `<name>.records` (JSON arrays, one after the other) and `<name>.index.npz` (where each
begins, and a stamp that says what it was made of). It is made once and mapped into memory afterwards.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from itertools import chain, islice
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np

from train.data import Pair

Record = TypeVar("Record")


class Store(Sequence[Record], Generic[Record]):
    """The records of a store, or of some of its rows."""

    def __init__(self, path: Path, read: Callable[[list], Record], rows: np.ndarray | None = None):
        self._path, self._read = path, read
        with np.load(_index(path)) as index:
            self._starts: np.ndarray = index["starts"]
        self._rows = np.arange(len(self._starts) - 1) if rows is None else rows
        with _records(path).open("rb") as stream:
            empty = self._starts[-1] == 0
            self._bytes = b"" if empty else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> list[Record]: ...
    def __getitem__(self, at: int | slice) -> Record | list[Record]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        row = self._rows[at]
        return self._read(json.loads(self._bytes[self._starts[row] : self._starts[row + 1]]))

    def only(self, rows: np.ndarray) -> Store[Record]:
        """The same store, seen through some of its rows."""
        return Store(self._path, self._read, self._rows[rows])


def write_store(path: Path, records: Iterable[Sequence[object]], stamp: Callable[[], str]) -> None:
    """Write records as they come; whoever opens the store before it is whole finds none.

    stamp: asked when all records are written.
    """
    records = iter(records)
    first = list(islice(records, 1))  # nothing is made where nothing can be read
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = [0]
    temporary = _records(path).with_suffix(".new")
    with temporary.open("wb") as stream:
        for record in chain(first, records):
            starts.append(
                starts[-1] + stream.write(json.dumps(record, ensure_ascii=False).encode(errors="replace"))
            )
    _index(path).unlink(missing_ok=True)
    temporary.replace(_records(path))
    temporary = _index(path).with_suffix(".new")
    with temporary.open("wb") as stream:
        np.savez(stream, starts=np.asarray(starts, dtype=np.int64), stamp=np.asarray(stamp()))
    temporary.replace(_index(path))


def stamp_of(path: Path) -> str | None:
    """What the store was made of; None when there is no whole one."""
    try:
        with np.load(_index(path)) as index:
            return str(index["stamp"])
    except (OSError, ValueError, KeyError, EOFError):
        return None


def as_record(pair: Pair) -> tuple[str, ...]:
    """A pair as `open_pairs` reads it."""
    return astuple(pair)


def open_pairs(path: Path) -> Store[Pair]:
    """The pairs of a store."""
    return Store(path, lambda record: Pair(*record))


def _records(path: Path) -> Path:
    return path.with_name(f"{path.name}.records")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}.index.npz")
