"""A pool of worker processes that analyse files while this process does the same and writes.

They are plain subprocesses that speak pickles over their pipes: nothing is forked (the language server runs
threads), the database is not inherited, and a program that calls us needs no `__main__` guard.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING

from modstar_lsp.allowance import free_memory, usable_cores

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index.records import Job
    from modstar_lsp.index.writing.analysis import Analysis

# A worker takes a tenth of a second to start; below this the work is done before it pays. At 1.2 MB the first
# answer comes after 0.39 s with one and 0.49 s without.
WORKERS_PAY_BYTES = 400_000
# More workers than this outrun the one process that writes.
MAX_WORKERS = 4
# What is counted for each process of a container's memory: 65 to 78 MB for scrapy, more for large files.
_WORKER_MEMORY = 200_000_000
# A batch is long enough to make its pickling small and short enough to keep every process busy to the end:
# with workers a share of the work within these bounds.
_BATCH_SHARE = 1 / 12
_BATCH_BYTES = (64_000, 256_000)
_BATCH_FILES = 64

# The current folder is not on a worker's path, where a workspace could put a module of its own.
_WORKER_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from modstar_lsp import startup
startup.spare_garbage()
startup.hasten_numpy()
from modstar_lsp.index.writing.workers import serve_jobs
serve_jobs()
"""

Batch = list["Job"]


def batches(jobs: Sequence[Job], workers: int) -> list[Batch]:
    """`jobs` in portions of some size in bytes."""
    least, most = _BATCH_BYTES
    if workers:
        most = min(most, max(least, int(_BATCH_SHARE * sum(job.size for job in jobs))))
    result: list[Batch] = []
    size = 0
    for job in jobs:
        if not result or size + job.size > most or len(result[-1]) == _BATCH_FILES:
            result.append([])
            size = 0
        result[-1].append(job)
        size += job.size
    return result


def workers_for(jobs: Sequence[Job]) -> int:
    """How many workers pay for this work."""
    if (
        sum(job.size for job in jobs) < WORKERS_PAY_BYTES
        or not sys.executable
        or getattr(sys, "frozen", False)
    ):
        return 0
    memory = free_memory()
    affordable = MAX_WORKERS if memory is None else memory // _WORKER_MEMORY - 1
    return max(0, min(MAX_WORKERS, usable_cores() - 1, affordable))


class WorkerPool:
    """This process and `workers` others that analyse batches of files of `root`.

    answered: the batches that the others did.

    The others are started by the `with` statement and begin at once, while this process still imports what it
    needs for its own share.
    """

    def __init__(self, root: Path, encoder: Encoder, work: Sequence[Batch], workers: int) -> None:
        self._root = root
        self._encoder = encoder
        self._size = len(work)
        self._workers = workers
        self._todo: deque[Batch] = deque(work)
        self._results: SimpleQueue[tuple[Batch, Analysis | None]] = SimpleQueue()
        self._room = threading.Semaphore(0)
        self._stopped = False
        self.answered = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def run(self, is_known: Callable[[bytes], bool]) -> Iterator[Analysis]:
        """The analysis of every batch, as they get done. is_known: see `analyse_files`; workers know none."""
        from modstar_lsp.index.writing.analysis import analyse_files

        def own(batch: Batch) -> Analysis:
            return analyse_files(self._root, batch, self._encoder, is_known)

        for _ in range(self._size):
            yield self._next(own)

    def _next(self, own: Callable[[Batch], Analysis]) -> Analysis:
        try:
            batch, analysis = self._results.get_nowait()
        except Empty:
            try:
                return own(self._todo.popleft())
            except IndexError:
                batch, analysis = self._results.get()
        self._room.release()
        # A worker that died leaves its batch to us: should a file have killed it, the error shows here.
        return own(batch) if analysis is None else analysis

    def _start_worker(self) -> None:
        path = [entry for entry in sys.path if Path(entry).is_absolute()]
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _WORKER_PROGRAM, json.dumps(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError:
            return  # no process to be had: this one does all of it
        self._processes.append(process)
        thread = threading.Thread(target=self._tend, args=(process,), name="modstar-worker", daemon=True)
        self._threads.append(thread)
        # Two batches may wait for the writer or be under way per worker.
        self._room.release(2)
        thread.start()

    def _tend(self, process: subprocess.Popen[bytes]) -> None:
        """Hands batches to a worker and takes its answers, until there are none left or it dies."""
        assert process.stdin is not None and process.stdout is not None
        batch: Batch | None = None
        bundle = self._encoder.bundle
        try:
            bundle.verified(bundle.static.table)  # here, while the worker starts, and not in each
            pickle.dump((self._root, type(self._encoder), bundle), process.stdin)
            while True:
                self._room.acquire()
                if self._stopped:
                    return
                try:
                    batch = self._todo.popleft()
                except IndexError:
                    return
                pickle.dump(batch, process.stdin)
                process.stdin.flush()
                self._results.put((batch, pickle.load(process.stdout)))
                self.answered += 1
                batch = None
        except Exception:
            if batch is not None:
                self._results.put((batch, None))

    def __enter__(self) -> WorkerPool:
        for _ in range(self._workers):
            self._start_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._todo.clear()
        for process in self._processes:
            process.kill()
        self._room.release(len(self._threads) + 1)
        for process, thread in zip(self._processes, self._threads, strict=True):
            thread.join()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):  # what it still holds for the dead worker cannot be written
                    pipe.close()


def serve_jobs() -> None:
    """What a worker does: batches from standard input, analyses to standard output, until the input ends."""
    from modstar_lsp.index.writing.analysis import analyse_files

    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing but pickles may go where the answers go
    root, encoder_type, bundle = pickle.load(source)
    encoder = encoder_type(bundle)
    while True:
        try:
            batch = pickle.load(source)
        except EOFError:
            return
        pickle.dump(
            analyse_files(root, batch, encoder, lambda digest: False), target, pickle.HIGHEST_PROTOCOL
        )
        target.flush()
