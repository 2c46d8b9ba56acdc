"""Keeps one process that runs `modstar-query` for the commands of this user, as long as this one lives.

Of several servers the first keeps it; when that ends, another does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from modstar_lsp import private_socket
from modstar_lsp.background.child import Launch
from modstar_lsp.errors import ModstarError
from modstar_lsp.index.store.location import indexes_folder
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.trusted_path import trusted_path

# By name: the command stands above whoever keeps it. The current folder is not on its path, see child.py.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from modstar_lsp.cli.resident import main
main()
"""
# What was asked for first comes first: indexing.
_DELAY_SECONDS = 5.0
# How often a server looks whether nobody keeps one any more.
_LOOK_SECONDS = 30.0
# One that ended by itself so often is not started again.
_DEATHS = 3


class Residency:
    """The process that answers from the indexes in one folder. Nothing is started before `begin`."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._lock = threading.Lock()
        self._begun = False

    def begin(self) -> None:
        """Keeps the process from now on, where that is possible; the first call counts. For any thread."""
        with self._lock:
            first, self._begun = not self._begun, True
        if private_socket.IS_AVAILABLE and first:
            threading.Thread(target=self._keep, name="modstar-resident", daemon=True).start()

    def _keep(self) -> None:
        time.sleep(_DELAY_SECONDS)
        try:
            path = private_socket.address(os.fspath(indexes_folder(self._launch.index_dir)))
            if not path or not private_socket.make_folder(path):
                return
            lock = FileLock(Path(f"{path}.lock"))
            while not lock.acquire():
                time.sleep(_LOOK_SECONDS)
        except ModstarError:  # no home folder, or nothing can be written: then there is none
            return
        bundle = os.fspath(self._launch.bundle or "")
        command = [sys.executable, "-I", "-c", _START, json.dumps(trusted_path()), path, bundle]
        for _ in range(_DEATHS):
            self._run(command)

    def _run(self, command: list[str]) -> None:
        # Its input ends with this process, and so does it.
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            process.wait()
