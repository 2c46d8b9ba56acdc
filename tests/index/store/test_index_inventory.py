"""What is known of an index as a whole: whose it is, what it holds, and that nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_fakes import FakeBundle, Tree

from modstar_lsp.index import index_folder
from modstar_lsp.index.store.database import database_name
from modstar_lsp.index.store.inventory import has_index, known_indexes, remove_index


@pytest.fixture
def indexed_twice(sources: Tree, tmp_path: Path) -> Tree:
    """A workspace with an index of each of two models, the second of one file more."""
    sources.folder = index_folder(sources.root, tmp_path / "indexes")
    for digest in ("fa4e", "07e4"):
        sources.bundle = FakeBundle(digest=digest)
        with sources.open() as index:
            sources.refresh(index)
        sources.write("more.py", "x = 1\n")
    return sources


def test_the_indexes_of_two_models_are_one_and_hold_what_the_last_holds(indexed_twice: Tree) -> None:
    (known,) = known_indexes(indexed_twice.folder.parent)
    assert (known.root, known.state, known.files) == (indexed_twice.root.resolve(), "there", 4)


def test_the_indexes_of_two_models_are_counted(indexed_twice: Tree) -> None:
    (known,) = known_indexes(indexed_twice.folder.parent)
    assert known.models == 2


def test_a_damaged_index_does_not_hide_what_that_of_another_model_says(indexed_twice: Tree) -> None:
    newest = indexed_twice.folder / database_name(indexed_twice.bundle.digest)
    newest.write_bytes(b"no database")
    (known,) = known_indexes(indexed_twice.folder.parent)
    assert (known.root, known.state, known.files) == (indexed_twice.root.resolve(), "there", 3)


def test_a_folder_has_an_index_whichever_model_made_it(indexed_twice: Tree) -> None:
    base = indexed_twice.folder.parent
    assert has_index(indexed_twice.root, base)
    assert not has_index(indexed_twice.root / "src", base)


def test_removing_an_index_leaves_that_of_no_model(indexed_twice: Tree) -> None:
    base = indexed_twice.folder.parent
    (known,) = known_indexes(base)
    remove_index(known)
    assert not indexed_twice.folder.exists()
    assert not has_index(indexed_twice.root, base)
