"""Rows of the files that sets come in: JSON lines (gzipped too), JSON arrays, tables with tabs, parquet."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from evaluation.sets import SetError


class Row(NamedTuple):
    """One row, and where it stands, for messages: its file and its number from 1."""

    path: Path
    number: int
    values: Mapping[str, Any]

    def get(self, *names: str) -> Any:
        """The value under the first of the names that the row has; SetError when it has none of them."""
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        raise SetError(f"{self.path}, row {self.number}: no {' or '.join(names)}; it has {self._has()}")

    def text(self, *names: str) -> str:
        """The same as text; a list of tokens is joined by blanks."""
        value = self.get(*names)
        if isinstance(value, list):
            return " ".join(map(str, value))
        return str(value)

    def number_of(self, *names: str) -> int:
        """The same as a whole number; SetError when it is none."""
        value = self.get(*names)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise SetError(
                f"{self.path}, row {self.number}: {names[0]} is {str(value)[:40]!r}, no number"
            ) from None

    def _has(self) -> str:
        return ", ".join(map(str, list(self.values)[:12])) or "nothing"


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file, by its ending; SetError, in one line, for one that is missing or broken."""
    if not path.is_file():
        raise SetError(f"{path} is missing: the set in {path.parent.name} is not complete")
    read = _READERS.get("".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]))
    if read is None:
        raise SetError(f"{path}: what is read are files of {', '.join(_READERS)}")
    try:
        yield from read(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SetError(f"{path} cannot be read: {error}") from None


def rows_of(paths: Iterable[Path]) -> Iterator[Row]:
    """The rows of several files, one after the other."""
    return (row for path in paths for row in rows(path))


def files_of(folder: Path, stem: str) -> list[Path]:
    """The files in `folder` that a table called `stem` may lie in, in order of name: `stem.jsonl`,
    `stem-00000-of-00001.parquet`, `language_stem_0.jsonl.gz`, or all that is in a folder `stem`."""
    inside = folder / stem
    found = list(inside.iterdir()) if inside.is_dir() else []
    found += [*folder.glob(f"{stem}.*"), *folder.glob(f"{stem}-*"), *folder.glob(f"*_{stem}_*")]
    return sorted(path for path in found if path.is_file() and _readable(path))


def _readable(path: Path) -> bool:
    return path.name.endswith(tuple(_READERS))


def _json_lines(path: Path) -> Iterator[Row]:
    with _opened(path) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise SetError(f"{path}, line {number} is no JSON: {error}") from None
            if not isinstance(value, dict):
                raise SetError(f"{path}, line {number} is no JSON object")
            yield Row(path, number, value)


def _json_array(path: Path) -> Iterator[Row]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SetError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(value, dict) for value in found):
        raise SetError(f"{path} is no JSON array of objects")
    for number, value in enumerate(found, 1):
        yield Row(path, number, value)


def _tabs(path: Path) -> Iterator[Row]:
    """A table whose first line names its columns."""
    with _opened(path) as stream:
        names = stream.readline().rstrip("\r\n").split("\t")
        for number, line in enumerate(stream, 2):
            if line.strip():
                yield Row(path, number, dict(zip(names, line.rstrip("\r\n").split("\t"), strict=False)))


def _parquet(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise SetError(
            f"{path} is parquet, which needs pyarrow (pip install pyarrow); or give the set as JSON lines"
        ) from None
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(1000):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(path, number, value)
    except ArrowException as error:
        raise SetError(f"{path} is no parquet: {str(error).splitlines()[0]}") from None


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")


_READERS = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".json": _json_array,
    ".tsv": _tabs,
    ".parquet": _parquet,
}
