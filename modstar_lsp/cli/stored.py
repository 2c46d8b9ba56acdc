"""A store of many repositories, filled and asked: `modstar-index --store`, `modstar-query --store`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from modstar_lsp.allowance import usable_cores
from modstar_lsp.cli import indexing
from modstar_lsp.cli.process import ERROR, FOUND, NOTHING, complain
from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.cli.terminal import say, say_json, style
from modstar_lsp.errors import ModstarError, QueryError, WorkspaceError
from modstar_lsp.printable import clean
from modstar_lsp.workspace.question import Question

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.search import Options
    from modstar_lsp.stores.asking import StoreAnswer, StoredPlace
    from modstar_lsp.stores.filling import Filled
    from modstar_lsp.stores.repositories import NamedRepository
    from modstar_lsp.stores.store import StoreScope
    from modstar_lsp.stores.workers import Workers


def fill_store(program: str, arguments: argparse.Namespace) -> int:
    """Bring what the store has of some repositories up to date, and say in a line each what that was.

    One that cannot be read is a line on stderr, and the others are filled all the same; the status is 2 then.
    """
    _check_alone(arguments)
    from modstar_lsp.encoder import Encoder, open_bundle
    from modstar_lsp.files.kinds import MAX_BYTES
    from modstar_lsp.stores.opening import filling_alone, open_store
    from modstar_lsp.stores.organisation import Manner, fill_repositories
    from modstar_lsp.stores.pipeline import Failed
    from modstar_lsp.stores.store import EVERYONE

    repositories = _repositories(arguments)
    encoder = Encoder(open_bundle(arguments.bundle and arguments.bundle.absolute()))
    depth = arguments.exit or 0
    encoder.bundle.exit(depth)  # a wrong exit is told before the work begins
    store = open_store(arguments.store, encoder.bundle.indexed, write=True)
    bounds = {
        "include": arguments.include,
        "exclude": arguments.exclude,
        "max_bytes": arguments.max_file_bytes or MAX_BYTES,
    }
    manner = Manner(arguments.label or EVERYONE, depth, bounds)
    status = FOUND
    with (
        filling_alone(store),
        _workers(encoder, arguments) as workers,
        ProgressBar(quiet=arguments.quiet) as bar,
    ):
        begin = time.monotonic()
        for outcome in fill_repositories(store, repositories, encoder.bundle, manner, workers, bar):
            if isinstance(outcome, Failed):
                complain(
                    program, outcome.why if outcome.name in outcome.why else f"{outcome.name}: {outcome.why}"
                )
                status = ERROR
            else:
                _tell(outcome, time.monotonic() - begin, arguments)
            begin = time.monotonic()
    return status


def _check_alone(arguments: argparse.Namespace) -> None:
    instead = ("dry_run", "watch", "status", "clear", "export", "shared")
    if any(getattr(arguments, option) for option in instead):
        raise QueryError("--store fills a store: it goes with nothing that is instead of indexing once")


def _repositories(arguments: argparse.Namespace) -> Sequence[NamedRepository]:
    """What is to be filled. Raises QueryError and WorkspaceError."""
    from modstar_lsp.stores.repositories import all_named, listed

    texts = [*arguments.paths, *(text for file in arguments.lists for text in listed(file))]
    if not texts and not arguments.lists:
        texts = [str(indexing.chosen_root(None))]
    if arguments.repository and len(texts) > 1:
        raise QueryError("--repository names one repository: give one, or leave it out")
    return all_named(texts, arguments.repository)


@contextmanager
def _workers(encoder: Encoder, arguments: argparse.Namespace) -> Iterator[Workers]:
    """Who does the work. Raises WorkspaceError when Ray is not installed, or does not start."""
    from modstar_lsp.stores.workers import Here, Processes

    workers: Workers
    count = arguments.workers
    if arguments.engine is None and not count:
        workers = Here(encoder)
    else:
        # What others start looks for modules in the current folder: it must not be a workspace.
        os.chdir(Path(sys.executable).parent)
        if arguments.engine == "ray":
            workers = _ray(encoder, count or usable_cores())
        else:
            workers = Processes(encoder.bundle, count)
    try:
        yield workers
    finally:
        workers.close()


def _ray(encoder: Encoder, count: int) -> Workers:
    try:
        from modstar_lsp.stores.ray_workers import RayWorkers
    except ImportError as error:
        missing = error.name or "ray"
        raise WorkspaceError(f"{missing} is missing: pip install '.[ray]' in the clone brings it") from None
    return RayWorkers(encoder.bundle, count)


def _tell(filled: Filled, seconds: float, arguments: argparse.Namespace) -> None:
    there = filled.repository
    if arguments.json:
        told = {"changed": filled.changed, "removed": filled.removed, "embedded": filled.embedded}
        say_json({"store": arguments.store, **there._asdict(), **told, "seconds": round(seconds, 3)})
    elif not arguments.quiet:
        what = f"{filled.changed:,} new or changed, {filled.removed:,} removed; {indexing.duration(seconds)}"
        files, chunks = indexing.count(there.files, "file"), indexing.count(there.chunks, "chunk")
        say(f"{clean(there.name)}: {files}; {chunks}; {'up to date' if filled.current else what}")


def query(program: str, arguments: SimpleNamespace) -> int:
    """Ask the store, and print the places: it has no text, so none is shown."""
    if arguments.similar is not False or len(arguments.words) != 1:
        raise QueryError('a store is asked one question, without a folder: --store URL "what the code does"')
    from modstar_lsp.encoder import Encoder, open_bundle
    from modstar_lsp.stores.asking import ask
    from modstar_lsp.stores.opening import open_store

    question = Question.of_text(arguments.words[0])
    scope, options = _bounds(arguments)
    encoder = Encoder(open_bundle(arguments.bundle))
    store = open_store(arguments.store, encoder.bundle.indexed)
    answer = ask(store, encoder, question, scope, options)
    _show(answer, question, arguments)
    if not answer.places and not arguments.json:
        complain(program, _why_nothing(answer, question))
    return FOUND if answer.places else NOTHING


def show_beside(
    program: str, arguments: SimpleNamespace, question: Question, encoder: Encoder, here: Sequence[Path]
) -> int:
    """Print what the store has besides the folders that were searched; how many places that is."""
    from modstar_lsp.stores.beside import StoreBeside

    scope, options = _bounds(arguments)
    store = StoreBeside(arguments.store, arguments.label, lambda: encoder)
    try:
        answer = store.ask(question, options, here, scope.repositories, scope.languages)
    except ModstarError as error:
        complain(program, str(error))
        return 0
    if answer is None:
        return 0
    _show(answer, question, arguments)
    return len(answer.places)


def _bounds(arguments: SimpleNamespace) -> tuple[StoreScope, Options]:
    """(what the store looks at, what of that counts). Raises QueryError."""
    if arguments.regex or arguments.since is not None:
        raise QueryError("a store holds no text and no times: ask without --regex and --since")
    from modstar_lsp.search import Options
    from modstar_lsp.search.filters import Filter
    from modstar_lsp.stores.store import EVERYONE, StoreScope

    bounds = Filter(
        not_languages=frozenset().union(*arguments.not_lang),
        globs=(*arguments.glob, *(f"!{glob}" for glob in arguments.exclude)),
        contents=frozenset(arguments.contents),
    )
    options = Options(arguments.k, (bounds,), min_score=arguments.min_score, depth=arguments.exit)
    languages = tuple(sorted(frozenset().union(*arguments.lang)))
    return StoreScope((EVERYONE, *arguments.label), tuple(arguments.repository), languages), options


def _show(answer: StoreAnswer, question: Question, arguments: SimpleNamespace) -> None:
    from modstar_lsp.cli.output import explained, header

    if arguments.json:
        closest = None if answer.closest is None else _encoded(answer.closest, question, arguments)
        hits = [_encoded(place, question, arguments) for place in answer.places]
        say_json({"query": question.text, "store": arguments.store, "hits": hits, "closest": closest})
        return
    look = style(arguments.color, sys.stdout)
    for place in answer.places:
        say(header(f"{place.repository}/{place.hit.path}", place.described(question), look))
        if arguments.explain:
            say("  " + look.paint(look.dim, explained(place.hit)))


def _encoded(place: StoredPlace, question: Question, arguments: SimpleNamespace) -> dict[str, Any]:
    form = place.described(question).encoded(text=False, explain=arguments.explain)
    return {"repository": place.repository, **form}


def _why_nothing(answer: StoreAnswer, question: Question) -> str:
    """One line for a question without hits."""
    if answer.results.note:
        return answer.results.note
    message = f"no good match for {question}"
    if answer.closest is None:
        return message
    hit = answer.closest.hit
    place = f"{answer.closest.repository}/{hit.path}:{hit.start_line}"
    return f"{message}; the closest is {place}, {hit.score:.2f} (--min-score 0 shows it)"
