"""The one place that opens the index database, and that knows what may be wrong with it.

One SQLite file in WAL mode is the truth. Its name carries the format version and the model, so that programs
of two versions, and two models, keep their indexes side by side and neither destroys the other's.

SQLite notices no damage in what a page holds, only in how it is laid out. So each row that is read to answer
has a check of its own, made of the row and of its key, and what a table should hold is known from elsewhere:
what was read is then what was written, or it is `Unsound`.
"""

from __future__ import annotations

import marshal
import os
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import starmap, zip_longest
from operator import attrgetter, eq
from pathlib import Path
from typing import Any, NamedTuple

from modstar_lsp import __version__
from modstar_lsp.errors import StoreError, reason, shortage
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.private_files import make_private_file, make_private_folder, refuse_foreign

FORMAT = 4
# What earlier versions made has vectors by the same digests, which are taken over. These formats have checks.
CHECKED_FORMATS = (FORMAT, 3)
OLDER_FILES = ("index-2.sqlite", "index-1.sqlite")
# Everything that a version made of a workspace: its kind, its format.
_MADE = re.compile(r"(index|graph)-(\d+)(?:-\w+)?\.(?:sqlite|bin)")
# Of the model's digest in the names of files. Two models that share it are told apart by what is inside.
_NAME_DIGITS = 12
# In one statement; the default of old SQLite builds is 999.
MAX_PARAMETERS = 900
WRITER_LOCK = "writer.lock"
DEEPEN_LOCK = "deepen.lock"
# What walks of the workspace leave for the next one; no model has a part in it.
LISTINGS = "listings.bin"

# Seconds that SQLite waits for another's transaction; ours last milliseconds.
_BUSY = 10.0
# Bytes of a page. The vectors of 1.4 million chunks are read and compared in 165 ms from pages of 4,096, in
# 148 from these, in 133 from those of 16,384; a saved file writes 125 kB, 208 or 404.
_PAGE_BYTES = 8_192
# kB of page cache for a connection: the upper levels of every tree; blobs are read once.
_CACHE = 4_000
# Seconds that opening waits for another process that is just making or rebuilding the same index.
_REBUILD_WAIT = 10.0

# Ends of the lines that users see.
_MOVE_IT = "choose another folder with --index-dir"
_WRITABLE = f"make it writable or {_MOVE_IT}"
_HELD = "is held by another program: try again when it is done"
# How SQLite says that a table, a column or a text is not what we wrote.
_DAMAGE = ("no such", "Could not decode")

# files: a row for each file of the workspace. `first` is the id of its first chunk, the others follow it.
#   mtime_ns: -1 when the file may have changed again within the clock's tick.  skipped: why it could not be
#   read, else NULL. Searching rests on none of it; a wrong stat or digest only has the file read again.
# file_blocks: of the files that are searched what that takes, see file_blocks.py.
# chunks: ids are never used twice.  kind: number in KINDS.  symbols: one a line, NULL for the name alone.
#   symbol_lines: of each symbol, uint16, from start_line on.  pieces: see StoredChunk.
# digests: the embedded text's digest -> vector number, the deepest vector known for that text.
# vectors: blocks of vectors, see vectors/table.py.  exits_check: of the block and its exits.  check: of its
#   scales and codes, see `matrix.sums`.
# spare: the generation in which a file last dropped a vector; it stays for a while.
# segments: chunk ids (int32, ascending) behind the chunk numbers in its postings; first terms of its blocks.
# postings: blocks of terms, see words/postings.py and segments.block_id. zlib checks them, and a block has to
#   begin with the term that its segment's directory says.
_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value, "check" INTEGER) WITHOUT ROWID;
CREATE TABLE files(
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, digest BLOB, skipped TEXT,
    first INTEGER, chunks INTEGER
) WITHOUT ROWID;
CREATE TABLE file_blocks(first TEXT PRIMARY KEY, data BLOB, "check" INTEGER);
CREATE TABLE chunks(
    id INTEGER PRIMARY KEY, start_line INTEGER, end_line INTEGER, kind INTEGER,
    name TEXT, scope TEXT, symbols TEXT, symbol_lines BLOB, pieces BLOB, "check" INTEGER
);
CREATE TABLE digests(digest BLOB PRIMARY KEY, vector INTEGER, "check" INTEGER) WITHOUT ROWID;
CREATE TABLE vectors(
    block INTEGER PRIMARY KEY, exits BLOB, scales BLOB, codes BLOB, exits_check INTEGER, "check" INTEGER
);
CREATE TABLE spare(vector INTEGER PRIMARY KEY, generation INTEGER);
CREATE TABLE segments(id INTEGER PRIMARY KEY, chunks BLOB, directory BLOB, "check" INTEGER);
CREATE TABLE postings(id INTEGER PRIMARY KEY, data BLOB);
"""
# The commits so far, the next free numbers, how often vectors were renumbered, the files still to be read and
# those that could be.
COUNTERS = ("generation", "next_chunk", "next_vector", "next_segment", "sweeps", "pending", "files")


class DamagedIndex(StoreError):
    """The index was damaged and has been thrown away: refresh, then ask again."""


class Unsound(Exception):
    """What was read is not what was written."""


def check_of(row: tuple[Any, ...]) -> int:
    """The check of a row of numbers, texts and bytes."""
    # In version 0 equal values always give equal bytes. It takes a third of the time of `repr`.
    return zlib.crc32(marshal.dumps(row, 0))


def database_name(bundle_digest: str, version: int = FORMAT) -> str:
    """The name of the database of the model with this digest, in a format that has checks."""
    return f"index-{version}-{bundle_digest[:_NAME_DIGITS]}.sqlite"


class Database:
    """The database file of one workspace and one bundle.

    notice: one line when opening found something that the user should know, else "".
    """

    def __init__(self, folder: Path, root: Path, bundle_digest: str, dimension: int, *, write: bool) -> None:
        self.folder = folder
        self.file = folder / database_name(bundle_digest)
        self.graph = folder / f"graph-{FORMAT}-{bundle_digest[:_NAME_DIGITS]}.bin"
        self.listings = folder / LISTINGS
        self.write = write
        self.bundle_digest = bundle_digest
        self.dimension = dimension
        self.notice = ""
        self._identity = {
            "format": FORMAT,
            "bundle": bundle_digest,
            "dimension": dimension,
            "root": os.fsencode(root).decode("utf-8", "backslashreplace"),
        }
        self._found: dict[str, Any] = {}
        self._immutable = False

    def open(self) -> None:
        """Makes sure that a sound database of this workspace and bundle is there, rebuilding what is not."""
        if not self.write:
            self._open_to_read()
            return
        try:
            make_private_folder(self.folder)
        except OSError as error:
            raise StoreError(
                f"cannot make the index folder {self.folder} ({reason(error)}): {_MOVE_IT}"
            ) from None
        refuse_foreign(self.folder)
        if not os.access(self.folder, os.W_OK):
            raise StoreError(f"cannot write in the index folder {self.folder}: {_WRITABLE}")
        if self._fault() is None:
            self._renew()
            return
        with FileLock(self.folder / WRITER_LOCK) as lock:
            if not lock.acquire(_REBUILD_WAIT):
                raise StoreError(f"the index in {self.folder} {_HELD}")
            fault = self._fault()
            if fault is not None:
                self.notice = fault
                self.recreate()

    def in_use(self) -> None:
        """Notes when the index was last used, as the time of its folder."""
        with suppress(OSError):
            os.utime(self.folder)

    def _open_to_read(self) -> None:
        try:
            there = self.file.exists()
        except OSError as error:
            refuse_foreign(self.folder)
            raise StoreError(f"cannot read the index in {self.folder} ({reason(error)})") from None
        if not there:
            raise StoreError(f"there is no index in {self.folder}: run modstar-index first")
        fault = self._fault()
        if fault is not None:
            fault = fault or f"the index in {self.folder} is empty"
            raise StoreError(f"{fault}: but not when opened for reading only")

    def _fault(self) -> str | None:
        """None for a database that can be used, "" for one still to be made, else in a line what is wrong."""
        where = f"the index in {self.folder}"
        if not self.file.exists():
            newer = [
                file.name for file in self.folder.glob("index-*.sqlite") if format_of(file.name) > FORMAT
            ]
            return (
                f"{where} is of a newer version and left alone; this version makes its own" if newer else ""
            )
        try:
            self._found = self._meta()
        except DamagedIndex:
            return "" if self._is_blank() else f"{where} was damaged and is rebuilt"
        found = self._found
        if found.get("format") != FORMAT:
            return f"{where} is of another version and is rebuilt"
        if not isinstance(found.get("store"), str) or any(
            not isinstance(found.get(counter), int) for counter in COUNTERS
        ):
            return f"{where} was damaged and is rebuilt"
        if found.get("root") != self._identity["root"]:
            return f"{where} belongs to another workspace and is rebuilt"
        if any(found.get(key) != self._identity[key] for key in ("bundle", "dimension")):
            return f"{where} was made with another model and is rebuilt"
        return None

    def _meta(self) -> dict[str, Any]:
        with self.reading() as connection:
            return read_meta(connection)

    def _renew(self) -> None:
        """Has every file read again when another release made the index: it may have divided them otherwise.

        Vectors are kept by the text that they were made from, so none is lost.
        """
        if self._found.get("release") == __version__:
            return
        with FileLock(self.folder / WRITER_LOCK) as lock:
            if not lock.acquire():
                return  # being written by that release: another time
            with self.writing() as connection, transaction(connection):
                connection.execute("UPDATE files SET mtime_ns = -1, digest = x''")
                write_meta(connection, {"release": __version__})

    def _is_blank(self) -> bool:
        try:
            return self.file.stat().st_size == 0
        except OSError:
            return False

    def recreate(self) -> None:
        """Replaces whatever is there by an empty index. The caller holds the writer lock."""
        with self._explained():
            self._set_aside_newer()
            self.remove()
            make_private_file(self.file)
            connection = self._connect("rwc")
            try:
                # Nothing is lost with an index just made: a crash of the machine leaves a damaged
                # one, which is made again. So the disk is not waited for, a dozen times 0.2 to 5 ms.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN EXCLUSIVE")
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                fresh = {"release": __version__, "store": os.urandom(8).hex(), **dict.fromkeys(COUNTERS, 0)}
                write_meta(connection, {**self._identity, **fresh})
                connection.execute("COMMIT")
            finally:
                connection.close()

    def _set_aside_newer(self) -> None:
        """An index of a newer format under this version's name gets its own name back."""
        with suppress(StoreError, sqlite3.Error):
            newer = self._meta().get("format")
            if isinstance(newer, int) and newer > FORMAT:
                aside = self.file.with_name(self.file.name.replace(f"-{FORMAT}-", f"-{newer}-"))
                if not aside.exists():
                    with self.writing() as connection:
                        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    self.file.replace(aside)

    def remove(self) -> None:
        """Deletes the database and what is derived from it. The caller holds the writer lock."""
        # The database goes first: a crash in between leaves a log without database, which SQLite discards.
        for file in (*self._files(self.file, "", "-wal", "-shm"), *self._files(self.graph, "", ".json")):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(
                    f"cannot replace {file} ({error.strerror}): close what else uses it"
                ) from None

    def remove_others(self) -> None:
        """Deletes what earlier versions, other models and walks made of this workspace. The caller holds the
        writer lock."""
        ours = self._files(self.file, "", "-wal", "-shm")
        for file in self.folder.iterdir():
            if file == self.listings or (0 < format_of(file.name) <= FORMAT and file not in ours):
                with suppress(OSError):
                    file.unlink()

    @staticmethod
    def _files(file: Path, *suffixes: str) -> list[Path]:
        return [file.with_name(f"{file.name}{suffix}") for suffix in suffixes]

    def inode(self) -> tuple[int, int]:
        """What tells this file from another that took its place; (0, 0) when there is none."""
        try:
            status = self.file.stat()
        except OSError:
            return 0, 0
        return status.st_dev, status.st_ino

    def bytes(self) -> int:
        """Size on disk with everything derived."""
        total = 0
        graph = self._files(self.graph, "", ".json")
        for file in (*self._files(self.file, "", "-wal"), *graph, self.listings):
            with suppress(OSError):
                total += file.stat().st_size
        return total

    def connect(self) -> sqlite3.Connection:
        """A connection for reading, which may be passed between threads. The caller closes it."""
        with self._explained():
            if self.write:
                connection = self._connect("rw")
                connection.execute("PRAGMA query_only = 1")
                return connection
            return self._connect("ro")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading in one transaction."""
        connection = self.connect()
        try:
            with self._explained():
                connection.execute("BEGIN")
                yield connection
        finally:
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection for writing; its transactions are the caller's. The caller holds the writer lock."""
        with self._explained():
            connection = self._connect("rw")
            try:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA journal_size_limit = 4000000")
                yield connection
            finally:
                connection.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        if self._immutable:
            mode = "ro&immutable=1"
        try:
            return self._try_connect(mode)
        except sqlite3.OperationalError:
            # In a folder where nothing can be created, a WAL database without a log is complete by itself.
            log = self.file.with_name(f"{self.file.name}-wal")
            if mode != "ro" or (log.exists() and log.stat().st_size):
                raise
            connection = self._try_connect("ro&immutable=1")
            self._immutable = True
            return connection

    def _try_connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.file.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.explain(error) from error
        except (Unsound, zlib.error, UnicodeDecodeError) as error:  # the last of what SQLite says of a schema
            raise self.damaged(str(error)) from error

    def damaged(self, reason: str) -> DamagedIndex:
        """The error for a database that is not as we wrote it."""
        outcome = "and is rebuilt" if self.write else "(run modstar-index to rebuild it)"
        reason = reason.partition(" with text ")[0]  # SQLite repeats what it could not decode
        return DamagedIndex(f"the index in {self.folder} was damaged {outcome}: {reason}")

    def explain(self, error: sqlite3.Error) -> StoreError:
        """The one line for the user that stands for an error of SQLite's."""
        if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
            raise error  # ours, not the file's
        text = str(error)
        damaged = not isinstance(error, sqlite3.OperationalError) or text.startswith(_DAMAGE)
        # A damaged page may say that there are more pages than there can be.
        damaged |= "full" in text and not self._is_well_formed()
        if damaged:
            return self.damaged(text)
        if "locked" in text:
            return StoreError(f"the index in {self.folder} {_HELD}")
        if "readonly" in text:
            return StoreError(f"cannot write the index in {self.folder}: {_WRITABLE}")
        if cure := _out_of_files():
            return StoreError(f"cannot use the index in {self.folder}: {cure}")
        return StoreError(f"cannot use the index in {self.folder} ({text}): free some space or {_MOVE_IT}")

    def _is_well_formed(self) -> bool:
        try:
            with closing(self._connect("ro")) as connection:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except (sqlite3.Error, UnicodeDecodeError):
            return False


def _out_of_files() -> str:
    """Why SQLite's three files cannot be opened now, which it does not tell; "" when they can be."""
    opened = []
    try:
        for _ in range(3):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return shortage(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return ""


class KnownFile(NamedTuple):
    """What the index has of a file. skipped: why it could not be read, else None.

    A tuple, since a refresh that finds nothing to do mostly makes these: 5,000 take 1 ms, dataclasses 4.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: bytes
    skipped: str | None
    first: int
    chunks: int

    @property
    def stat(self) -> tuple[int, int, int]:
        """size, mtime_ns, ctime_ns: what a file that did not change still has."""
        return self.size, self.mtime_ns, self.ctime_ns


# What every KnownFile has to have; the other columns are compared alone.
_FILE_HAS = ((attrgetter("path"), str), (attrgetter("first"), int), (attrgetter("chunks"), int))


def known_files(connection: sqlite3.Connection) -> dict[str, KnownFile]:
    """All files of the index by path. Raises Unsound where one has no path, or no chunks that can be told."""
    rows = connection.execute(
        "SELECT path, size, mtime_ns, ctime_ns, digest, skipped, first, chunks FROM files"
    )
    known = {row[0]: KnownFile._make(row) for row in rows}
    for column, kind in _FILE_HAS:
        if not {kind}.issuperset(map(type, map(column, known.values()))):
            raise Unsound("the files are not as they were written")
    return known


class FileTotals(NamedTuple):
    """files, chunks: how many are searched.  unreadable: path of each other file, and why it is not."""

    files: int
    chunks: int
    unreadable: Sequence[tuple[str, str]]


def file_totals(connection: sqlite3.Connection) -> FileTotals:
    """What the index has of all files together. Raises Unsound as `known_files`, for those searched."""
    unreadable = connection.execute("SELECT path, skipped FROM files WHERE skipped IS NOT NULL").fetchall()
    files, chunks, wrong = connection.execute(
        "SELECT count(*), ifnull(sum(chunks), 0), ifnull(sum(typeof(first) <> 'integer' OR "
        "typeof(chunks) <> 'integer'), 0) FROM files WHERE skipped IS NULL"
    ).fetchone()
    if wrong:
        raise Unsound("the files are not as they were written")
    return FileTotals(files, chunks, unreadable)


def has_stats(connection: sqlite3.Connection, stats: Iterable[tuple[str, int, int, int]]) -> bool:
    """Whether the index has just these files: path, size, mtime_ns and ctime_ns of each, by path.

    SQLite and Python sort alike, so neither has to hold all files to compare them.
    """
    known = connection.execute("SELECT path, size, mtime_ns, ctime_ns FROM files ORDER BY path")
    return all(starmap(eq, zip_longest(known, stats)))


def counters(connection: sqlite3.Connection) -> dict[str, int]:
    """The counters of meta as they stand in the current transaction. Raises Unsound."""
    return read_meta(connection, COUNTERS)


def read_meta(connection: sqlite3.Connection, keys: Iterable[str] = ()) -> dict[str, Any]:
    """What meta holds under `keys`, which are all there; by default all of it. Raises Unsound."""
    wanted = tuple(keys)
    where = f"WHERE key IN ({', '.join('?' * len(wanted))})" if wanted else ""
    found = {}
    for key, value, check in connection.execute(f'SELECT key, value, "check" FROM meta {where}', wanted):
        if check != check_of((key, value)):
            raise Unsound(f"the entry {key} is not as it was written")
        found[key] = value
    if len(found) < len(wanted):
        raise Unsound("an entry is missing")
    return found


def write_meta(connection: sqlite3.Connection, values: Mapping[str, object]) -> None:
    """Puts `values` into meta, in place of what it has under the same keys."""
    rows = [(key, value, check_of((key, value))) for key, value in values.items()]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits what happens inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def format_of(name: str) -> int:
    """The format of a file that a version made of a workspace, 0 for another."""
    made = _MADE.match(name)
    return int(made[2]) if made else 0
