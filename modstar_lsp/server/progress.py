"""The client's progress bars: one for each folder that is being indexed, with a button to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from modstar_lsp.server.root import Root

log = logging.getLogger(__name__)

# Fewer files than this are read before anybody has seen a bar.
_SHOWN_FILES = 50
# Between two reports on a bar.
_REPORT_SECONDS = 0.2


class Bar:
    """The bar of one folder, from the first report to the last."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.created = False
        self.ended = False
        self.reported = 0.0


class ProgressBars:
    """Shows what the folders do to a client that can show it."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._bars: dict[str, Bar] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, root: Root) -> None:
        """Bring the bar of `root` up to date."""
        window = self._server.client_capabilities.window
        if not (window and window.work_done_progress):
            return
        work, bar = root.work, self._bars.get(root.uri)
        indexing = work is not None and work.job == "refresh" and not root.paused
        if bar is None:
            if indexing and work is not None and work.total >= _SHOWN_FILES and work.done < work.total:
                self._begin(root)
            return
        if not indexing:
            self._end(root, bar)
        elif bar.created and time.monotonic() - bar.reported > _REPORT_SECONDS:
            bar.reported = time.monotonic()
            assert work is not None
            self._server.work_done_progress.report(
                bar.token,
                types.WorkDoneProgressReport(
                    message=f"{work.done:,} of {work.total:,} files, {work.path}",
                    percentage=100 * work.done // max(1, work.total),
                    cancellable=True,
                ),
            )

    def _begin(self, root: Root) -> None:
        self._count += 1
        bar = self._bars[root.uri] = Bar(f"modstar-{self._count}")
        task = asyncio.ensure_future(self._create(root, bar))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _create(self, root: Root, bar: Bar) -> None:
        progress = self._server.work_done_progress
        try:
            await progress.create_async(bar.token)
        except Exception as error:  # a client that offers bars and then refuses one
            log.warning("the client shows no progress: %s", error)
            return
        if bar.ended:
            return
        bar.created = True
        progress.begin(
            bar.token,
            types.WorkDoneProgressBegin(
                title=f"modstar: indexing {root.name}", cancellable=True, percentage=0
            ),
        )
        progress.tokens[bar.token].add_done_callback(
            lambda future: root.pause() if future.cancelled() and not bar.ended else None
        )

    def _end(self, root: Root, bar: Bar) -> None:
        del self._bars[root.uri]
        bar.ended = True
        if bar.created:
            message = "paused" if root.paused else f"{root.index_state.indexed:,} files"
            self._server.work_done_progress.end(bar.token, types.WorkDoneProgressEnd(message=message))
            self._server.work_done_progress.tokens.pop(bar.token, None)
