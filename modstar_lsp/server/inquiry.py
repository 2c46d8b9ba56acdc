"""One request for hits, from its folders and filters to the answer.

Wait until something is known, put the question to every folder, merge what they say; and again, while a
better answer is to be had soon.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

from modstar_lsp.errors import ModstarError
from modstar_lsp.server.index_state import state_of_all
from modstar_lsp.server.protocol import Answer, ClientHit, Filters, IndexState
from modstar_lsp.server.reader import FolderAnswer
from modstar_lsp.server.root import Root
from modstar_lsp.server.settings import Settings
from modstar_lsp.server.uris import relative, to_path

if TYPE_CHECKING:
    from modstar_lsp.stores.beside import StoreBeside
    from modstar_lsp.workspace.question import Question

# A first question waits so long for the first files to be known, looking so often.
_FIRST_ANSWER_SECONDS = 3.0
_FIRST_LOOK_SECONDS = 0.03
# A question that finds nothing in a workspace that is indexed for the first time is asked again for so long.
_NO_HITS_SECONDS = 1.2
# A question with a token for partial results is kept open for better ones at most so long.
_PARTIAL_SECONDS = 10.0
_PARTIAL_LOOK_SECONDS = 0.25

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

#: Takes a list that a better one may follow.
Report = Callable[[Answer], None]


class Inquiry:
    """What a request asks of which folders. It belongs to the event loop's thread, but for `_ask`.

    roots: the folders that are open.  in_pool: has something done beside the event loop.  question: what a
    folder is asked.  store: asked beside them, unless the client names folders.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        settings: Settings,
        in_pool: Callable[..., asyncio.Future[Any]],
        filters: Filters,
        question: Callable[[Root], Question],
        store: StoreBeside | None = None,
    ) -> None:
        self._begin = time.perf_counter()
        self._in_pool = in_pool
        self._filters = filters
        self._question = question
        self._limit = filters.limit or settings.search_limit
        # Without a token only who asks for it waits for the last stage.
        self._budget = (settings.search_budget if filters.budget is None else filters.budget) / 1000
        self._asked_budget = (filters.budget or 0) / 1000
        self._withdrawn = Event()
        self._min_score = settings.search_min_score if filters.min_score is None else filters.min_score
        self._below = _asked(roots, filters)
        self._store = None if filters.folders else store
        self._stored: FolderAnswer | None = None
        self._store_failure = ""
        self._foreign = False
        self._none = "no such folder is open" if roots else "no folder is open"

    async def answer(self, report: Report | None = None) -> Answer:
        """What all folders asked answer state_of_all.

        report: takes every better list until there is nothing better to be had soon; the last is returned.
        The first is there in milliseconds, the next has read the best candidates.
        """
        if not self._below:
            return Answer(message=self._none)
        for root in self._below:
            root.in_use()
        try:
            return await self._answer(report)
        finally:
            self._withdrawn.set()

    async def _answer(self, report: Report | None) -> Answer:
        await self._something_known()
        budget = self._asked_budget if report is None else 0
        if self._store is not None and report is None:
            await self._in_pool(self._ask_store, self._store)
        answer: Answer = await self._in_pool(self._ask, budget)
        if self._store is not None and report is not None:
            if answer.hits:  # nobody who sees lists come waits for a store
                report(answer)
            await self._in_pool(self._ask_store, self._store)
            answer = await self._in_pool(self._ask, budget)
        if report is not None and self._budget and answer.hits:
            report(answer)
            budget = self._budget
            answer = await self._in_pool(self._ask, budget)
        deadline = self._begin + (_NO_HITS_SECONDS if report is None else _PARTIAL_SECONDS)
        while self._may_improve(answer, report is not None):
            if report is not None:
                report(answer)
            if not await self._more_known(deadline):
                break
            answer = await self._in_pool(self._ask, budget)
        return answer

    async def _something_known(self) -> None:
        """Wait for the first files of a workspace never seen: an empty answer helps nobody."""
        deadline = time.monotonic() + _FIRST_ANSWER_SECONDS
        while all(root.knows_nothing_yet for root in self._below) and time.monotonic() < deadline:
            await asyncio.sleep(_FIRST_LOOK_SECONDS)
            for root in self._below:
                root.look()

    def _may_improve(self, answer: Answer, reported: bool) -> bool:
        if reported:
            return any(root.is_getting_better for root in self._below)
        return not answer.hits and any(root.is_new for root in self._below)

    async def _more_known(self, deadline: float) -> bool:
        """Wait until more is known than before, or nothing more is to come; False when it took too long."""
        before = self._generations()
        while self._generations() == before and any(root.is_getting_better for root in self._below):
            if time.perf_counter() > deadline:
                return False
            await asyncio.sleep(_PARTIAL_LOOK_SECONDS)
            for root in self._below:
                root.look()
        return True

    def _generations(self) -> list[int]:
        return [root.generation for root in self._below]

    def _ask(self, budget: float) -> Answer:
        """Puts the question to each folder, with `budget` seconds for all of them. For any thread."""
        share = budget / max(len(self._below), 1)
        found = [self._ask_root(root, below, share) for root, below in self._below.items()]
        if self._stored is not None:
            found.append(self._stored)
        hits, closest = _merged(found, self._limit)
        state = state_of_all([root.index_state for root in self._below])
        meant = "" if hits else next((part.did_you_mean for part in found if part.did_you_mean), "")
        left_out = [root.left_out for root in self._below if root.left_out]
        message = _message(hits, closest, state, found, meant, left_out, self._foreign)
        message = "; ".join(filter(None, [message, self._store_failure]))
        took = (time.perf_counter() - self._begin) * 1000
        return Answer(hits, closest, state, message, took, meant)

    def _ask_store(self, store: StoreBeside) -> None:
        """Puts the question to the store. For any thread."""
        from modstar_lsp.search import Options
        from modstar_lsp.search.filters import Filter
        from modstar_lsp.server.stored import folder_answer

        question = self._question(next(iter(self._below)))
        languages = _languages(self._filters.languages)
        bounds = Filter(languages=languages, globs=self._filters.globs)
        options = Options(self._limit, (bounds,), min_score=self._min_score)
        here = [root.folder for root in self._below]
        try:
            answer = store.ask(question, options, here, languages=languages)
        except ModstarError as error:
            self._stored, self._store_failure = FolderAnswer(), str(error)
        else:
            self._stored = folder_answer(answer, question)

    def _ask_root(self, root: Root, below: tuple[str, ...], budget: float) -> FolderAnswer:
        from modstar_lsp.search import Options
        from modstar_lsp.search.filters import Filter

        options = Options(
            k=self._limit,
            filters=(
                Filter(below=below),
                Filter(languages=_languages(self._filters.languages), globs=self._filters.globs),
            ),
            depth=root.question_exit,
            min_score=self._min_score,
            budget=budget,
            own_reader=True,
        )
        try:
            question = self._question(root)
            found = root.ask(question, options, self._filters.snippet_lines, self._withdrawn.is_set)
            self._foreign = not found.hits and not question.may_be_english
            return found
        except ModstarError as error:
            return FolderAnswer(message=str(error))


def _asked(roots: Sequence[Root], filters: Filters) -> dict[Root, tuple[str, ...]]:
    """The folders to search, and the subfolders of each that bound it, none for all of it."""
    if not filters.folders:
        return dict.fromkeys(roots, ())
    asked: dict[Root, tuple[str, ...]] = {}
    for uri in filters.folders:
        for root in roots:
            if root.uri.rstrip("/") == uri.rstrip("/"):
                asked[root] = ()
            elif (below := relative(root.folder, uri)) is not None and root not in asked:
                asked[root] = (below,)
    return asked


def _languages(named: Iterable[str]) -> frozenset[str]:
    names = [name.lower() for name in named]
    return frozenset(own for name in names for own in _EDITOR_LANGUAGES.get(name, (name,)))


def _merged(found: Sequence[FolderAnswer], limit: int) -> tuple[tuple[ClientHit, ...], ClientHit | None]:
    """The folders' answers as one list; their scores are probabilities and so compare."""
    if len(found) == 1:
        return found[0].hits, None if found[0].hits else found[0].closest
    best: dict[object, ClientHit] = {}
    for hit in sorted((hit for part in found for hit in part.hits), key=lambda hit: -hit.score):
        # A folder may lie within another, or be reached through a link as well.
        place = os.path.realpath(to_path(hit.uri) or hit.uri)
        best.setdefault((place, hit.range), hit)
    hits = tuple(hit._replace(rank=rank) for rank, hit in enumerate(list(best.values())[:limit], 1))
    candidates = [part.closest for part in found if part.closest is not None and not hits]
    return hits, max(candidates, key=lambda hit: hit.score, default=None)


def _message(
    hits: Sequence[ClientHit],
    closest: ClientHit | None,
    known: IndexState,
    found: Sequence[FolderAnswer],
    meant: str,
    left_out: Sequence[str],
    foreign: bool,
) -> str:
    from modstar_lsp.workspace.english import BEST_IN_ENGLISH

    parts = [part.message for part in found if part.message and (part.hits or not hits)][:1]
    if not hits:
        parts = parts or ["no good match"]
        if closest is not None:
            parts[0] = "no good match, the closest is shown"
        if meant:
            parts.append(f"did you mean {meant}?")
        if foreign:
            parts.append(BEST_IN_ENGLISH)
        parts += [f"not searched: {summary.partition(': ')[2]}" for summary in left_out]
    if known.state in ("starting", "indexing", "paused") and known.share < 1:
        word = "paused" if known.state == "paused" else "indexing"
        parts.append(f"{word}: {known.share:.0%} known")
    return "; ".join(parts)
