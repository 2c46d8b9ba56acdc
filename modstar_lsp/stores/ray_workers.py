"""Workers of Ray, on this machine or, where RAY_ADDRESS names one, on a cluster.

A cluster's machines read the same paths as this one: the folders, the model, the temporary folder.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from modstar_lsp.encoder import Bundle
from modstar_lsp.errors import WorkspaceError
from modstar_lsp.stores.workers import TRIES, LostWorker, Task, Wait, threads_for, work_with

# Ray reports its use to its makers unless it is told not to, and sets it when it is imported.
os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"})

import ray

_ADDRESS = "RAY_ADDRESS"


class RayWorkers:
    """`Workers` that are tasks of Ray, which replaces those that are killed."""

    def __init__(self, bundle: Bundle, count: int) -> None:
        """Raises WorkspaceError when Ray does not start."""
        self.ahead = count
        own = {} if os.environ.get(_ADDRESS) else {"num_cpus": count, "include_dashboard": False}
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **own)
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise WorkspaceError(f"Ray does not start ({said}): try --workers without --engine") from error
        self._task = ray.remote(num_cpus=1, max_retries=TRIES - 1)(work_with)
        self._model = ray.put(bundle)
        self._threads = threads_for(count)

    def submit(self, work: Task, *arguments: Any) -> Wait:
        """See `Workers`."""
        reference = self._task.remote(self._model, self._threads, work, arguments)

        def wait() -> Any:
            try:
                return ray.get(reference)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
                raise LostWorker from None

        return wait

    def close(self) -> None:
        """See `Workers`."""
        ray.shutdown()
