"""Hints on definitions that say nearly the same as another one. Opt-in.

Similar code is found by meaning, then compared word by word: a hint is a claim, so it rests on what can be
seen. A document is looked at when it is opened or saved, and again once its folder is indexed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lsprotocol import types

from modstar_lsp.chunking import Outlined, outline
from modstar_lsp.errors import ModstarError
from modstar_lsp.server.features.likeness import alike, shared, words_of
from modstar_lsp.server.features.places import lsp_range
from modstar_lsp.server.positions import Encoding, Lines, Span
from modstar_lsp.server.protocol import ClientHit, Filters, SimilarRequest

if TYPE_CHECKING:
    from modstar_lsp.server.documents import Document
    from modstar_lsp.server.session import Session

# Shorter definitions are alike without having been copied: getters, delegates, empty overrides.
MIN_WORDS = 30
# A copy is found first or not at all.
_CANDIDATES = 5
# Documents with more definitions than this are generated, or a table.
_MOST_DEFINITIONS = 400
SOURCE, CODE = "modstar", "near-duplicate"

Publish = Callable[[types.PublishDiagnosticsParams], None]


class _Place(NamedTuple):
    """A definition: where its name stands, where it stands, its words."""

    title: str
    name: Span
    code: Span
    words: list[str]


class _Copy(NamedTuple):
    """Another definition, and how alike the two are, 0..1."""

    uri: str
    path: str
    place: _Place
    alike: float


class Duplicates:
    """Publishes hints for the open documents while the setting is on. Used on the event loop only."""

    def __init__(self, session: Session, publish: Publish) -> None:
        self._session = session
        self._publish = publish
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._shown: set[str] = set()

    def opened(self, uri: str) -> None:
        """A document was opened or saved: look for copies of what it defines."""
        self._look(uri)

    saved = opened

    def changed(self, uri: str) -> None:
        """What is being looked for would be out of place; hints that are shown move with the text."""
        self._stop(uri)

    def closed(self, uri: str) -> None:
        """A document was closed: its hints go."""
        self._stop(uri)
        self._clear(uri)

    def indexed(self) -> None:
        """More is known than before: all open documents are looked at again."""
        for document in self._session.documents.documents():
            self._look(document.uri)

    settings_changed = indexed

    def _look(self, uri: str) -> None:
        self._stop(uri)
        if not self._session.settings.duplicates_enabled:
            self._clear(uri)
            return
        task = asyncio.get_running_loop().create_task(self._show(uri))
        self._looking[uri] = task
        task.add_done_callback(lambda done: self._done(uri, done))

    def _done(self, uri: str, task: asyncio.Task[None]) -> None:
        if self._looking.get(uri) is task:
            del self._looking[uri]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # the loop's handler logs it

    def _stop(self, uri: str) -> None:
        task = self._looking.pop(uri, None)
        if task is not None:
            task.cancel()

    def _clear(self, uri: str) -> None:
        if uri in self._shown:
            self._shown.discard(uri)
            self._publish(types.PublishDiagnosticsParams(uri=uri, diagnostics=[]))

    async def _show(self, uri: str) -> None:
        document = self._session.documents.get(uri)
        if document is None or self._session.root_of(uri) is None:
            return
        version = document.version
        try:
            found = await duplicates(self._session, document)
        except ModstarError:
            return  # no index to compare with: `indexed` comes later
        if document.version != version or (not found and uri not in self._shown):
            return
        self._shown.add(uri)
        self._publish(types.PublishDiagnosticsParams(uri=uri, version=version, diagnostics=found))


async def duplicates(session: Session, document: Document) -> list[types.Diagnostic]:
    """A hint for each definition of the document that has a near-duplicate."""
    least = session.settings.duplicates_min_score
    places = await session.in_pool(_places, document.uri, document.text, session.encoding)
    hints = []
    for place in places[:_MOST_DEFINITIONS]:
        request = SimilarRequest(
            document.uri, place.code, filters=Filters(_CANDIDATES, min_score=0.0, snippet_lines=0)
        )
        answer = await session.similar(request)
        copies = await session.in_pool(_copies, session, place, answer.hits, least)
        if copies:
            hints.append(_hint(place, copies))
    return hints


def _places(uri: str, text: str, encoding: Encoding) -> list[_Place]:
    """The definitions of a text that are long enough."""
    lines = Lines(text)
    return [
        place
        for found in outline(uri, text)
        if len((place := _place(lines, found, encoding)).words) >= MIN_WORDS
    ]


def _place(lines: Lines, found: Outlined, encoding: Encoding) -> _Place:
    first, last = found.start_line, found.end_line
    return _Place(
        ".".join(part for part in (found.scope, found.name) if part),
        lines.named(first, last, found.name.rpartition(".")[2], encoding),
        lines.whole(first, last, encoding),
        words_of(lines, first, last),
    )


def _copies(session: Session, place: _Place, hits: Sequence[ClientHit], least: float) -> list[_Copy]:
    """The definitions at `hits` that are at least so much alike, the most alike first."""
    found = []
    for hit in hits:
        try:
            lines = session.lines(hit.uri)
        except ModstarError:
            continue  # gone since it was indexed
        (first, _), (last, _) = hit.range
        if shared(place.words, words_of(lines, first + 1, last + 1)) < least / 2:
            continue  # not worth parsing: the hit may hold a part of a copy only, but not so small a one
        for other in _places(hit.path, "".join(lines.lines), session.encoding):
            (start, _), (end, _) = other.code
            if start <= last and end >= first and (same := alike(place.words, other.words, least)):
                found.append(_Copy(hit.uri, hit.path, other, same))
    return sorted(found, key=lambda copy: -copy.alike)


def _hint(place: _Place, copies: Sequence[_Copy]) -> types.Diagnostic:
    best = copies[0]
    where = f"{best.path}:{best.place.name[0][0] + 1}"
    return types.Diagnostic(
        range=lsp_range(place.name),
        severity=types.DiagnosticSeverity.Hint,
        source=SOURCE,
        code=CODE,
        message=f"{best.alike:.0%} the same as {best.place.title} in {where}",
        related_information=[
            types.DiagnosticRelatedInformation(
                location=types.Location(uri=copy.uri, range=lsp_range(copy.place.name)),
                message=f"{copy.place.title}, {copy.alike:.0%} the same",
            )
            for copy in copies
        ],
    )
