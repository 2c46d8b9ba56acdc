"""A question to a store: candidates from the engine, everything else as for a local index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.errors import QueryError, StoreError
from modstar_lsp.index.words.terms import DEFINES
from modstar_lsp.search import Options
from modstar_lsp.search.candidates import DENSE_CANDIDATES, FILE_CANDIDATES, LEXICAL_CANDIDATES, RARE
from modstar_lsp.search.lexical import weighted_forms
from modstar_lsp.search.query import analyse, name_parts
from modstar_lsp.search.search import question_vector
from modstar_lsp.stores.view import FoundView

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.search import Hit, Results
    from modstar_lsp.search.query import Query
    from modstar_lsp.stores.store import Entry, Store, StoreScope
    from modstar_lsp.workspace.description import Description
    from modstar_lsp.workspace.question import Question

# An engine's BM25 is not ours (it knows no inflections): so many times as many are fetched, and weighed here.
_SPARE = 3
# Chunks of the best files: the best of each should be among them.
_CHUNKS_A_FILE = 5
# Chunks that define a name of the question: it may be `main`.
_DEFINING = 200


class StoredPlace(NamedTuple):
    """A hit, the repository that it is in, and the exit that embedded it."""

    repository: str
    hit: Hit
    exit: int

    def described(self, question: Question) -> Description:
        """The hit without its lines. Where names are defined is known, so that the right line is named."""
        from modstar_lsp.workspace.description import Description

        hit = self.hit
        lines = [""] * (hit.end_line - hit.start_line + 1)
        for name, line in zip(hit.symbols, hit.symbol_lines, strict=False):
            if line <= hit.end_line:
                lines[line - hit.start_line] = name
        return Description.of(hit, lines, question.words())


class StoreAnswer(NamedTuple):
    """places: best first.  closest: what fell short when there are none.  results: as of a local index."""

    places: Sequence[StoredPlace]
    closest: StoredPlace | None
    results: Results


class _Nowhere:
    """Sources that are not at hand: a store holds no text."""

    def source(self, path: str) -> str:
        return ""

    def modified(self, path: str) -> float:
        return 0.0


def ask(
    store: Store, encoder: Encoder, question: Question, scope: StoreScope, options: Options
) -> StoreAnswer:
    """The places that answer best among what `scope` may see.

    Raises QueryError for what needs the text (phrases, words that must be missing, patterns, times), and for
    a model other than the one that filled the store; StoreError when the store fails.
    """
    _check(store, encoder, question, scope)
    wanted = question.filter
    if wanted is not None and wanted.languages:
        scope = scope._replace(languages=tuple(sorted({*scope.languages, *wanted.languages})))
    text = question.sought or question.text
    found = candidates(store, encoder, analyse(text), text, scope, options)
    results = question.put(found, encoder, options._replace(budget=0.0), _Nowhere())

    def place(hit: Hit) -> StoredPlace:
        entry = found.entries[hit.row]
        return StoredPlace(entry.repository, hit, entry.exit)

    closest = None if results.closest is None else place(results.closest)
    return StoreAnswer([place(hit) for hit in results.hits], closest, results)


def candidates(
    store: Store, encoder: Encoder, query: Query, text: str, scope: StoreScope, options: Options
) -> FoundView:
    """What may answer, of all kinds that a local index would find: see `search.candidates.pool`."""
    words: dict[str, float] = {}
    for term in dict.fromkeys((*query.terms, *query.spoken)):
        for form, weight in weighted_forms(term).items():
            words[form] = max(weight, words.get(form, 0.0))
    files = store.worded("files", scope, words, _SPARE * FILE_CANDIDATES)
    paths = list(dict.fromkeys(one.path for one in files))
    vector = question_vector(encoder, text, options.depth or 0)
    parts = [part for name in query.names for part in name_parts(name)]
    wholes = list(dict.fromkeys(part.strip("_").lower() for part in parts))
    defining = list(dict.fromkeys(DEFINES + part.lower() for part in parts))
    chunks: list[Sequence[Entry]] = [
        store.worded("chunks", scope, words, _SPARE * LEXICAL_CANDIDATES),
        store.worded("chunks", scope, words, _CHUNKS_A_FILE * len(paths), paths) if paths else [],
        store.nearest(scope, vector, _SPARE * DENSE_CANDIDATES),
        store.holding(scope, defining, _DEFINING),
        store.holding(scope, wholes, RARE + 1),
    ]
    return FoundView(store, scope, chain.from_iterable(chunks), files, encoder.bundle.indexed)


def _check(store: Store, encoder: Encoder, question: Question, scope: StoreScope) -> None:
    if question.code is not None:
        raise QueryError("a store answers sentences and names; find-similar needs a folder")
    wanted = question.filter
    if wanted is not None and (
        wanted.phrases or wanted.without or wanted.regexes or wanted.since is not None
    ):
        raise QueryError("a store holds no text: ask without phrases, -word, --regex and --since")
    there = [one for one in store.repositories(scope.labels) if scope.sees(one)]
    if not there:
        named = f" called {' or '.join(scope.repositories)}" if scope.repositories else ""
        raise StoreError(f"{store.url} has no repository{named} that carries {' or '.join(scope.labels)}")
    for one in there:
        if one.bundle != encoder.bundle.digest:
            raise StoreError(
                f"{one.name} in {store.url} was filled with another model: fill it with this one"
            )
