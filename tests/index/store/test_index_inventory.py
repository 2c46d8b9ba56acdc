"""What is known of an index as a whole: whose it is, what it holds, and that nothing of it stays behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
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


@pytest.mark.skipif(os.name != "posix", reason="needs FIFOs")
def test_broken_indexes_of_every_kind_hide_no_other(indexed_twice: Tree) -> None:
    base = indexed_twice.folder.parent
    name = database_name(indexed_twice.bundle.digest)
    for kind in ("fifo", "folder", "link", "empty", "foreign", "nul", "bytes", "nothing"):
        (base / kind).mkdir()
    os.mkfifo(base / "fifo" / name)
    (base / "folder" / name).mkdir()
    (base / "link" / name).symlink_to(name)
    (base / "empty" / name).touch()
    for kind, root in (("foreign", str(indexed_twice.root)), ("nul", "a\0b"), ("bytes", b"\xff/a")):
        shutil.copy(indexed_twice.file, base / kind / name)
        with closing(sqlite3.connect(base / kind / name)) as connection, connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'root'", (root,))
    found = {known.folder.name: known.state for known in known_indexes(base)}
    assert found.pop(indexed_twice.folder.name) == "there"
    assert found == dict.fromkeys(("fifo", "folder", "link", "empty", "foreign", "nul", "bytes"), "unknown")
