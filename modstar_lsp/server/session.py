"""What the server knows and does, whoever asks: folders, settings, trust, questions."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from modstar_lsp import __version__
from modstar_lsp.background.child import Child, Launch
from modstar_lsp.background.machine import resident_bytes
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.server.documents import Documents
from modstar_lsp.server.index_state import state_of_all
from modstar_lsp.server.inquiry import Inquiry, Report
from modstar_lsp.server.positions import Encoding, Lines
from modstar_lsp.server.protocol import (
    Answer,
    Filters,
    IndexState,
    InvalidParams,
    SearchRequest,
    SimilarRequest,
    wire,
)
from modstar_lsp.server.root import Root
from modstar_lsp.server.settings import Settings, parse_settings
from modstar_lsp.server.uris import relative, to_path

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.stores.beside import StoreBeside
    from modstar_lsp.workspace.question import Question

# Questions answered at the same time; more would only take the interpreter from each other.
_WORKERS = 3
# When more files are said to have changed, all are looked at.
_TOLD_FILES = 5_000
# Each has a process of its own.
_MOST_FOLDERS = 64
# Ends of processes are waited for so long at the end.
_CHILD_END_SECONDS = 0.3


class Session:
    """One client's session. Everything but what a question needs happens on the event loop's thread.

    changed: called when the status may have changed, with the folder that did or None.
    """

    def __init__(
        self,
        launch: Launch,
        encoding: Encoding = "utf-16",
        *,
        spare: Child | None = None,
        changed: Callable[[Root | None], None] = lambda root: None,
    ) -> None:
        self.launch = launch
        self.encoding = encoding
        self.documents = Documents(encoding)
        self.settings = Settings()
        self.problems: list[str] = []
        self.roots: list[Root] = []
        self.paused = False
        self.trusted = True
        self.client_watches = False
        self.client_shows_similar = False
        self._spare = spare
        self._changed = changed
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="modstar-question")
        self._encoder_lock = Lock()
        self._encoder: Encoder | None = None
        self._temporary: Path | None = None
        self._store = self._beside() if launch.store else None
        self._started = False
        self._ending: list[Child] = []

    def in_pool(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Have something done beside the event loop."""
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *arguments))

    def _beside(self) -> StoreBeside:
        from modstar_lsp.stores.beside import StoreBeside

        return StoreBeside(self.launch.store, self.launch.labels, self.encoder)

    def encoder(self) -> Encoder:
        """The model, loaded once for all folders. For any thread. Raises BundleError."""
        with self._encoder_lock:
            if self._encoder is None:
                from modstar_lsp.encoder import Encoder, open_bundle

                encoder = Encoder(open_bundle(self.launch.bundle))
                encoder.encode(["warm up"], 0, "query")
                self._encoder = encoder
            return self._encoder

    def warm_up(self) -> None:
        """Load what the first question needs. For any thread."""
        import modstar_lsp.search
        import modstar_lsp.server.hits
        import modstar_lsp.workspace  # noqa: F401

        with suppress(ModstarError):
            self.encoder()

    # -- folders

    def add_folder(self, uri: str, name: str) -> None:
        """Another folder of the workspace; one that is there already stays as it is."""
        if any(root.uri == uri for root in self.roots):
            return
        folder = to_path(uri)
        root = Root(
            uri,
            name or (folder.name if folder else uri),
            folder or Path(),
            self.launch,
            self.documents,
            self.encoder,
            self._changed,
            self.in_pool,
        )
        root.paused = self.paused
        self.roots.append(root)
        if len(self.roots) > _MOST_FOLDERS:
            root.refuse(f"{uri}: no more than {_MOST_FOLDERS} folders are searched state_of_all")
        elif folder is None:
            root.refuse(f"{uri}: only folders of this machine (file:) can be searched")
        elif self._started:
            self._start(root)

    def remove_folder(self, uri: str) -> None:
        """A folder that is no longer part of the workspace. Its index stays for another time."""
        for root in [root for root in self.roots if root.uri == uri]:
            self.roots.remove(root)
            self._close(root)
        self._changed(None)

    def start(self) -> None:
        """Start indexing: the client is ready to be spoken to."""
        self._started = True
        for root in self.roots:
            self._start(root)

    def _start(self, root: Root) -> None:
        if root.is_started or to_path(root.uri) is None or root not in self.roots[:_MOST_FOLDERS]:
            return
        if not root.folder.is_dir():
            root.refuse(f"{root.folder}: no such folder", "failed")
            return
        from modstar_lsp.workspace import is_a_lot

        if is_a_lot(root.folder):
            root.refuse(f"{root.folder} is a lot to index: open the folder of a project")
            return
        if not self.trusted and self.settings.index_untrusted == "off":
            root.refuse("not indexed: this workspace is not trusted")
            return
        launch = self.launch if self.trusted else self._temporary_launch()
        spare, self._spare = self._spare, None
        root.start(spare, launch, self.settings, watch=not self.client_watches)

    def _temporary_launch(self) -> Launch:
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="modstar-"))
        return self.launch._replace(index_dir=self._temporary)

    def _close(self, root: Root) -> None:
        child = root.close()
        if child is not None:
            self._ending.append(child)

    def root_of(self, uri: str) -> tuple[Root, str] | None:
        """The innermost folder that a file belongs to, and its path there."""
        found = [(root, path) for root in self.roots if (path := relative(root.folder, uri)) is not None]
        return min(found, key=lambda pair: len(pair[1]), default=None)

    # -- settings and trust

    def follow(self, raw: Any) -> list[str]:
        """Take the settings in `raw`; what was wrong with them and has not been said before."""
        settings, problems = parse_settings(raw)
        fresh = [problem for problem in problems if problem not in self.problems]
        self.problems = problems
        before, self.settings = self.settings, settings
        for root in self.roots:
            root.follow(settings)
        if before.index_untrusted != settings.index_untrusted and not self.trusted:
            self._restart()
        if before != settings or fresh:
            self._changed(None)
        return fresh

    def trust(self, trusted: bool) -> None:
        """Whether the user trusts the workspace."""
        if trusted != self.trusted:
            self.trusted = trusted
            if self._started:
                self._restart()

    def _restart(self) -> None:
        """Every folder anew: it is indexed elsewhere, or no longer, or at last."""
        old = [(root.uri, root.name) for root in self.roots]
        for root in self.roots:
            self._close(root)
        self.roots = []
        for uri, name in old:
            self.add_folder(uri, name)
        self._changed(None)

    # -- pause and the like

    def pause(self) -> None:
        """Stop indexing everywhere until `resume`."""
        self.paused = True
        for root in self.roots:
            root.pause()

    def resume(self) -> None:
        """Go on indexing everywhere."""
        self.paused = False
        for root in self.roots:
            root.resume()

    def reindex(self) -> None:
        """Index every folder anew."""
        self.paused = False
        for root in self.roots:
            root.reindex()

    def clear(self) -> None:
        """Remove every folder's index, and stop indexing until `resume`."""
        self.paused = True
        for root in self.roots:
            root.clear()

    def close(self) -> None:
        """End every process, and what they left that was temporary. Takes moments, whatever is going on."""
        for root in self.roots:
            self._close(root)
        if self._spare is not None:
            self._spare.close()
            self._ending.append(self._spare)
        if self._temporary is not None:
            deadline = time.monotonic() + _CHILD_END_SECONDS
            for child in self._ending:
                child.wait(max(0.0, deadline - time.monotonic()))
            shutil.rmtree(self._temporary, ignore_errors=True)

    # -- files and documents

    def files_changed(self, uris: Iterable[str]) -> None:
        """Files were made, changed or deleted."""
        uris = list(uris)
        if len(uris) > _TOLD_FILES:
            for root in self.roots:
                root.files_changed([""])
            return
        changed: dict[Root, list[str]] = {}
        for uri in uris:
            for root in self.roots:
                if (path := relative(root.folder, uri)) is not None:
                    changed.setdefault(root, []).append(path)
        for root, paths in changed.items():
            root.files_changed(paths)

    def typing(self, uri: str) -> None:
        """A document is being edited."""
        found = self.root_of(uri)
        if found is not None:
            found[0].in_use()

    # -- questions

    async def search(
        self, request: SearchRequest, *, report: Report | None = None, stored: bool = True
    ) -> Answer:
        """The places that answer a sentence or name best. stored: whether a store is asked, if there is one.

        report: hears every better list until there is nothing better to be had soon; the last is returned.
        """
        if not request.query.strip():
            return Answer(index_state=self._index_state(), message="type what the code does")

        from modstar_lsp.workspace.question import Question  # not before there is something to ask

        try:
            question = Question.of_text(request.query)
        except QueryError as error:
            return Answer(index_state=self._index_state(), message=str(error))
        store = self._store if stored else None
        return await self._inquiry(request.filters, lambda root: question, store).answer(report)

    async def similar(self, request: SimilarRequest, *, report: Report | None = None) -> Answer:
        """The places most like a piece of code, which itself is left out. Raises InvalidParams."""
        from modstar_lsp.workspace.question import Question

        code, origin = await self.in_pool(self._selected, request)
        place = None if origin is None else self.root_of(origin[0])

        def question(root: Root) -> Question:
            if origin is None or place is None or place[0] is not root:
                return Question(code=code)
            return Question(code=code, origin=(place[1], origin[1], origin[2]))

        # Code is compared as a whole; the last stage is for questions.
        return await self._inquiry(request.filters._replace(budget=0), question).answer(report)

    def _inquiry(
        self, filters: Filters, question: Callable[[Root], Question], store: StoreBeside | None = None
    ) -> Inquiry:
        return Inquiry(self.roots, self.settings, self.in_pool, filters, question, store)

    def _selected(self, request: SimilarRequest) -> tuple[str, tuple[str, int, int] | None]:
        """(code, (URI, first and last line) where it stands)."""
        uri = request.uri
        if request.text is not None and (uri is None or (request.range is None and request.position is None)):
            return request.text, None
        assert uri is not None
        lines = self.lines(uri)
        if request.range is not None:
            (first, _), (last, character) = request.range
            # A selection of whole lines ends at the beginning of the next one.
            if last > first and character == 0:
                last -= 1
            first, last = first + 1, last + 1
        else:
            assert request.position is not None
            first, last = self._definition(uri, lines, request.position[0] + 1)
        code = lines.text(first, last) if request.text is None else request.text
        return code, (uri, first, last)

    def lines(self, uri: str) -> Lines:
        """The text of an open document or of a file of the workspace.

        Raises InvalidParams when it is neither.
        """
        document = self.documents.get(uri)
        if document is not None:
            return document.lines
        from modstar_lsp.files import Unreadable, read_source

        found = self.root_of(uri)
        if found is None:
            raise InvalidParams(f"{uri} is neither open nor a file of the workspace")
        try:
            return Lines(read_source(found[0].folder, found[1]))
        except Unreadable as error:
            raise InvalidParams(f"{uri}: {error.reason}") from None

    def _definition(self, uri: str, lines: Lines, line: int) -> tuple[int, int]:
        """First and last line of the innermost definition around a line, else that line twice."""
        from modstar_lsp.chunking import outline

        document = self.documents.get(uri)
        known = outline(uri, "".join(lines.lines)) if document is None else document.definitions()
        around = [found for found in known if found.start_line <= line <= found.end_line]
        return (around[-1].start_line, around[-1].end_line) if around else (line, line)

    # -- status

    def _index_state(self) -> IndexState:
        return state_of_all([root.index_state for root in self.roots])

    def status(self) -> dict[str, Any]:
        """The result of modstar/status."""
        bundle = self._encoder.bundle if self._encoder is not None else None
        from modstar_lsp.index import index_folder

        return {
            "version": __version__,
            "model": {
                "name": bundle.name if bundle else "",
                "exits": [one.depth for one in bundle.exits] if bundle else [],
            },
            "paused": self.paused,
            "trusted": self.trusted,
            "folders": [
                {
                    "uri": root.uri,
                    "name": root.name,
                    "coverage": wire(root.index_state),
                    "indexFolder": os.fspath(index_folder(root.folder, root.launch.index_dir)),
                    "bytes": root.bytes,
                    **({"message": root.message} if root.message else {}),
                }
                for root in self.roots
            ],
            "memory": {
                "rss": resident_bytes(os.getpid())
                + sum(resident_bytes(root.pid) for root in self.roots if root.pid is not None)
            },
            "settings": self.settings.wire(),
            "problems": list(self.problems),
        }
