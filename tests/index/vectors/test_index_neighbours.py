"""The nearest-neighbour graph: the exact scan's answers, and no trust in a file that may be damaged."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from index_fakes import FakeBundle, Tree

from modstar_lsp.index import Index, Snapshot
from modstar_lsp.index.store.database import FORMAT
from modstar_lsp.index.vectors import neighbours

pytest.importorskip("hnswlib")

GRAPH = f"graph-{FORMAT}-{FakeBundle().digest}.bin"


def functions(prefix: str, count: int) -> str:
    chance = random.Random(prefix)
    words = [
        f"{a}{b}" for a in ("load", "save", "parse", "send", "merge") for b in ("file", "tree", "key", "row")
    ]
    return "".join(
        f"def {prefix}_{number}(value):\n"
        + "".join(f"    {chance.choice(words)} = {chance.choice(words)}(value)\n" for _ in range(10))
        + "\n\n"
        for number in range(count)
    )


@pytest.fixture
def large(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that counts as large enough for a graph."""
    monkeypatch.setattr("modstar_lsp.index.index.EXACT_SCAN_LIMIT", 100)
    for number in range(4):
        tree.write(f"part{number}.py", functions(f"part{number}", 150))
    with tree.open() as index:
        tree.refresh(index)
        yield index


def probes(tree: Tree) -> list[np.ndarray]:
    texts = [
        "parse the tree and save the file",
        "send key",
        "merge row value load",
        "part2 17 loadkey parsetree",
    ]
    return list(tree.encoder.encode(texts))


def exact(snapshot: Snapshot, query: np.ndarray, k: int) -> list[int]:
    return snapshot.nearest(query, k, np.arange(snapshot.n, dtype=np.int32))[0].tolist()


def recall(snapshot: Snapshot, tree: Tree, k: int = 10) -> float:
    shares = []
    for query in probes(tree):
        rows, cosines = snapshot.nearest(query, k)
        assert len(set(rows.tolist())) == len(rows) == min(k, snapshot.n)
        assert np.array_equal(cosines, snapshot.cosines(query, rows))
        assert (np.diff(cosines) <= 0).all()
        shares.append(len(set(rows.tolist()) & set(exact(snapshot, query, k))) / k)
    return float(np.mean(shares))


def test_a_small_index_needs_no_graph(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        assert not index.build_graph()
        assert not (sources.folder / GRAPH).exists()


def test_a_graph_finds_what_the_scan_finds(large: Index, tree: Tree) -> None:
    steps = []
    assert large.build_graph(progress=steps.append)
    shares = [step.share for step in steps]
    assert shares == sorted(shares) and shares[-1] < 1, "it has not ended when all are added"
    assert steps[-1].done == steps[-1].total > 200
    with large.snapshot() as snapshot:
        assert recall(snapshot, tree) >= 0.95
        assert recall(snapshot, tree, 100) >= 0.9


def test_another_process_takes_it_from_the_file(large: Index, tree: Tree) -> None:
    large.build_graph()
    with tree.open() as other:
        assert other.load_graph()
        with other.snapshot() as snapshot, large.snapshot() as same:
            for query in probes(tree):
                assert snapshot.nearest(query, 10)[0].tolist() == same.nearest(query, 10)[0].tolist()


def test_the_file_is_a_fraction_of_the_vectors(large: Index, tree: Tree) -> None:
    large.build_graph()
    with large.snapshot() as snapshot:
        assert (tree.folder / GRAPH).stat().st_size < 200 * snapshot.n
    assert large.status().bytes > (tree.folder / GRAPH).stat().st_size


def test_what_changed_since_is_found_beside_the_graph(large: Index, tree: Tree) -> None:
    large.build_graph()
    tree.write("new.py", functions("brand_new", 20))
    tree.remove("part3.py")
    tree.refresh(large)
    large.deepen(tree.encoder, 4, order=range(15))
    with large.snapshot() as snapshot:
        assert recall(snapshot, tree) >= 0.95
        query = tree.encoder.encode(["def brand_new_3(value): brand new 3"])[0]
        best = snapshot.chunks(snapshot.nearest(query, 3)[0])
        assert any(chunk.path == "new.py" for chunk in best)
        rows, _ = snapshot.nearest(query, 400)
        assert all(chunk.path != "part3.py" for chunk in snapshot.chunks(rows))


def test_a_graph_that_fits_is_not_built_again(large: Index, tree: Tree) -> None:
    large.build_graph()
    assert large.build_graph(progress=lambda step: pytest.fail("built again"))
    for number in range(4):
        tree.write(f"part{number}.py", functions(f"other{number}", 150))
    tree.refresh(large)
    steps = []
    assert large.build_graph(progress=steps.append)
    assert steps


def test_a_cancelled_graph_is_not_kept(large: Index, tree: Tree) -> None:
    assert not large.build_graph(cancelled=lambda: True)
    assert not (tree.folder / GRAPH).exists()


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_graph_is_not_used(large: Index, tree: Tree, seed: int) -> None:
    large.build_graph()
    file = tree.folder / GRAPH
    content = bytearray(file.read_bytes())
    chance = random.Random(seed)
    if seed % 2:
        for _ in range(50):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    else:
        del content[chance.randrange(len(content)) :]
    file.write_bytes(content)
    with tree.open() as other:
        assert not other.load_graph()
        with other.snapshot() as snapshot:
            assert recall(snapshot, tree) == 1.0
        assert other.build_graph()
    with tree.open() as third:
        assert third.load_graph()


@pytest.mark.parametrize(
    "change", [{"dimension": 64}, {"bundle": "x"}, {"numbering": "x"}, {"width": 0}, {"sha256": ""}]
)
def test_a_record_that_does_not_fit_is_not_believed(
    large: Index, tree: Tree, change: dict[str, object]
) -> None:
    large.build_graph()
    record = tree.folder / f"{GRAPH}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **change}))
    with tree.open() as other:
        assert not other.load_graph()


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "null"])
def test_a_record_of_nonsense_is_not_believed(large: Index, tree: Tree, content: str) -> None:
    large.build_graph()
    (tree.folder / f"{GRAPH}.json").write_text(content)
    with tree.open() as other:
        assert not other.load_graph()


def test_a_graph_of_other_links_under_a_true_digest_does_not_fit(large: Index, tree: Tree) -> None:
    """A file from another index of the same size: the numbers in it are not ours, but nothing crashes."""
    large.build_graph()
    files = {name: (tree.folder / name).read_bytes() for name in (GRAPH, f"{GRAPH}.json")}
    large.clear()
    tree.write("part0.py", functions("part0", 10))
    tree.refresh(large)
    for name, content in files.items():
        (tree.folder / name).write_bytes(content)
    with tree.open() as other, other.snapshot() as snapshot:
        other.load_graph()
        recall(snapshot, tree)


def test_without_hnswlib_the_scan_answers(large: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "can_build", lambda: False)
    assert not large.build_graph()
    with large.snapshot() as snapshot:
        assert recall(snapshot, tree) == 1.0


def test_a_graph_that_finds_too_little_is_not_used_nor_built_again(
    large: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_RECALL", 1.1)
    assert not large.build_graph()
    with tree.open() as other:
        assert not other.build_graph(progress=lambda step: pytest.fail("built again"))
        assert not other.load_graph()
        with other.snapshot() as snapshot:
            assert recall(snapshot, tree) == 1.0
    monkeypatch.undo()
    monkeypatch.setattr("modstar_lsp.index.index.EXACT_SCAN_LIMIT", 100)
    for number in range(4):
        tree.write(f"part{number}.py", functions(f"other{number}", 300))
    tree.refresh(large)
    assert large.build_graph()


def test_of_more_chunks_than_it_is_good_for_no_graph_is_built_and_an_old_one_goes(
    large: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert large.build_graph() and (tree.folder / GRAPH).is_file()
    monkeypatch.setattr("modstar_lsp.index.index.GRAPH_LIMIT", 200)
    with tree.open() as other:
        assert not other.load_graph()
        assert not other.build_graph(progress=lambda step: pytest.fail("built"))
        with other.snapshot() as snapshot:
            assert recall(snapshot, tree) == 1.0
    assert not [file for file in tree.folder.iterdir() if file.name.startswith("graph")]


def test_a_process_that_asks_often_uses_the_graph(large: Index, tree: Tree) -> None:
    large.build_graph()
    with tree.open() as other, other.snapshot() as snapshot:
        query = probes(tree)[0]
        for _ in range(60):
            snapshot.nearest(query, 10)
        (tree.folder / GRAPH).unlink()
        assert other.load_graph()


def test_questions_go_on_while_the_graph_is_loaded(
    large: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert large.build_graph()
    begun, go_on = threading.Event(), threading.Event()
    load = neighbours.load_graph

    def slowly(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return load(*arguments)

    monkeypatch.setattr(neighbours, "load_graph", slowly)
    with tree.open(write=False) as reader:
        loading = threading.Thread(target=reader.load_graph)
        loading.start()
        assert begun.wait(60)
        with reader.snapshot() as snapshot:
            assert recall(snapshot, tree) == 1.0
        go_on.set()
        loading.join()
        assert reader.load_graph()
