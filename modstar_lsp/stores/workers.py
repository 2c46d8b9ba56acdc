"""Who parses and embeds: this process, or others beside it. Ray's are in `ray_workers.py`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any, Protocol

from modstar_lsp.allowance import usable_cores
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from modstar_lsp.encoder import Bundle, Encoder

# What ends its process so often will do it again.
TRIES = 3

#: Takes the model, then the arguments that it is handed over with.
Task = Callable[..., Any]
#: Waits for what some work gives; to be called once. Raises what it raised, and LostWorker.
Wait = Callable[[], Any]


class LostWorker(ModstarError):
    """A worker's process ended in the middle of the same work again and again."""

    def __init__(self) -> None:
        super().__init__(
            f"a worker ended {TRIES} times over it: out of memory, or a file that it cannot bear"
        )


class Workers(Protocol):
    """Does work side by side. ahead: how much of it may be under way before something is waited for."""

    ahead: int

    def submit(self, work: Task, *arguments: Any) -> Wait:
        """Begins `work(encoder, *arguments)`."""

    def close(self) -> None:
        """Ends the workers."""


class Here:
    """This process: everything one after the other."""

    ahead = 0

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def submit(self, work: Task, *arguments: Any) -> Wait:
        """See `Workers`."""
        return lambda: work(self._encoder, *arguments)

    def close(self) -> None:
        """There is nothing to end."""


class Processes:
    """Processes of this machine. One that is killed is replaced, and its work done again."""

    def __init__(self, bundle: Bundle, count: int) -> None:
        self.ahead = count
        self._bundle = bundle
        self._count = count
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # Nothing is forked: a thread may hold a lock.
        return ProcessPoolExecutor(self._count, get_context("spawn"), _prepare)

    def submit(self, work: Task, *arguments: Any) -> Wait:
        """See `Workers`."""
        handed = (self._bundle, threads_for(self._count), work, arguments)
        pool, future = self._begin(handed)

        def wait() -> Any:
            nonlocal pool, future
            for _ in range(TRIES):
                try:
                    return future.result()
                except BrokenProcessPool:  # all of its work is lost, whoever was killed
                    if pool is self._pool:
                        self._renew()
                    pool, future = self._begin(handed)
            raise LostWorker

        return wait

    def _begin(self, handed: tuple[Any, ...]) -> tuple[ProcessPoolExecutor, Future[Any]]:
        try:
            return self._pool, self._pool.submit(work_with, *handed)
        # A worker that ends while another is started takes the pool's pipes with it: the start then meets
        # descriptors that are closed, or somebody else's. What the work itself raises comes with its result.
        except (BrokenProcessPool, OSError, ValueError):
            self._renew()
            return self._pool, self._pool.submit(work_with, *handed)

    def _renew(self) -> None:
        self.close()
        self._pool = self._new_pool()

    def close(self) -> None:
        """See `Workers`."""
        # Waited for, so that its semaphores are gone before this process ends without asking anybody.
        self._pool.shutdown(cancel_futures=True)


def threads_for(workers: int) -> int:
    """How many threads of the model each of so many workers of one machine may run."""
    return max(1, usable_cores() // workers)


# The model of this process, as a worker.
_encoders: dict[tuple[str, int], Encoder] = {}


def work_with(bundle: Bundle, threads: int, work: Task, arguments: tuple[Any, ...]) -> Any:
    """What a worker does: `work`, with the model that it loads once."""
    from modstar_lsp.encoder import Encoder

    key = (bundle.digest, threads)
    if key not in _encoders:
        _encoders[key] = Encoder(bundle, threads=threads)
    return work(_encoders[key], *arguments)


def _prepare() -> None:
    """A worker leaves Ctrl-C to who started it, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
