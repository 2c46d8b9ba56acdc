"""Who fills a store in an object store: a row of it that says who does, and until when that holds.

There is no lock there that goes when its holder dies, but LanceDB takes an update only in place of the
version that it read: of two that take the row one has it. A holder that died is waited for until its time is
over, by the clock of whoever comes next. It is no fence: what a holder began to write in time may come later.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import Any

import pyarrow as pa

from modstar_lsp.errors import StoreError

# Longer than an object store is away for a moment, and than clocks differ. Who died is waited for so long.
_LEASE_SECONDS = 120.0
_RENEWED_SECONDS = 20.0
_LEASE_TABLE = "filling"
# Of two that make the table at the same moment the second's takes the place of the first's, and of what was
# put there since: whoever finds that nobody ever had it waits until all are made.
_MADE_SECONDS = 2.0
_NOBODY = pa.table({"holder": [""], "token": [""], "until": [0.0]})


class Lease:
    """The right to fill the store at `url`. database: LanceDB's, whose errors every method may raise."""

    def __init__(self, database: Any, url: str) -> None:
        self._url = url
        self._token = os.urandom(8).hex()
        self._table = _opened(database)
        self._lock = Lock()
        self._over = Event()
        self._renewed = 0.0
        self._lost = False

    def take(self) -> None:
        """Has it from now on until `give_back`. Raises StoreError when another has it."""
        if not self._row()["holder"]:
            time.sleep(_MADE_SECONDS)
            self._table.checkout_latest()  # an update of an earlier one would fail
        self._renewed = now = time.time()
        holder = f"process {os.getpid()} on {platform.node()}"
        if not self._set(f"until < {now}", holder=holder, token=self._token, until=now + _LEASE_SECONDS):
            row = self._row()
            left = max(1, round(row["until"] - now))
            raise StoreError(
                f"another program is filling the store {self._url}: try again when it is done, "
                f"or in {left} s should it have died ({row['holder']})"
            )
        Thread(target=self._keep, name="modstar-lease", daemon=True).start()

    def require(self) -> None:
        """Raises StoreError when another has it by now: this machine slept, or was cut off, for too long."""
        with self._lock:
            now = time.time()
            if now - self._renewed > _RENEWED_SECONDS and not self._over.is_set():
                self._lost |= not self._set(f"token = '{self._token}'", until=now + _LEASE_SECONDS)
                self._renewed = now
        if self._lost:
            raise StoreError(f"another program fills the store {self._url} by now: run this one again later")

    def give_back(self) -> None:
        """Lets the next one have it at once, if the store can be told so."""
        self._over.set()
        with self._lock:
            with suppress(Exception):  # each renewal left a version
                self._table.optimize(cleanup_older_than=timedelta(seconds=_LEASE_SECONDS))
            with suppress(Exception):
                self._set(f"token = '{self._token}'", until=0.0)

    def _keep(self) -> None:
        while not self._over.wait(_RENEWED_SECONDS):
            with suppress(Exception):  # who writes is told
                self.require()

    def _row(self) -> dict[str, Any]:
        self._table.checkout_latest()
        (row,) = self._table.to_arrow().to_pylist()
        return dict(row)

    def _set(self, where: str, **values: object) -> bool:
        return bool(self._table.update(where=where, values=values).rows_updated)


def _opened(database: Any) -> Any:
    """The table with the row, made by whoever comes first."""
    with suppress(ValueError):
        return database.open_table(_LEASE_TABLE)
    with suppress(ValueError):
        return database.create_table(_LEASE_TABLE, _NOBODY)
    return database.open_table(_LEASE_TABLE)
