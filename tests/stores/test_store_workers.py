"""Workers beside this process: the same vectors, each text once, and neither a worker's end nor the store's
loses anything."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modstar_lsp.encoder import Encoder
from modstar_lsp.errors import StoreError
from modstar_lsp.stores import pipeline
from modstar_lsp.stores.filling import Content, Filled, Filling, Target, parse_files
from modstar_lsp.stores.opening import open_store
from modstar_lsp.stores.organisation import Manner, fill_repositories
from modstar_lsp.stores.pipeline import Failed, Outcome
from modstar_lsp.stores.repositories import all_named
from modstar_lsp.stores.store import Store
from modstar_lsp.stores.workers import Here, LostWorker, Processes, Workers
from tests.cli.conftest import FILES, make_shell, write_files
from tests.cli.test_bad_input import one_line

pytest.importorskip("lancedb")

DEPTH = 4
BESIDE = ("processes", "ray")


def workers_of(engine: str, encoder: Encoder) -> Workers:
    """Two of the engine's workers; Ray's tests are run where Ray is installed, the others everywhere."""
    if engine == "here":
        return Here(encoder)
    if engine == "processes":
        return Processes(encoder.bundle, 2)
    ray = pytest.importorskip("ray")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # its workers cannot import this file
    from modstar_lsp.stores.ray_workers import RayWorkers

    return RayWorkers(encoder.bundle, 2)


@pytest.fixture(scope="module", params=BESIDE)
def workers(request: pytest.FixtureRequest, encoder: Encoder) -> Iterator[Workers]:
    made = workers_of(request.param, encoder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, a fork with one file changed, and a copy of a file within one of them."""
    folder = tmp_path_factory.mktemp("forks")
    write_files(folder / "shop", FILES)
    shutil.copytree(folder / "shop", folder / "fork")
    write_files(folder / "fork", {"src/shop/pool.py": "def drain_the_pool():\n    return 1\n"})
    return folder


def fill(
    folder: Path, names: Sequence[str], where: Path, encoder: Encoder, workers: Workers
) -> tuple[Store, list[Outcome]]:
    store = open_store(f"lance:{where}", encoder.bundle.indexed, write=True)
    manner = Manner("everyone", DEPTH, {"include": [], "exclude": [], "max_bytes": 1_000_000})
    repositories = all_named(str(folder / name) for name in names)
    return store, list(fill_repositories(store, repositories, encoder.bundle, manner, workers))


def vectors(store: Store) -> dict[tuple[str, str, int], bytes]:
    """All vectors of a store, bit by bit."""
    rows = store._table("chunks").to_arrow().to_pylist()  # type: ignore[attr-defined]
    return {(r["repository"], r["path"], r["position"]): repr(r["vector"]).encode() for r in rows}


@pytest.fixture(scope="module")
def alone(forks: Path, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Both filled in this process."""
    where = tmp_path_factory.mktemp("alone") / "store"
    store, (shop, fork) = fill(forks, ("shop", "fork"), where, encoder, Here(encoder))
    assert isinstance(shop, Filled) and isinstance(fork, Filled)
    distinct = len(set(embedded(store)))
    assert shop.embedded + fork.embedded == distinct, "every text once in the whole organisation"
    assert fork.embedded == 1 < shop.embedded and fork.changed == shop.changed
    return store


def embedded(store: Store) -> list[str]:
    return [row["embedded"] for row in store._table("chunks").to_arrow().to_pylist()]  # type: ignore[attr-defined]


def test_two_workers_make_the_same_vectors_and_embed_each_text_once(
    alone: Store,
    forks: Path,
    encoder: Encoder,
    workers: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, outcomes = fill(forks, ("shop", "fork"), tmp_path / "store", encoder, workers)
    made = [one.embedded for one in outcomes if isinstance(one, Filled)]
    assert made == [len(set(embedded(alone))) - 1, 1]
    assert vectors(store) == vectors(alone)
    _, outcomes = fill(forks, ("shop", "fork"), tmp_path / "store", encoder, workers)
    assert [(one.changed, one.embedded) for one in outcomes if isinstance(one, Filled)] == [(0, 0), (0, 0)]


def test_another_model_or_exit_is_another_vector(alone: Store, forks: Path, encoder: Encoder) -> None:
    jobs = next(
        Filling(alone, forks / "shop", encoder.bundle, _walk(forks / "shop"), Target("x", "", 4)).portions()
    )
    at_four = parse_files(encoder, forks / "shop", jobs, Target("x", "everyone", DEPTH)).texts
    assert set(at_four) <= set(alone.vectors(list(at_four)))
    assert not alone.vectors(
        list(parse_files(encoder, forks / "shop", jobs, Target("x", "everyone", 6)).texts)
    )
    other = Encoder(encoder.bundle._replace(digest="another"))
    assert not alone.vectors(
        list(parse_files(other, forks / "shop", jobs, Target("x", "everyone", DEPTH)).texts)
    )


def _walk(root: Path) -> Any:
    from modstar_lsp.files import walk

    return walk(root)


def name_of(encoder: Encoder) -> str:
    return encoder.bundle.name


def die_once(encoder: Encoder, mark: Path) -> str:
    """Work that ends its process the first time."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"done with {encoder.bundle.name}"


def die(encoder: Encoder, *arguments: object) -> Content:
    """Work that ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal there")
def test_a_killed_worker_is_survived_by_its_work_and_by_others(
    workers: Workers, encoder: Encoder, tmp_path: Path
) -> None:
    waits = [workers.submit(die_once, tmp_path / f"mark{n}") for n in range(2)]
    assert {wait() for wait in waits} == {f"done with {encoder.bundle.name}"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal there")
def test_a_repository_that_kills_every_worker_fails_alone(
    workers: Workers, encoder: Encoder, forks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = workers.submit

    def poisoned(work: Any, *arguments: Any) -> Any:
        poison = work is parse_files and arguments[0].name == "shop"
        return submit(die if poison else work, *arguments)

    monkeypatch.setattr(workers, "submit", poisoned)
    store, (shop, fork) = fill(forks, ("shop", "fork"), tmp_path / "store", encoder, workers)
    assert isinstance(shop, Failed) and "worker" in shop.why
    assert isinstance(fork, Filled) and fork.repository.files == fork.changed > 0
    assert [one.name for one in store.repositories(["everyone"])] == ["fork"]
    with pytest.raises(LostWorker):
        submit(die)()


@pytest.mark.parametrize(
    "error", [ValueError("bad value(s) in fds_to_keep"), OSError(9, "Bad file descriptor")]
)
def test_a_worker_that_cannot_be_started_while_another_ends_is_started_anew(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As the pool's pipes go with a worker that is killed, now and then on a busy machine."""
    made = Processes(encoder.bundle, 1)

    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(made._pool, "submit", fail)  # of the pool that is there, not of the next one
    try:
        assert made.submit(name_of)() == encoder.bundle.name
    finally:
        made.close()


@pytest.mark.parametrize("when", ["chunks", "files", "repositories"])
def test_a_store_that_fails_is_one_error_and_keeps_what_it_holds(
    workers: Workers,
    encoder: Encoder,
    forks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """when: the table whose disk is full: before anything, between chunks and files, at the end."""
    from modstar_lsp.stores.lance import LanceStore

    fill(forks, ("shop",), tmp_path / "store", encoder, workers)
    made = LanceStore._made
    with monkeypatch.context() as patched:

        def full(self: LanceStore, name: str, schema: Any) -> Any:
            if name == when:
                raise OSError(28, "No space left on device")
            return made(self, name, schema)

        patched.setattr(LanceStore, "_made", full)
        with pytest.raises(StoreError, match="No space left") as caught:
            fill(forks, ("fork",), tmp_path / "store", encoder, workers)
        assert "\n" not in str(caught.value)
    store, (fork,) = fill(forks, ("fork",), tmp_path / "store", encoder, workers)
    assert isinstance(fork, Filled) and fork.repository.files == 7
    assert sorted(one.name for one in store.repositories(["everyone"])) == ["fork", "shop"]
    rows = vectors(store)
    assert len(rows) == len(embedded(store)), "none is there twice"


def test_what_is_under_way_is_bounded(encoder: Encoder, forks: Path, tmp_path: Path) -> None:
    begun, most = 0, 0

    class Counting(Here):
        ahead = 2

        def submit(self, work: Any, *arguments: Any) -> Any:
            nonlocal begun, most
            begun += 1
            most = max(most, begun)
            wait = super().submit(work, *arguments)

            def waited() -> Any:
                nonlocal begun
                begun -= 1
                return wait()

            return waited

    names = [f"copy{n}" for n in range(12)]
    for name in names:
        shutil.copytree(forks / "fork", tmp_path / name)
    fill(tmp_path, names, tmp_path / "store", encoder, Counting(encoder))
    assert 2 < most <= 2 * Counting.ahead + 2


def test_two_processes_fill_as_somebody_types_it(forks: Path, tmp_path: Path) -> None:
    shell = make_shell(tmp_path, forks)
    told = shell.index("shop", "fork", "--store", f"lance:{tmp_path / 'store'}", "--workers", "2")
    assert (told.status, told.err) == (0, "")
    assert [line.split(":")[0] for line in told.out.splitlines()] == ["shop", "fork"]


def test_without_ray_a_line_names_the_extra(forks: Path, tmp_path: Path) -> None:
    shell = make_shell(tmp_path, forks)
    gone = "import sys; sys.modules['ray'] = None"
    one_line(
        shell.index("shop", "--store", f"lance:{tmp_path / 's'}", "--engine", "ray", program=gone),
        2,
        ".[ray]",
    )


def test_ahead_takes_so_many_and_keeps_the_order() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(6):
            taken.append(number)
            yield number

    seen = []
    for number in pipeline.ahead(numbers(), 2):
        assert len(taken) - number <= 3
        seen.append(number)
    assert seen == taken == list(range(6))
