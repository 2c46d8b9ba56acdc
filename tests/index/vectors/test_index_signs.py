"""Of many vectors the signs tell which are worth an exact look: seen through the index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from modstar_lsp.index import Index
from modstar_lsp.index.reading.snapshot import Snapshot
from modstar_lsp.index.vectors import signs
from modstar_lsp.index.vectors.quantised import Quantised, quantise, top
from tests.index.conftest import Tree

pytestmark = pytest.mark.skipif(not signs.COUNTS_BITS, reason="numpy below 2 does not count bits")


def vectors(count: int, dimension: int = 256, seed: int = 1) -> np.ndarray:
    """Vectors in clusters, as those of code are."""
    random = np.random.default_rng(seed)
    centres = 1.5 * random.standard_normal((50, dimension))
    found = centres[random.integers(0, len(centres), count)] + random.standard_normal((count, dimension))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dimension", [1, 8, 63, 64, 65, 256, 512])
def test_there_is_a_bit_for_each_value(dimension: int) -> None:
    codes = quantise(vectors(5_000, dimension)).codes
    made = signs.signs_of(codes)
    assert made.shape == (-(-dimension // 64), 5_000)
    differing = sum(np.bitwise_count(word ^ word[7]).astype(int) for word in made)
    assert differing.tolist() == ((codes > 0) != (codes[7] > 0)).sum(axis=1).tolist()


def test_nearly_all_of_the_nearest_are_among_the_likely() -> None:
    there = vectors(60_000)
    stored = quantise(there)
    made, numbers = signs.signs_of(stored.codes), np.arange(60_000, dtype=np.int32)
    found = []
    for query in there[:40] + 0.7 * vectors(40, seed=2):
        likely = signs.likely(made, query, numbers)
        assert (np.diff(likely) > 0).all() and len(likely) < 20_000
        found.append(np.isin(top(stored.cosines(query), 120), likely).mean())
    assert np.mean(found) > 0.97


def test_of_some_rows_positions_among_these_are_told() -> None:
    made = signs.signs_of(quantise(vectors(4_000)).codes)
    some = np.arange(0, 4_000, 2, dtype=np.int32)
    likely = signs.likely(made, vectors(1, seed=3)[0], some)
    assert 0 < len(likely) <= len(some) and likely.max() < len(some)


@pytest.fixture
def many(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that counts as large enough for signs, whose chunks all count as likely or not."""
    monkeypatch.setattr(signs, "PAYS_ABOVE", 20)
    for number in range(60):
        tree.write(f"part{number}.py", "\n\n".join(_function(number, each) for each in range(5)))
    with tree.open() as index:
        tree.refresh(index)
        yield index


def _function(number: int, each: int) -> str:
    words = ("parse", "tree", "send", "key", "merge", "row", "load", "file")
    body = "\n".join(
        f"    {words[(number + i * each) % 8]}_{i} = {words[(number * i) % 8]}()" for i in range(9)
    )
    return f"def {words[number % 8]}_{words[each]}_{number}():\n{body}\n"


def _agree(snapshot: Snapshot, tree: Tree) -> float:
    """The share of the exact nearest that are found, over some questions."""
    shares = []
    for query in tree.encoder.encode(["parse the tree", "send a key", "merge rows of a file"]):
        snapshot.nearest(query, 1)  # the first question of a process is scanned
        cosines = snapshot.cosines(query, np.arange(snapshot.n, dtype=np.int32))
        _, found = snapshot.nearest(query, 10)
        assert (np.diff(found) <= 0).all()
        shares.append((found >= np.sort(cosines)[-10]).mean())
    return float(np.mean(shares))


def test_a_large_index_is_asked_by_signs(many: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    exact = Quantised.cosines

    def counted(self: Quantised, query: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
        looked.append(len(self.codes) if at is None else len(at))
        return exact(self, query, at)

    with many.snapshot() as snapshot:
        query = tree.encoder.encode(["parse the tree"])[0]
        snapshot.nearest(query, 1)
        monkeypatch.setattr(signs, "_LOOKED_AT", 1)
        monkeypatch.setattr(Quantised, "cosines", counted)
        snapshot.nearest(query + 0.01, 5)
        snapshot.nearest(query + 0.01, 5, np.arange(0, snapshot.n, 2, dtype=np.int32))
        assert looked and max(looked) < snapshot.n / 2


def test_the_signs_follow_what_changes(many: Index, tree: Tree) -> None:
    with many.snapshot() as snapshot:
        assert _agree(snapshot, tree) > 0.95
    for number in range(20):
        tree.write(f"part{number}.py", _function(number + 100, 3))
        tree.write(f"more{number}.py", _function(number + 200, 4))
    tree.refresh(many)
    with many.snapshot() as snapshot:
        assert _agree(snapshot, tree) > 0.95


def test_who_wants_very_many_gets_the_exact_ones(
    many: Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signs, "MOST_NEAREST", 5)
    monkeypatch.setattr(signs, "_LOOKED_AT", 0.01)
    with many.snapshot() as snapshot:
        query = tree.encoder.encode(["parse the tree"])[0]
        snapshot.nearest(query, 1)
        rows, _ = snapshot.nearest(query + 0.01, 50)
        assert len(rows) == 50
