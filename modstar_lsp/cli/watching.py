"""`modstar-index --watch`: every change is indexed as it is saved."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from modstar_lsp.cli import indexing
from modstar_lsp.cli.process import FOUND, complain
from modstar_lsp.cli.terminal import say, say_json
from modstar_lsp.errors import StoreError
from modstar_lsp.files.watch import Watcher
from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.index import RefreshReport
    from modstar_lsp.workspace import Workspace

# A refresh of more files than this is told by its numbers alone.
NAMED_CHANGES = 3
# Windows cannot interrupt a wait without an end.
_WAKE_UP = 1.0


def watch(
    program: str, workspace: Workspace, arguments: argparse.Namespace, index: Callable[[], object]
) -> int:
    """Index, then refresh after every change until Ctrl-C, which is the way to end and so no error.

    program: whose messages these are.  index: makes the index, or brings it up to date.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    changes: SimpleQueue[set[str]] = SimpleQueue()
    watcher = Watcher(
        workspace.root, changes.put, on_notice=lambda line: complain(program, line), bounds=workspace.bounds
    )
    watcher.start()  # first, so that nothing saved while the index is made gets lost
    try:
        index()
        if not arguments.quiet:
            complain(program, "watching for changes; Ctrl-C ends")
        while True:
            _flush()
            paths = _next_changes(changes)
            try:
                report = workspace.refresh(include=arguments.include, exclude=arguments.exclude)
            except StoreError as error:
                complain(program, f"{error} (the next change tries again)")
                continue
            if not arguments.quiet:
                _tell_refresh(report, paths, arguments.json)
    except KeyboardInterrupt:
        return FOUND
    finally:
        watcher.stop()


def _next_changes(changes: SimpleQueue[set[str]]) -> set[str]:
    """The paths that changed, once there are any."""
    while True:
        try:
            paths = set(changes.get(timeout=_WAKE_UP))
        except Empty:
            continue
        while not changes.empty():
            paths |= changes.get()
        return paths


def _tell_refresh(report: RefreshReport, paths: set[str], as_json: bool) -> None:
    changed = indexing.changes(report)
    if not changed:
        return
    if as_json:
        numbers = {"added": report.added, "changed": report.changed, "removed": report.removed}
        say_json(
            {**numbers, "paths": sorted(filter(None, paths)), "seconds": round(report.seconds, 3)},
            indent=None,
        )
        return
    say(
        f"{time.strftime('%H:%M:%S')}  {changed}{_named_changes(paths)} ({indexing.duration(report.seconds)})"
    )


def _named_changes(paths: set[str]) -> str:
    """`: src/a.py, src/b.py and 4 more`, "" when the watcher knows no more than that something changed."""
    named = sorted(path for path in paths if path)
    if not named:
        return ""
    rest = f" and {len(named) - NAMED_CHANGES:,} more" if len(named) > NAMED_CHANGES else ""
    return f": {', '.join(map(clean, named[:NAMED_CHANGES]))}{rest}"


def _flush() -> None:
    """Show what was printed now: whoever reads a watch through a pipe waits for the line."""
    if sys.stdout is not None:
        sys.stdout.flush()
