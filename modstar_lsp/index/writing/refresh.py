"""Brings the index up to date with the files: compare by stat, then by digest, and read only what changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.index.records import Cancelled, Job, OnProgress, Progress, RefreshReport
from modstar_lsp.index.store.database import (
    WRITER_LOCK,
    Database,
    FileTotals,
    KnownFile,
    counters,
    file_totals,
    has_stats,
    known_files,
)
from modstar_lsp.index.store.lock import FileLock

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.files import SourceFile, Walk
    from modstar_lsp.index.writing.workers import WorkerPool
    from modstar_lsp.index.writing.writer import Writer

# Chunks per commit. A first indexing shows its results this often, about once a second per process.
COMMIT_CHUNKS = 2_000
# The first commit comes after this many seconds: nothing at all is found before it. A small workspace is
# done by then, and saves the second commit (6 % of its first answer).
_FIRST_COMMIT_SECONDS = 0.5

# Of the time that a first indexing takes; the last commit and what is made tidy then take the rest.
_READING_SHARE = 0.92
# Opening a file costs as much as so many bytes of it.
_BYTES_A_FILE = 1_000

_UNSTORABLE_NAME = "its name is not valid Unicode"


class _Difference(NamedTuple):
    jobs: list[Job]
    removed: list[str]


class _Done(NamedTuple):
    """What an update did. added, changed, removed: files that are searched now, still, or no more."""

    added: int
    changed: int
    removed: int
    complete: bool


def refresh(
    database: Database,
    root: Path,
    encoder: Encoder,
    walk: Walk,
    *,
    progress: OnProgress | None,
    cancelled: Cancelled | None,
    borrow_from: Sequence[Path],
    wait: float,
    workers: int | None,
) -> RefreshReport:
    """See Index.refresh."""
    begin = time.perf_counter()
    files, unstorable = _storable(walk.files)
    with database.reading() as connection:
        if has_stats(connection, files):
            return _report(walk, unstorable, file_totals(connection), begin)
        known = known_files(connection)
        generation = counters(connection)["generation"]

    # Only now, here and below: a query that finds nothing to do should not load what reads and writes.
    from modstar_lsp.index.writing.workers import WorkerPool, batches, workers_for

    with FileLock(database.folder / WRITER_LOCK) as lock:
        if not lock.acquire(wait, cancelled):
            with database.reading() as connection:
                complete = has_stats(connection, files)
                return _report(walk, unstorable, file_totals(connection), begin, complete=complete)
        with database.writing() as connection:
            if counters(connection)["generation"] != generation:
                known = known_files(connection)
            difference = _difference(files, known)
            if workers is None:
                workers = workers_for(difference.jobs)
            with WorkerPool(root, encoder, batches(difference.jobs, workers), workers) as pool:
                from modstar_lsp.index.vectors.borrowed import BorrowedVectors
                from modstar_lsp.index.writing.writer import Writer

                borrowed = BorrowedVectors(borrow_from, encoder.bundle.digest, database.dimension)
                try:
                    writer = Writer(connection, database.dimension, known, borrowed)
                    done = _update(writer, pool, difference, progress, cancelled)
                finally:
                    borrowed.close()
            totals = file_totals(connection)
    return _report(walk, unstorable, totals, begin, *done)


def _weight(job: Job) -> int:
    return job.size + _BYTES_A_FILE


def pending(database: Database, walk: Walk) -> int:
    """See Index.pending."""
    with database.reading() as connection:
        known = known_files(connection)
    difference = _difference(_storable(walk.files)[0], known)
    return len(difference.jobs) + len(difference.removed)


def _update(
    writer: Writer,
    pool: WorkerPool,
    difference: _Difference,
    progress: OnProgress | None,
    cancelled: Cancelled | None,
) -> _Done:
    searched = {path for path, file in writer.known.items() if not file.skipped}
    nothing_yet = is_first = not writer.known
    writer.remove(difference.removed)
    total, done = len(difference.jobs), 0
    volume, read, chunks = sum(map(_weight, difference.jobs)), 0, 0
    added, changed = 0, 0
    removed = len(searched.intersection(difference.removed))
    begin = time.perf_counter()
    complete = True
    for analysis in pool.run(writer.is_known):
        writer.add(analysis)
        for file in analysis.files:
            before = file.job.path in searched
            added += not before and not file.reason
            changed += before and not file.reason and file.chunks is not None
            removed += before and bool(file.reason)
        done += len(analysis.files)
        if progress is not None and analysis.files:
            read += sum(_weight(file.job) for file in analysis.files)
            chunks += sum(file.chunks or 0 for file in analysis.files) if is_first else 0
            known, path = read / volume, analysis.files[-1].job.path
            progress(Progress("index", done, total, path, _READING_SHARE * known, round(chunks / known)))
        if cancelled is not None and cancelled():
            complete = done == total
            break
        early = nothing_yet and time.perf_counter() - begin > _FIRST_COMMIT_SECONDS
        if (early or writer.chunks >= COMMIT_CHUNKS) and done < total:
            writer.commit(last=False, unread=total - done)
            nothing_yet = False
    writer.commit(last=True, unread=total - done)
    return _Done(added, changed, removed, complete)


def _storable(files: Sequence[SourceFile]) -> tuple[list[SourceFile], list[str]]:
    """(files whose path a database can hold, the other paths)."""
    good, bad = [], []
    for file in files:
        if not file.path.isascii():
            try:
                file.path.encode()
            except UnicodeEncodeError:
                bad.append(file.path)
                continue
        good.append(file)
    return good, bad


def _is_same(file: SourceFile, known: KnownFile | None) -> bool:
    """Whether the file cannot have changed. The ctime counts too: `cp -p` and `rsync -t` set the mtime."""
    return known is not None and (file.size, file.mtime_ns, file.ctime_ns) == known.stat


def _difference(files: Sequence[SourceFile], known: dict[str, KnownFile]) -> _Difference:
    present = {file.path for file in files}
    jobs = []
    for file in files:
        before = known.get(file.path)
        if not _is_same(file, before):
            digest = before.digest if before is not None and not before.skipped else b""
            jobs.append(Job(file.path, file.size, file.mtime_ns, file.ctime_ns, digest))
    return _Difference(jobs, sorted(path for path in known if path not in present))


def _report(
    walk: Walk,
    unstorable: Sequence[str],
    totals: FileTotals,
    begin: float,
    added: int = 0,
    changed: int = 0,
    removed: int = 0,
    complete: bool = True,
) -> RefreshReport:
    from modstar_lsp.files import Skipped

    skipped = [*walk.skipped]
    skipped.extend(Skipped(path, _UNSTORABLE_NAME) for path in unstorable)
    skipped.extend(Skipped(path, reason) for path, reason in totals.unreadable)
    return RefreshReport(
        files=totals.files,
        chunks=totals.chunks,
        added=added,
        changed=changed,
        removed=removed,
        skipped=tuple(skipped),
        seconds=time.perf_counter() - begin,
        complete=complete,
    )
