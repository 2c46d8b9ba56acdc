"""A file of vectors that one index gives to others: what deeper exits made of texts, by the texts' digests.

It holds no names, no paths and no text, and nothing in it is executed. Whoever reads it trusts nobody: the
model has to be the same, its size and its digest have to be right, and every vector has to be of unit length.
Whether a vector is that of its text is for `writing/adopt.py` to see.

    one line of JSON: format, digest of the model, dimension, number of vectors
    the vectors, a record each: digest of the embedded text (16 bytes), exit, scale, int8 codes
    sha256 of all before it
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.errors import StoreError
from modstar_lsp.files.opening import NotRegularError, open_regular
from modstar_lsp.index.store.database import Database, read_meta
from modstar_lsp.index.vectors import table
from modstar_lsp.index.vectors.matrix import Exits, read_exits
from modstar_lsp.index.vectors.quantised import BLOCK, Quantised

EXCHANGE_FORMAT = 1
_FORMAT = "modstar vectors"  # its key in the first line
_MAX_HEADER = 4096
# Nobody has as many: 280 TB.
_MOST_VECTORS = 1 << 40
_SHA = sha256().digest_size
# Records at a time, so that memory stays small whatever the file's size.
_RECORDS = 8192


class Records(NamedTuple):
    """Some vectors of a file. digests: of the embedded texts.  exits: at which each was made."""

    digests: list[bytes]
    exits: Exits
    vectors: Quantised


def _record(dimension: int) -> np.dtype[Any]:
    return np.dtype([("digest", "V16"), ("exit", "u1"), ("scale", "<f4"), ("codes", "i1", (dimension,))])


def write_exchange(database: Database, file: Path) -> int:
    """Writes all vectors deeper than exit 0 to `file`, whole or not at all; how many there are.

    At exit 0 none is worth a file: every checkout makes those by itself in moments. Raises StoreError when
    the index is damaged or the file cannot be written, and writes nothing when there are none.
    """
    with database.reading() as connection:
        total = read_meta(connection, ["next_vector"])["next_vector"]
        digests = table.digests_by_number(connection, total)
        shared = (read_exits(connection, total) > 0) & np.array([digest is not None for digest in digests])
        count = int(shared.sum())
        if count:
            _replace(file, _content(connection, database, shared, digests))
    return count


def _content(
    connection: sqlite3.Connection, database: Database, shared: NDArray[np.bool_], digests: list[bytes | None]
) -> Iterator[bytes]:
    header = {
        _FORMAT: EXCHANGE_FORMAT,
        "bundle": database.bundle_digest,
        "dimension": database.dimension,
        "vectors": int(shared.sum()),
    }
    yield json.dumps(header).encode() + b"\n"
    for block in np.unique(np.flatnonzero(shared) // BLOCK).tolist():
        at = np.flatnonzero(shared[block * BLOCK : (block + 1) * BLOCK])
        exits, vectors = table.read_block(connection, block, database.dimension)
        records = np.empty(len(at), _record(database.dimension))
        names = b"".join(digests[block * BLOCK + place] or b"" for place in at.tolist())
        records["digest"] = np.frombuffer(names, "V16")
        records["exit"], records["scale"], records["codes"] = exits[at], vectors.scales[at], vectors.codes[at]
        yield records.tobytes()


def _replace(file: Path, content: Iterator[bytes]) -> None:
    """Puts `content` and its sha256 in the place of `file`, readable by its owner alone.

    What a link leads to is replaced, and the link stays. Raises StoreError where no file could be: whoever is
    root would replace a device.
    """
    file = Path(os.path.realpath(file))
    if file.exists() and not file.is_file():
        raise StoreError(f"cannot write {file} (it is no regular file): name a file elsewhere")
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name[:40]}.", delete=False) as out:
            temporary = out.name
            digest = sha256()
            for part in content:
                digest.update(part)
                out.write(part)
            out.write(digest.digest())
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
    except BaseException as error:
        with suppress(OSError):
            if temporary:
                Path(temporary).unlink()
        if isinstance(error, OSError):
            raise StoreError(f"cannot write {file} ({error.strerror}): name a file elsewhere") from None
        raise


class VectorFile:
    """A file that `write` made, by whomever. Opening it checks all but its content; see `records`."""

    def __init__(self, file: Path, bundle_digest: str, dimension: int) -> None:
        """Raises StoreError when it is no such file, not whole, or of another model or version."""
        self._file = file
        self._stream = _opened(file)
        try:
            header = self._header()
            self._check(header, bundle_digest, dimension)
            self.count = header["vectors"]
            self._dtype = _record(dimension)
            self._begin = self._stream.tell()
            there = os.fstat(self._stream.fileno()).st_size
            wanted = self._begin + self.count * self._dtype.itemsize + _SHA
            if there != wanted:
                raise self.refused(f"is cut short or damaged: it has {there:,} bytes of {wanted:,}")
        except BaseException:
            self._stream.close()
            raise

    def _header(self) -> dict[str, Any]:
        line = self._stream.readline(_MAX_HEADER)
        try:
            header = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict) or _FORMAT not in header:
            raise self.refused("is no file that modstar-index --export wrote")
        return header

    def _check(self, header: Mapping[str, Any], bundle_digest: str, dimension: int) -> None:
        if header[_FORMAT] != EXCHANGE_FORMAT:
            raise self.refused("is of another version of modstar: export it with this one")
        if header.get("bundle") != bundle_digest or header.get("dimension") != dimension:
            raise self.refused("was made with another model: its vectors mean nothing to this one")
        count = header.get("vectors")
        if type(count) is not int or not 0 <= count < _MOST_VECTORS:
            raise self.refused("is damaged: it does not say how many vectors it holds")

    def records(self) -> Iterator[Records]:
        """All vectors, some at a time. Only when the last were given the digest is known to be right.

        Raises StoreError when it is not, or when a vector is none.
        """
        digest = sha256()
        self._stream.seek(0)
        digest.update(self._stream.read(self._begin))
        for first in range(0, self.count, _RECORDS):
            data = self._stream.read(min(_RECORDS, self.count - first) * self._dtype.itemsize)
            digest.update(data)
            yield self._records(data)
        if self._stream.read(_SHA) != digest.digest():
            raise self.refused("is damaged: its digest is wrong; copy it again")

    def at(self, positions: NDArray[np.integer]) -> Records:
        """The vectors at `positions`. Raises StoreError as `records`."""
        size = self._dtype.itemsize
        parts = []
        for position in positions.tolist():
            self._stream.seek(self._begin + position * size)
            parts.append(self._stream.read(size))
        return self._records(b"".join(parts))

    def _records(self, data: bytes) -> Records:
        try:
            records = np.frombuffer(data, self._dtype)
        except ValueError:
            raise self.refused("was cut short while it was read") from None
        names = np.ascontiguousarray(records["digest"]).tobytes()
        vectors = Quantised(
            np.ascontiguousarray(records["codes"]), np.ascontiguousarray(records["scale"], np.float32)
        )
        norms = np.linalg.norm(vectors.codes.astype(np.float32), axis=1)
        with np.errstate(all="ignore"):
            is_unit = np.abs(norms * vectors.scales - 1) < table.UNIT_TOLERANCE
        if not is_unit.all():
            raise self.refused("holds vectors that no model makes: it was altered")
        digests = [names[start : start + 16] for start in range(0, len(names), 16)]
        return Records(digests, np.ascontiguousarray(records["exit"]), vectors)

    def refused(self, why: str) -> StoreError:
        """The error that says why nothing of the file is taken."""
        return StoreError(f"{self._file} {why}")

    def close(self) -> None:
        """Lets go of the file."""
        self._stream.close()

    def __enter__(self) -> VectorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _opened(file: Path) -> IO[bytes]:
    try:
        return os.fdopen(open_regular(file), "rb")
    except NotRegularError as error:
        raise StoreError(str(error)) from None
    except OSError as error:
        raise StoreError(f"cannot read {file} ({error.strerror})") from None
