"""What searching knows of the files is right whatever becomes of them, in many blocks as in one."""

from __future__ import annotations

import random

import pytest
from index_fakes import Tree, contents

from modstar_lsp.index.store import file_blocks


def write(tree: Tree, number: int, version: int = 0) -> None:
    """A file with none to three functions, in one of a few folders and languages."""
    ending = ("py", "js", "md")[number % 3]
    body = "".join(f"def action_{number}_{each}_{version}():\n    pass\n\n\n" for each in range(number % 4))
    tree.write(f"part{number % 7}/file{number:04}.{ending}", body or "\n")


def known(tree: Tree) -> dict[str, object]:
    """All that an index that was brought up to date answers."""
    with tree.open() as index:
        tree.refresh(index)
        with index.snapshot() as snapshot:
            return contents(snapshot, tree.terms())


@pytest.mark.parametrize("seed", range(3))
def test_files_that_come_change_and_go(tree: Tree, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(file_blocks, "_FILES_A_BLOCK", 8)
    monkeypatch.setattr(file_blocks, "_FEW_FILES", 0)
    chance = random.Random(seed)
    there: set[int] = set()
    for version in range(6):
        for number in chance.sample(range(120), 30):
            write(tree, number, version)
            there.add(number)
        for number in chance.sample(sorted(there), min(len(there), 12 * (version % 3))):
            tree.remove(f"part{number % 7}/file{number:04}.{('py', 'js', 'md')[number % 3]}")
            there.remove(number)
        found = known(tree)
    monkeypatch.undo()
    fresh = Tree(tree.root.parent / "fresh")
    fresh.root = tree.root
    assert found == known(fresh)


def test_names_are_a_sequence_like_any_other(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        write(tree, number)
    with tree.open() as index:
        tree.refresh(index)
        with index.snapshot() as snapshot:
            expected = [*snapshot.paths], [*snapshot.languages]
    monkeypatch.setattr(file_blocks, "_FEW_FILES", 0)
    with tree.open() as index, index.snapshot() as snapshot:
        for texts, all_texts in zip((snapshot.paths, snapshot.languages), expected, strict=True):
            assert not isinstance(texts, list)
            assert [texts[number] for number in range(-40, 40)] == all_texts * 2
            assert (len(texts), list(texts), texts[3:9]) == (40, all_texts, all_texts[3:9])
            for outside in (40, -41):
                with pytest.raises(IndexError):
                    texts[outside]
        assert snapshot.paths.index(expected[0][7]) == 7
