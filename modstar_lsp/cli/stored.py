"""A store of many repositories, filled and asked: `modstar-index --store`, `modstar-query --store`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from modstar_lsp.cli import indexing
from modstar_lsp.cli.process import FOUND, NOTHING, complain
from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.cli.terminal import say, say_json, style
from modstar_lsp.errors import QueryError, WorkspaceError
from modstar_lsp.workspace.question import Question

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.search import Options
    from modstar_lsp.stores.asking import StoreAnswer, StoredPlace
    from modstar_lsp.stores.filling import Filled, Filling
    from modstar_lsp.stores.store import StoreScope
    from modstar_lsp.workspace.description import Description


def fill_store(paths: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Bring what the store has of some folders up to date, and say in a line each what that was."""
    roots = _roots(paths, arguments)
    from modstar_lsp.encoder import Encoder, open_bundle
    from modstar_lsp.files import walk
    from modstar_lsp.files.kinds import MAX_BYTES
    from modstar_lsp.stores.filling import Filling
    from modstar_lsp.stores.opening import open_store
    from modstar_lsp.stores.store import EVERYONE

    encoder = Encoder(open_bundle(arguments.bundle))
    depth = arguments.exit or 0
    encoder.bundle.exit(depth)  # a wrong exit is told before the work begins
    store = open_store(arguments.store, encoder.bundle.indexed, write=True)
    most = arguments.max_file_bytes or MAX_BYTES

    def filling(name: str) -> Filling:
        found = walk(roots[name], include=arguments.include, exclude=arguments.exclude, max_bytes=most)
        return Filling(store, roots[name], encoder.bundle, found, name, arguments.label or EVERYONE, depth)

    begin = time.monotonic()
    fillings = map(filling, roots)
    for filled in _with_bar(fillings, encoder, arguments.quiet):
        _tell(filled, time.monotonic() - begin, arguments)
        begin = time.monotonic()
    return FOUND


def _roots(paths: Sequence[Path], arguments: argparse.Namespace) -> Mapping[str, Path]:
    """The folders by what their repositories are called. Raises QueryError and WorkspaceError."""
    if any(
        getattr(arguments, option) for option in ("dry_run", "watch", "status", "clear", "export", "shared")
    ):
        raise QueryError("--store fills a store: it goes with nothing that is instead of indexing once")
    if arguments.repository and len(paths) > 1:
        raise QueryError("--repository names one folder: give one, or leave it out")
    roots: dict[str, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise WorkspaceError(f"{path}: no such folder")
        root = path.resolve()
        name = arguments.repository or root.name
        if name in roots:
            raise QueryError(f"{roots[name]} and {root} would both be {name}: fill one with --repository")
        roots[name] = root
    return roots


def _with_bar(fillings: Iterable[Filling], encoder: Encoder, quiet: bool) -> Iterator[Filled]:
    from modstar_lsp.stores.filling import fill

    for filling in fillings:
        with ProgressBar(quiet=quiet) as bar:
            filled = fill(filling, encoder, bar)
        yield filled


def _tell(filled: Filled, seconds: float, arguments: argparse.Namespace) -> None:
    there = filled.repository
    if arguments.json:
        told = {"changed": filled.changed, "removed": filled.removed, "embedded": filled.embedded}
        say_json({"store": arguments.store, **there._asdict(), **told, "seconds": round(seconds, 3)})
    elif not arguments.quiet:
        say(
            f"{there.name}: {indexing.count(there.files, 'file')}; {indexing.count(there.chunks, 'chunk')}; "
            f"{filled.changed:,} new or changed, {filled.removed:,} removed; {indexing.duration(seconds)}"
        )


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
    options = Options(arguments.k, (bounds,), min_score=arguments.min_score, depth=arguments.exit or 0)
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
        say(header(f"{place.repository}/{place.hit.path}", _described(place, question), look))
        if arguments.explain:
            say("  " + look.paint(look.dim, explained(place.hit)))


def _described(place: StoredPlace, question: Question) -> Description:
    from modstar_lsp.workspace.description import Description

    # There is no text; where names are defined is known, so that the right line is named.
    hit = place.hit
    lines = [""] * (hit.end_line - hit.start_line + 1)
    for name, line in zip(hit.symbols, hit.symbol_lines, strict=False):
        if line <= hit.end_line:
            lines[line - hit.start_line] = name
    return Description.of(hit, lines, question.words())


def _encoded(place: StoredPlace, question: Question, arguments: SimpleNamespace) -> dict[str, Any]:
    form = _described(place, question).encoded(text=False, explain=arguments.explain)
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
