"""What the server knows and does, whoever asks: folders, settings, trust, questions."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from modstar_lsp import __version__
from modstar_lsp.errors import ModstarError
from modstar_lsp.server.child import Child
from modstar_lsp.server.overlay import Documents
from modstar_lsp.server.positions import Encoding, Lines
from modstar_lsp.server.protocol import (
    Answer,
    Coverage,
    Filters,
    Hit,
    InvalidParams,
    SearchRequest,
    SimilarRequest,
    wire,
)
from modstar_lsp.server.root import Found, Launch, Root, exits_of, resident_bytes
from modstar_lsp.server.settings import Settings, parse
from modstar_lsp.server.uris import relative, to_path

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import View
    from modstar_lsp.search import Options, Results
    from modstar_lsp.server.overlay import Overlay

# Questions answered at the same time; more would only take the interpreter from each other.
_WORKERS = 3
# A first question waits so long for the first files to be known, looking so often.
_FIRST_ANSWER_SECONDS = 3.0
_FIRST_LOOK_SECONDS = 0.03
# A question that finds nothing in a workspace that is indexed for the first time is asked again for so long.
_NO_HITS_SECONDS = 1.2
# A question with a token for partial results is kept open for better ones at most so long.
_PARTIAL_SECONDS = 10.0
_PARTIAL_LOOK_SECONDS = 0.25
# Ends of processes are waited for so long at the end.
_CHILD_END_SECONDS = 0.3

# What editors call languages that we call otherwise.
_EDITOR_LANGUAGES = {
    "typescript": ("typescript", "tsx"),
    "typescriptreact": ("tsx",),
    "javascriptreact": ("javascript",),
    "shellscript": ("bash",),
    "sh": ("bash",),
    "zsh": ("bash",),
    "cuda-cpp": ("cpp",),
    "makefile": ("make",),
    "jsonc": ("json",),
    "objective-cpp": ("objective-c",),
}

Cancelled = Callable[[], bool]
Report = Callable[[Answer], None]


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
        self._started = False
        self._ending: list[Child] = []

    def in_pool(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Have something done beside the event loop."""
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *arguments))

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
        if folder is None:
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
        if root.is_started or to_path(root.uri) is None:
            return
        if not root.folder.is_dir():
            root.refuse(f"{root.folder}: no such folder", "failed")
            return
        if root.folder.resolve() in (Path.home().resolve(), Path(root.folder.anchor)):
            root.refuse(f"{root.folder} is a lot to index: open the folder of a project")
            return
        if not self.trusted and self.settings.index_untrusted == "off":
            root.refuse("not indexed: this workspace is not trusted")
            return
        root.launch = self.launch if self.trusted else self._temporary_launch()
        spare, self._spare = self._spare, None
        root.start(spare, self.settings, watch=not self.client_watches)

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
        settings, problems = parse(raw)
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
        self.paused = True
        for root in self.roots:
            root.pause()

    def resume(self) -> None:
        self.paused = False
        for root in self.roots:
            root.resume()

    def reindex(self) -> None:
        self.paused = False
        for root in self.roots:
            root.reindex()

    def clear(self) -> None:
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
        self, request: SearchRequest, cancelled: Cancelled | None = None, *, report: Report | None = None
    ) -> Answer:
        """The places that answer a sentence or name best.

        report: hears every better list until there is nothing better to be had soon; the last is returned.
        """
        if not request.query.strip():
            return Answer(coverage=self.coverage(self.roots), message="type what the code does")

        def ask(view: View, encoder: Encoder, options: Options) -> Results:
            from modstar_lsp.search import search

            return search(view, encoder, request.query, options)

        def words() -> frozenset[str]:
            from modstar_lsp.search.snippet import asked_words

            return asked_words(request.query)

        return await self._answer(request.filters, lambda root: ask, words, cancelled, report)

    async def similar(
        self, request: SimilarRequest, cancelled: Cancelled | None = None, *, report: Report | None = None
    ) -> Answer:
        """The places most like a piece of code, which itself is left out. Raises InvalidParams."""
        code, origin = await self.in_pool(self._selected, request)
        place = None if origin is None else self.root_of(origin[0])

        def asker(root: Root) -> Callable[[View, Encoder, Options], Results]:
            from modstar_lsp.search import similar

            own = None
            if origin is not None and place is not None and place[0] is root:
                own = (place[1], origin[1], origin[2])
            return lambda view, encoder, options: similar(view, encoder, code, options, origin=own)

        def words() -> frozenset[str]:
            from modstar_lsp.encoder.words import split_words

            return frozenset(split_words(code))

        return await self._answer(request.filters, asker, words, cancelled, report)

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

    async def _answer(
        self,
        filters: Filters,
        asker: Callable[[Root], Callable[[View, Encoder, Options], Results]],
        words: Callable[[], frozenset[str]],
        cancelled: Cancelled | None,
        report: Report | None,
    ) -> Answer:
        begin = time.perf_counter()
        roots = self._asked_roots(filters)
        if not roots:
            return Answer(message="no folder is open" if not self.roots else "no such folder is open")
        for root in roots:
            root.in_use()
        await self._something_known(roots)
        limit = filters.limit or self.settings.search_limit

        def ask() -> Answer:
            found = []
            for root, globs in roots.items():
                if cancelled is not None and cancelled():
                    return Answer()
                found.append(self._ask_root(root, globs, filters, limit, asker(root), words))
            return self._merged(list(roots), found, limit, begin)

        answer: Answer = await self.in_pool(ask)
        deadline = begin + (_NO_HITS_SECONDS if report is None else _PARTIAL_SECONDS)

        def may_improve() -> bool:
            if report is not None:
                return any(root.is_getting_better for root in roots)
            return not answer.hits and any(root.is_new for root in roots)

        while may_improve():
            if report is not None:
                report(answer)
            before = self._generations(roots)
            while self._generations(roots) == before and any(root.is_getting_better for root in roots):
                if time.perf_counter() > deadline:
                    return answer
                await asyncio.sleep(_PARTIAL_LOOK_SECONDS)
                for root in roots:
                    root.look()
            answer = await self.in_pool(ask)
        return answer

    @staticmethod
    def _generations(roots: Iterable[Root]) -> list[int]:
        return [root.generation for root in roots]

    async def _something_known(self, roots: Iterable[Root]) -> None:
        """Wait for the first files of a workspace never seen: an empty answer helps nobody."""
        deadline = time.monotonic() + _FIRST_ANSWER_SECONDS
        while all(root.knows_nothing_yet for root in roots) and time.monotonic() < deadline:
            await asyncio.sleep(_FIRST_LOOK_SECONDS)
            for root in roots:
                root.look()

    def _asked_roots(self, filters: Filters) -> dict[Root, tuple[str, ...]]:
        """The folders to search and the globs that hold in each."""
        if not filters.folders:
            return dict.fromkeys(self.roots, filters.globs)
        asked: dict[Root, tuple[str, ...]] = {}
        for uri in filters.folders:
            for root in self.roots:
                if root.uri.rstrip("/") == uri.rstrip("/"):
                    asked[root] = filters.globs
                elif (below := relative(root.folder, uri)) is not None and root not in asked:
                    asked[root] = _below(below, filters.globs)
        return asked

    def _ask_root(
        self,
        root: Root,
        globs: tuple[str, ...],
        filters: Filters,
        limit: int,
        ask: Callable[[View, Encoder, Options], Results],
        words: Callable[[], frozenset[str]],
    ) -> Found:
        from modstar_lsp.search import Options
        from modstar_lsp.server.hits import Describer

        options = Options(
            k=limit,
            languages=_languages(filters.languages),
            globs=globs,
            exit=root.question_exit,
            min_score=self.settings.search_min_score if filters.min_score is None else filters.min_score,
        )

        def describe(view: View, overlay: Overlay, results: Results) -> Found:
            size = filters.snippet_lines
            describer = Describer(root.texts, root.uri, overlay, self.encoding, words(), size)
            exit_at = exits_of(view)
            hits = tuple(
                describer.hit(hit, rank, exit_at(hit.path, hit.start_line))
                for rank, hit in enumerate(results.hits, 1)
            )
            closest = results.closest
            if closest is None:
                return Found(hits)
            return Found(hits, describer.hit(closest, 1, exit_at(closest.path, closest.start_line)))

        try:
            return root.ask(ask, options, describe)
        except ModstarError as error:
            return Found(message=str(error))

    def _merged(self, roots: Sequence[Root], found: Sequence[Found], limit: int, begin: float) -> Answer:
        """The folders' answers as one list; their scores are probabilities and so compare."""
        if len(found) == 1:
            hits, closest = list(found[0].hits), found[0].closest
        else:
            best: dict[object, Hit] = {}
            for hit in sorted((hit for part in found for hit in part.hits), key=lambda hit: -hit.score):
                best.setdefault((hit.uri, hit.range), hit)  # a folder may lie within another
            hits = [hit._replace(rank=rank) for rank, hit in enumerate(list(best.values())[:limit], 1)]
            candidates = [part.closest for part in found if part.closest is not None]
            closest = max(candidates, key=lambda hit: hit.score, default=None)
        if hits:
            closest = None
        coverage = self.coverage(roots)
        message = self._message(hits, closest, coverage, [part.message for part in found])
        return Answer(tuple(hits), closest, coverage, message, (time.perf_counter() - begin) * 1000)

    @staticmethod
    def _message(hits: Sequence[Hit], closest: Hit | None, coverage: Coverage, said: Sequence[str]) -> str:
        parts = []
        if not hits:
            parts.append(next(filter(None, said), "") or "no good match")
            if closest is not None:
                parts[0] = "no good match; the closest is shown"
        if coverage.state in ("starting", "indexing", "paused") and coverage.share < 1:
            word = "paused" if coverage.state == "paused" else "indexing"
            parts.append(f"{word}: {coverage.share:.0%} known")
        return "; ".join(parts)

    # -- status

    def coverage(self, roots: Iterable[Root]) -> Coverage:
        """How much is known of all these folders together."""
        parts = [root.coverage for root in roots]
        if not parts:
            return Coverage()
        if len(parts) == 1:
            return parts[0]
        files, chunks = sum(part.files for part in parts), sum(part.chunks for part in parts)
        indexed = sum(part.indexed for part in parts)
        order = ("starting", "indexing", "paused", "deepening", "ready", "failed", "off")
        return Coverage(
            state=min((part.state for part in parts), key=order.index),
            files=files,
            indexed=indexed,
            share=indexed / files if files else min(part.share for part in parts),
            chunks=chunks,
            exit=max(part.exit for part in parts),
            deepened=sum(part.deepened * part.chunks for part in parts) / chunks if chunks else 0.0,
        )

    def status(self) -> dict[str, Any]:
        """The result of modstar/status."""
        bundle = self._encoder.bundle if self._encoder is not None else None
        from modstar_lsp.index import index_folder

        return {
            "version": __version__,
            "model": {
                "name": bundle.name if bundle else "",
                "exits": [exit.depth for exit in bundle.exits] if bundle else [],
            },
            "paused": self.paused,
            "trusted": self.trusted,
            "folders": [
                {
                    "uri": root.uri,
                    "name": root.name,
                    "coverage": wire(root.coverage),
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


def _languages(named: Iterable[str]) -> frozenset[str]:
    names = [name.lower() for name in named]
    return frozenset(own for name in names for own in _EDITOR_LANGUAGES.get(name, (name,)))


def _below(folder: str, globs: Sequence[str]) -> tuple[str, ...]:
    """Globs that hold below a subfolder; anchored ones name the way from the top themselves."""
    inside = tuple(glob if "/" in glob.rstrip("/") else f"{folder}/**/{glob}" for glob in globs)
    return inside or (f"{folder}/",)
