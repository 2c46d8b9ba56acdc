"""The repositories of an organisation -> a store: fetched ahead, filled side by side, what fails left out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from modstar_lsp.errors import ModstarError, reason
from modstar_lsp.stores.filling import Filled, Filling, Target
from modstar_lsp.stores.git import stop_all
from modstar_lsp.stores.pipeline import Failed, Outcome, ahead, fill_all
from modstar_lsp.stores.repositories import Checkout, NamedRepository, Unchanged, check_out

if TYPE_CHECKING:
    from modstar_lsp.encoder import Bundle
    from modstar_lsp.index.records import OnProgress
    from modstar_lsp.stores.store import Store, StoredRepository
    from modstar_lsp.stores.workers import Workers


class Manner(NamedTuple):
    """How all of them are filled. label, depth: see `Target`.  bounds: as `walk` takes them."""

    label: str
    depth: int
    bounds: dict[str, Any]


class _Fetching(NamedTuple):
    repository: NamedRepository
    noted: StoredRepository | None
    checkout: Future[Checkout | Unchanged]


def fill_repositories(
    store: Store,
    repositories: Sequence[NamedRepository],
    bundle: Bundle,
    manner: Manner,
    workers: Workers,
    progress: OnProgress | None = None,
) -> Iterator[Outcome]:
    """Brings what the store has of each up to date; what became of each, in their order.

    Raises StoreError when the store fails: what it holds is kept, and the same again goes on there.
    """
    # As many are fetched as are read: what they take on the disk is bounded like what they take in memory.
    count = max(1, workers.ahead)
    with tempfile.TemporaryDirectory(prefix="modstar-", ignore_cleanup_errors=True) as scratch:
        pool = ThreadPoolExecutor(count, "modstar-fetch")
        try:
            fetching = _begun(store, repositories, bundle, manner, pool, Path(scratch))
            yield from fill_all(_fillings(ahead(fetching, count), store, bundle, manner), workers, progress)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            pool.shutdown()


def _begun(
    store: Store,
    repositories: Iterable[NamedRepository],
    bundle: Bundle,
    manner: Manner,
    pool: ThreadPoolExecutor,
    scratch: Path,
) -> Iterator[_Fetching]:
    """Each repository as it begins to be fetched."""
    wanted = (manner.label, bundle.digest, manner.depth)
    for one in repositories:
        noted = store.noted(one.name)
        same = noted is not None and (noted.label, noted.bundle, noted.exit) == wanted
        known = noted.revision if noted is not None and same else ""
        yield _Fetching(one, noted, pool.submit(check_out, one, scratch, known, manner.bounds))


def _fillings(
    fetching: Iterable[_Fetching], store: Store, bundle: Bundle, manner: Manner
) -> Iterator[Filling | Outcome]:
    """What there is to do for each repository, once it is fetched."""
    for repository, noted, future in fetching:
        try:
            checkout = future.result()
        except ModstarError as error:
            yield _failed(repository, str(error))
        except OSError as error:
            yield _failed(repository, reason(error))
        else:
            if isinstance(checkout, Unchanged):
                assert noted is not None
                yield Filled(noted, current=True)
                continue
            target = Target(repository.name, manner.label, manner.depth)
            root, walked, revision, _ = checkout
            yield Filling(store, root, bundle, walked, target, revision, checkout.remove)


def _failed(repository: NamedRepository, why: str) -> Failed:
    return Failed(repository.name, why if str(repository) in why else f"{repository}: {why}")
