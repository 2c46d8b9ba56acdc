"""What searching has to know of every file, some hundred files to a row, by path.

A question needs it of all files at once: told row by row, 152,404 of them took half of what a process needed
to answer. What only a refresh asks for, stat and digest, stays in the table of files.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from struct import Struct
from typing import NamedTuple, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.index.store.database import Unsound, check_of

# A saved file rewrites a block, some 10 kB of 128 files with nine chunks each. Of twice as many a question
# reads no faster.
_FILES_A_BLOCK = 128
# Of fewer files all names are read at once, in less than a millisecond: a list gives them sooner then.
_FEW_FILES = 10_000
# How many files, chunks, bytes of names of languages, bytes of paths.
_HEAD = Struct("<4I")


class FileRow(NamedTuple):
    """A file that is searched. first: the id of its first chunk, the others follow it.

    lengths: of each chunk how many terms it has, uint16.  vectors: the number of its vector, int32.
    """

    path: str
    language: str
    first: int
    lengths: bytes
    vectors: bytes

    @property
    def chunks(self) -> int:
        """How many chunks it has."""
        return len(self.lengths) // 2


class _Block(NamedTuple):
    """What a block tells by name. language_of: of each file the place among `languages`.

    paths, languages: UTF-8, with a zero between two.
    """

    files: int
    language_of: bytes
    languages: bytes
    paths: bytes

    def all_paths(self) -> list[str]:
        """The path of each file."""
        return self.paths.decode().split("\0")

    def all_languages(self) -> list[str]:
        """The language of each file."""
        names = self.languages.decode().split("\0")
        return [names[number] for number in self.language_of]


class _Numbers(NamedTuple):
    """The columns of a block that hold numbers, one after the other: see `FileColumns`."""

    firsts: bytes
    counts: bytes
    lengths: bytes
    vectors: bytes


class FileTexts(Sequence[str]):
    """A text of each file, by path. A question looks at some hundred, so a block is read when one is."""

    def __init__(self, blocks: Sequence[_Block], read: Callable[[_Block], Sequence[str]]) -> None:
        self._blocks = blocks
        self._read = read
        self._ends = list(accumulate(block.files for block in blocks))
        self._known: dict[int, Sequence[str]] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, at: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: SupportsIndex | slice) -> str | list[str]:
        if isinstance(at, slice):
            return list(self)[at]
        number = int(at) if int(at) >= 0 else len(self) + int(at)
        block = bisect_right(self._ends, number)
        return self._of(block)[number - self._ends[block]]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(map(self._of, range(len(self._blocks))))

    def _of(self, block: int) -> Sequence[str]:
        texts = self._known.get(block)
        if texts is None:
            texts = self._known[block] = self._read(self._blocks[block])
        return texts


class FileColumns(NamedTuple):
    """All files by path. firsts, counts: int64, of each file the id of its first chunk and how many it has.

    lengths, vectors: of each chunk, as in `FileRow`.
    """

    paths: Sequence[str]
    languages: Sequence[str]
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    lengths: NDArray[np.uint16]
    vectors: NDArray[np.int32]


def read_files(connection: sqlite3.Connection, total: int) -> FileColumns:
    """What the index has of its `total` files. Raises Unsound."""
    blocks = []
    columns = bytearray(), bytearray(), bytearray(), bytearray()
    last = b""
    for row in connection.execute('SELECT first, data, "check" FROM file_blocks ORDER BY first'):
        block, numbers = _taken_apart(row)
        if row[0].encode() <= last:
            raise Unsound("the files are not in order")
        last = block.paths[block.paths.rfind(b"\0") + 1 :]
        blocks.append(block)
        for column, part in zip(columns, numbers, strict=True):
            column += part
    if sum(block.files for block in blocks) != total:
        raise Unsound("the files are not as they were written")
    paths, languages = FileTexts(blocks, _Block.all_paths), FileTexts(blocks, _Block.all_languages)
    are_few = total < _FEW_FILES
    return FileColumns(
        list(paths) if are_few else paths,
        list(languages) if are_few else languages,
        np.frombuffer(columns[0], "<i8"),
        np.frombuffer(columns[1], "<u4").astype(np.int64),
        np.frombuffer(columns[2], "<u2"),
        np.frombuffer(columns[3], "<i4"),
    )


def replace_files(connection: sqlite3.Connection, changes: Mapping[str, FileRow | None]) -> list[FileRow]:
    """Puts files in place of those with the same paths, or (None) nothing. What was there. Raises Unsound."""
    firsts = [row[0] for row in connection.execute("SELECT first FROM file_blocks ORDER BY first")]
    if not {str}.issuperset(map(type, firsts)):
        raise Unsound("the files are not where they were written")
    in_block: dict[int, list[str]] = {}
    for path in changes:
        in_block.setdefault(max(0, bisect_right(firsts, path) - 1), []).append(path)
    before = []
    for position, paths in in_block.items():
        files = {file.path: file for file in _take(connection, firsts[position])} if firsts else {}
        for path in paths:
            was, now = files.pop(path, None), changes[path]
            if was is not None:
                before.append(was)
            if now is not None:
                files[path] = now
        _put(connection, [files[path] for path in sorted(files)])
    return before


def renumber_vectors(connection: sqlite3.Connection, numbers: NDArray[np.int32]) -> None:
    """Has every chunk refer to `numbers[v]` in place of the vector v. Raises Unsound."""
    for first in [row[0] for row in connection.execute("SELECT first FROM file_blocks")]:
        files = []
        for file in _take(connection, first):
            vectors = numbers[np.frombuffer(file.vectors, "<i4")].astype("<i4").tobytes()
            files.append(file._replace(vectors=vectors))
        _put(connection, files)


def _take(connection: sqlite3.Connection, first: str) -> list[FileRow]:
    """The files of the block that begins with the path `first`, which is no longer there."""
    row = connection.execute(
        'SELECT first, data, "check" FROM file_blocks WHERE first = ?', (first,)
    ).fetchone()
    if row is None:
        raise Unsound("the files are not where they were written")
    connection.execute("DELETE FROM file_blocks WHERE first = ?", (first,))
    return list(_rows(*_taken_apart(row)))


def _put(connection: sqlite3.Connection, files: Sequence[FileRow]) -> None:
    """Writes files, by path, in as many blocks as they need."""
    blocks = -(-len(files) // _FILES_A_BLOCK)
    for number in range(blocks):
        some = files[len(files) * number // blocks : len(files) * (number + 1) // blocks]
        row = (some[0].path, _data(some))
        connection.execute("INSERT INTO file_blocks VALUES (?, ?, ?)", (*row, check_of(row)))


def _data(files: Sequence[FileRow]) -> bytes:
    names = sorted({file.language for file in files})
    number = {name: position for position, name in enumerate(names)}
    paths = "\0".join([file.path for file in files]).encode()
    languages = "\0".join(names).encode()
    chunks = sum(file.chunks for file in files)
    return b"".join(
        (
            _HEAD.pack(len(files), chunks, len(languages), len(paths)),
            np.array([file.first for file in files], "<i8").tobytes(),
            np.array([file.chunks for file in files], "<u4").tobytes(),
            *(file.lengths for file in files),
            *(file.vectors for file in files),
            bytes(number[file.language] for file in files),
            languages,
            paths,
        )
    )


def _taken_apart(row: tuple[str, bytes, int]) -> tuple[_Block, _Numbers]:
    """A row of the table. Raises Unsound."""
    first, data, check = row
    if check_of((first, data)) != check:
        raise Unsound("the files are not as they were written")
    files, chunks, language_bytes, path_bytes = _HEAD.unpack_from(data)
    sizes = (_HEAD.size, 8 * files, 4 * files, 2 * chunks, 4 * chunks, files, language_bytes, path_bytes)
    parts = [data[start:end] for start, end in pairwise(accumulate(sizes))]
    return _Block(files, *parts[4:]), _Numbers(*parts[:4])


def _rows(block: _Block, numbers: _Numbers) -> Iterator[FileRow]:
    """The files of a block, one by one."""
    firsts = np.frombuffer(numbers.firsts, "<i8").tolist()
    counts = np.frombuffer(numbers.counts, "<u4").tolist()
    start = 0
    for path, language, first, count in zip(
        block.all_paths(), block.all_languages(), firsts, counts, strict=True
    ):
        end = start + count
        lengths, vectors = numbers.lengths[2 * start : 2 * end], numbers.vectors[4 * start : 4 * end]
        yield FileRow(path, language, first, lengths, vectors)
        start = end
