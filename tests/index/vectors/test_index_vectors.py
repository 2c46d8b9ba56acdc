"""Vectors: reused where the text is known, deepened on demand, near what they were made from."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_fakes import FakeBundle, FakeEncoder, Tree

from modstar_lsp.index.store.database import CHECKED_FORMATS, OLDER_FILES, database_name, write_meta
from modstar_lsp.index.vectors.quantised import quantise


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_rounding_keeps_direction_and_unit_length(rows: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((rows, 64)).astype(np.float32)
    if rows:
        vectors[0] = 0
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    kept = quantise(vectors)
    back = kept.decode(slice(None))
    lengths = np.linalg.norm(back, axis=1)
    assert np.allclose(lengths[1:], 1, atol=1e-5)
    assert not lengths[:1].any()
    assert ((back * vectors).sum(axis=1)[1:] > 0.999).all()
    query = np.random.default_rng(seed + 1).standard_normal(64).astype(np.float32)
    assert np.allclose(kept.cosines(query), back @ query, atol=5e-3)
    at = np.arange(rows)[::-2]
    assert np.array_equal(kept.cosines(query, at), kept.cosines(query)[at])


def test_nearest_is_the_order_of_the_cosines(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            query = sources.encoder.encode(["retry the upload"])[0]
            every = np.arange(snapshot.n, dtype=np.int32)
            cosines = snapshot.cosines(query, every)
            assert np.allclose(cosines, snapshot.vectors(every) @ query, atol=1e-3)
            rows, best = snapshot.nearest(query, snapshot.n + 5)
            assert rows.tolist() == np.argsort(-cosines, kind="stable").tolist()
            assert np.array_equal(best, cosines[rows])
            some = every[::2]
            rows, _ = snapshot.nearest(query, 2, some)
            assert set(rows.tolist()) <= set(some.tolist())
            assert rows.tolist() == some[np.argsort(-cosines[some], kind="stable")][:2].tolist()
            assert snapshot.nearest(query, 0)[0].size == 0
            assert snapshot.nearest(query, 3, every[:0])[0].size == 0


def test_a_branch_that_comes_back_is_not_embedded_again(sources: Tree) -> None:
    main = (sources.root / "src/json_tools.py").read_text()
    with sources.open() as index:
        sources.refresh(index)
        for _ in range(3):
            sources.write("src/json_tools.py", "def feature():\n    return 'branch'\n")
            sources.refresh(index)
            encoded = sources.encoder.encoded
            sources.write("src/json_tools.py", main)
            sources.refresh(index)
            assert sources.encoder.encoded == encoded


def test_a_file_that_returns_to_its_place_is_not_embedded_again(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        encoded = sources.encoder.encoded
        sources.move("src/net/client.py", "moved.txt")
        sources.refresh(index)
        assert sources.encoder.encoded > encoded
        encoded = sources.encoder.encoded
        sources.move("moved.txt", "src/net/client.py")
        sources.refresh(index)
        assert sources.encoder.encoded == encoded


def test_a_folder_moved_above_the_embedded_path_is_not_embedded_again(tree: Tree) -> None:
    tree.write("one/a/b/c/file.py", "def deep():\n    return 1\n")
    with tree.open() as index:
        tree.refresh(index)
        encoded = tree.encoder.encoded
        tree.move("one/a/b/c/file.py", "two/a/b/c/file.py")
        tree.refresh(index)
        assert tree.encoder.encoded == encoded
        with index.snapshot() as snapshot:
            assert list(snapshot.paths) == ["two/a/b/c/file.py"]


def test_equal_texts_are_embedded_once(tree: Tree) -> None:
    for number in range(5):
        tree.write(f"package{number}/a/b/c/same.py", "def same():\n    return 1\n")
    with tree.open() as index:
        tree.refresh(index)
        assert tree.encoder.encoded == 1
        with index.snapshot() as snapshot:
            assert len(snapshot.nearest(np.ones(32, np.float32), 10)[0]) == 5


def test_a_second_worktree_takes_the_vectors_of_the_first(sources: Tree, tmp_path: object) -> None:
    with sources.open() as index:
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
    other = Tree(sources.root.parent / "worktree")
    for path in ("src/json_tools.py", "src/net/client.py", "README.md"):
        other.write(path, (sources.root / path).read_text())
    other.write("own.py", "only_here = 1\n")
    with other.open() as index:
        other.refresh(index, borrow_from=[sources.folder, sources.folder / "nowhere"])
        assert other.encoder.encoded == 1
        coverage = index.status().depths
        assert coverage[0] == 1
        assert coverage[4] == sum(coverage.values()) - 1


def test_what_an_earlier_version_deepened_is_taken_over(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
    earlier = sources.folder / OLDER_FILES[0]
    sources.file.rename(earlier)
    connection = sqlite3.connect(earlier)
    connection.executescript("""
        CREATE TABLE a AS SELECT digest, vector FROM digests;
        CREATE TABLE b AS SELECT block, exits, scales, codes FROM vectors;
        CREATE TABLE c AS SELECT key, value FROM meta;
        DROP TABLE digests; DROP TABLE vectors; DROP TABLE meta;
        ALTER TABLE a RENAME TO digests; ALTER TABLE b RENAME TO vectors; ALTER TABLE c RENAME TO meta;
        UPDATE meta SET value = 2 WHERE key = 'format';
    """)
    connection.close()
    encoded = sources.encoder.encoded
    with sources.open() as index:
        sources.refresh(index, borrow_from=[sources.folder])
        assert sources.encoder.encoded == encoded
        assert set(index.status().depths) == {4}
        assert earlier.exists()
        index.clear()
    assert not earlier.exists()


def test_what_a_version_with_checks_deepened_is_taken_over(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
    earlier = sources.folder / database_name(sources.bundle.digest, CHECKED_FORMATS[-1])
    sources.file.rename(earlier)
    with closing(sqlite3.connect(earlier)) as connection, connection:
        write_meta(connection, {"format": CHECKED_FORMATS[-1]})
    encoded = sources.encoder.encoded
    with sources.open() as index:
        sources.refresh(index, borrow_from=[sources.folder])
        assert sources.encoder.encoded == encoded
        assert set(index.status().depths) == {4}


def test_an_index_of_another_model_gives_no_vectors(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
    other = Tree(sources.root.parent / "worktree", FakeBundle(digest="0ther"))
    other.write("src/json_tools.py", (sources.root / "src/json_tools.py").read_text())
    with other.open() as index:
        other.refresh(index, borrow_from=[sources.folder])
        assert other.encoder.encoded > 0


def test_deepening_replaces_vectors_and_changes_nothing_else(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            total = snapshot.n
            before = snapshot.chunks(range(total))
            shallow = snapshot.vectors(np.arange(total, dtype=np.int32))
        steps = []
        done = index.deepen(sources.encoder, 4, progress=steps.append)
        assert done == total
        assert (steps[-1].stage, steps[-1].done, steps[-1].total) == ("deepen", total, total)
        assert index.status().depths == {4: total}
        with index.snapshot() as snapshot:
            assert snapshot.chunks(range(total)) == before
            assert not np.allclose(snapshot.vectors(np.arange(total, dtype=np.int32)), shallow)
        assert index.deepen(sources.encoder, 4) == 0
        assert sources.refresh(index).changed == 0
        assert index.status().depths == {4: total}


def test_deepening_follows_the_order_and_the_limit(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            last = snapshot.n - 1
        assert index.deepen(sources.encoder, 4, order=[last, 0], limit=1) == 1
        with index.snapshot() as snapshot:
            assert snapshot.exits[last] == 4
            assert snapshot.exits.tolist().count(4) == 1


def test_deepening_leaves_a_changed_file_to_the_refresh(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        sources.write("src/net/client.py", "changed = True\n")
        index.deepen(sources.encoder, 4)
        with index.snapshot() as snapshot:
            for row, chunk in enumerate(snapshot.chunks(range(snapshot.n))):
                assert snapshot.exits[row] == (0 if chunk.path == "src/net/client.py" else 4)
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
        assert set(index.status().depths) == {4}


def test_deepening_can_be_cancelled_and_continued(tree: Tree) -> None:
    for number in range(150):
        tree.write(f"file{number}.py", f"def action_{number}():\n    return {number}\n")
    with tree.open() as index:
        tree.refresh(index)
        calls = iter(range(4))
        done = index.deepen(tree.encoder, 4, cancelled=lambda: next(calls, None) is None)
        assert 0 < done < 150
        assert index.status().depths == {0: 150 - done, 4: done}
        assert index.deepen(tree.encoder, 4) == 150 - done


def test_deep_vectors_survive_a_branch_switch(sources: Tree) -> None:
    main = (sources.root / "src/json_tools.py").read_text()
    with sources.open() as index:
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
        sources.write("src/json_tools.py", "branch = 1\n")
        sources.refresh(index)
        sources.write("src/json_tools.py", main)
        sources.refresh(index)
        assert set(index.status().depths) == {4}


@pytest.mark.parametrize("deepen", [False, True])
def test_vectors_that_nothing_refers_to_are_forgotten_in_time(tree: Tree, deepen: bool) -> None:
    """4,000 chunks come and go; what stays answers right, and the index stays small."""
    tree.write("stays.py", "def keeper():\n    return 'kept'\n")
    with tree.open() as index:
        tree.refresh(index)
        if deepen:
            index.deepen(tree.encoder, 4)
        with index.snapshot() as snapshot:
            kept, numbering = snapshot.vectors(np.zeros(1, np.int32)), snapshot.numbering
        for generation in range(6):
            body = "    total = word(value) + other(value)\n" * 10
            functions = (f"def passing_{generation}_{number}(value):\n{body}\n\n" for number in range(700))
            tree.write("comes_and_goes.py", "".join(functions))
            tree.refresh(index)
        tree.remove("comes_and_goes.py")
        tree.refresh(index)
        with index.snapshot() as snapshot:
            assert snapshot.numbering != numbering
            assert snapshot.n == 1
            assert np.array_equal(snapshot.vectors(np.zeros(1, np.int32)), kept)
            assert len(snapshot.quantised().codes) <= 2_001
            assert snapshot.exits.tolist() == [4 if deepen else 0]
        encoded = tree.encoder.encoded
        tree.touch("stays.py")
        tree.refresh(index)
        assert tree.encoder.encoded == encoded


def test_the_fake_model_has_a_deeper_exit() -> None:
    encoder = FakeEncoder(FakeBundle())
    assert not np.allclose(encoder.encode(["a b"], 4), encoder.encode(["a b"], 0))
