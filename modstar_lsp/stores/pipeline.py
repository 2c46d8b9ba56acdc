"""Many repositories into a store: parsed and embedded side by side, written by one, in their order.

What is under way at any moment is bounded by the workers, however many repositories there are. A text is
embedded once: what the store has, and what is being embedded for an earlier portion, is not embedded again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from modstar_lsp.errors import StoreError, reason
from modstar_lsp.index.records import Job, Progress
from modstar_lsp.stores.filling import Content, Filled, Filling, embed, parse_files
from modstar_lsp.stores.workers import Here, LostWorker, Wait, Workers

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index.records import OnProgress

# The store is made fast to find things in after so many portions: engines collect a file for each.
_OPTIMISED_AFTER = 64

T = TypeVar("T")


class Failed(NamedTuple):
    """A repository that could not be filled, and why, in one line."""

    name: str
    why: str


Outcome = Filled | Failed


class _Portion(NamedTuple):
    """Files that are being parsed; none at the end of their repository."""

    filling: Filling
    jobs: Sequence[Job]
    content: Wait


class _Parsed(NamedTuple):
    """A portion whose texts are being embedded. missing: those of them that nobody had before."""

    portion: _Portion
    content: Content
    missing: frozenset[str]
    vectors: Wait


def fill(filling: Filling, encoder: Encoder, progress: OnProgress | None = None) -> Filled:
    """Does in this process all that `filling` has to do. Raises StoreError, also when it cannot be done."""
    (outcome,) = fill_all([filling], Here(encoder), progress)
    if isinstance(outcome, Failed):
        raise StoreError(f"{outcome.name}: {outcome.why}")
    return outcome


def fill_all(
    fillings: Iterable[Filling | Outcome], workers: Workers, progress: OnProgress | None = None
) -> Iterator[Outcome]:
    """Does all that `fillings` have to do; what became of each, in their order, as they get done.

    What is an outcome already is passed on. Raises StoreError when the store fails: what it holds is kept.
    """
    under_way: set[str] = set()
    portions = ahead(_begun(fillings, workers), workers.ahead)
    done = written = 0
    store = None
    for one in ahead(_parsed(portions, workers, under_way), workers.ahead):
        if isinstance(one, _Portion):  # the end of a repository
            filling = one.filling
            done = 0
            filling.let_go()
            name = filling.target.name
            yield Failed(name, filling.failure) if filling.failure else filling.finish()
        elif isinstance(one, _Parsed):
            _write(one, workers)
            under_way -= one.missing
            store, jobs = one.portion.filling.store, one.portion.jobs
            done += len(jobs)
            written += 1
            if written % _OPTIMISED_AFTER == 0:
                store.optimise()
            if progress is not None:
                filling = one.portion.filling
                progress(Progress("store", done, filling.files, f"{filling.target.name}/{jobs[-1].path}"))
        else:
            yield one
    if store is not None:
        store.optimise()


def ahead(begun: Iterable[T], count: int) -> Iterator[T]:
    """The same, with `count` taken from `begun` ahead of who asks."""
    waiting: deque[T] = deque()
    for one in begun:
        waiting.append(one)
        if len(waiting) > count:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _begun(fillings: Iterable[Filling | Outcome], workers: Workers) -> Iterator[_Portion | Outcome]:
    """Every portion as it begins to be parsed, and after those of each repository its end."""
    for filling in fillings:
        if not isinstance(filling, Filling):
            yield filling
            continue
        for jobs in filling.portions():
            yield _Portion(filling, jobs, workers.submit(parse_files, filling.root, jobs, filling.target))
        yield _Portion(filling, (), lambda: None)


def _parsed(
    portions: Iterable[_Portion | Outcome], workers: Workers, under_way: set[str]
) -> Iterator[_Parsed | _Portion | Outcome]:
    """Every portion as its texts begin to be embedded. under_way: texts that are, for others before it."""
    for one in portions:
        if not isinstance(one, _Portion) or not one.jobs:
            yield one
            continue
        filling = one.filling
        content = None if filling.failure else _awaited(one.content, filling)
        if content is None:
            continue
        wanted = [key for key in content.texts if key not in under_way]
        known = filling.store.vectors(wanted) if wanted else {}
        content.vectors.update(known)
        missing = {key: content.texts[key] for key in wanted if key not in known}
        under_way.update(missing)
        depth = filling.target.depth
        begun = workers.submit(embed, missing, depth) if missing else dict
        yield _Parsed(one, content, frozenset(missing), begun)


def _write(parsed: _Parsed, workers: Workers) -> None:
    """Waits for the vectors of a portion, and writes it. Raises StoreError."""
    content, filling = parsed.content, parsed.portion.filling
    made = None if filling.failure else _awaited(parsed.vectors, filling)
    if made is None:
        return
    vectors = {**content.vectors, **made}
    # What was under way for portions before this one is in the store by now, unless they failed.
    rest = [key for key in content.texts if key not in vectors]
    vectors.update(filling.store.vectors(rest) if rest else {})
    lost = {key: content.texts[key] for key in rest if key not in vectors}
    if lost:
        again = _awaited(workers.submit(embed, lost, filling.target.depth), filling)
        if again is None:
            return
        vectors.update(again)
    filling.take(content, vectors, len(made) + len(lost) if content.texts else len(content.vectors))


def _awaited(wait: Wait, filling: Filling) -> Any:
    """What a worker gives; None when it could not, which `filling` then knows."""
    try:
        return wait()
    except LostWorker as error:
        filling.failure = str(error)
    except OSError as error:
        filling.failure = reason(error)
    return None
