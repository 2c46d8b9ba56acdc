"""A damaged index is reported in one line and rebuilt: never a traceback, never a wrong answer."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from index_fakes import Tree, contents

from modstar_lsp.errors import StoreError
from modstar_lsp.index import DamagedIndex
from modstar_lsp.index.store.database import FORMAT, write_meta


@pytest.fixture
def indexed(sources: Tree) -> Tree:
    """A workspace of some size with an index that is closed."""
    for number in range(60):
        body = "".join(
            f"def action_{number}_{part}(x):\n    return word{part * number}(x)\n\n\n" for part in range(8)
        )
        sources.write(f"many/file{number}.py", body)
    with sources.open() as index:
        sources.refresh(index)
    return sources


def ask(tree: Tree) -> dict[str, object]:
    """What a face does: refresh, ask, and once more when the index turns out to be damaged."""
    terms = tree.terms()
    with tree.open() as index:
        for attempt in range(2):
            tree.refresh(index)
            try:
                with index.snapshot() as snapshot:
                    return contents(snapshot, terms)
            except DamagedIndex as error:
                assert attempt == 0
                assert "\n" not in str(error)
                assert "damaged" in index.notice
    raise AssertionError


def ask_anew(tree: Tree) -> dict[str, object]:
    """What `ask` gives with an index of the same files that was just made."""
    fresh = Tree(tree.root.parent / "fresh")
    fresh.root = tree.root
    return ask(fresh)


def test_random_bytes_in_place_of_the_database(indexed: Tree) -> None:
    expected = ask(indexed)
    indexed.file.write_bytes(random.Random(1).randbytes(50_000))
    with indexed.open() as index:
        assert "damaged" in index.notice
        assert "\n" not in index.notice
    assert ask(indexed) == expected


def test_an_empty_database_file_is_as_good_as_none(indexed: Tree) -> None:
    expected = ask(indexed)
    indexed.file.write_bytes(b"")
    with indexed.open() as index:
        assert index.notice == ""
    assert ask(indexed) == expected


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 0.999])
def test_a_truncated_database(indexed: Tree, share: float) -> None:
    expected = ask(indexed)
    file = indexed.file
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert ask(indexed) == expected


@pytest.mark.parametrize("seed", range(12))
def test_pages_of_garbage(indexed: Tree, seed: int) -> None:
    expected = ask(indexed)
    file = indexed.file
    content = bytearray(file.read_bytes())
    chance = random.Random(seed)
    page = chance.randrange(len(content) // 4096)
    content[page * 4096 : (page + 1) * 4096] = bytes(4096) if seed % 2 else chance.randbytes(4096)
    file.write_bytes(content)
    assert ask(indexed) == expected


def test_no_flipped_bit_and_no_zeroed_sector_changes_an_answer(indexed: Tree) -> None:
    expected = ask(indexed)
    terms = indexed.terms()
    sound = indexed.file.read_bytes()
    chance = random.Random(3)
    rebuilt = 0
    for trial in range(96):
        content = bytearray(sound)
        at = chance.randrange(len(content))
        if trial % 4:
            content[at] ^= 1 << chance.randrange(8)
        else:
            content[at // 512 * 512 : at // 512 * 512 + 512] = bytes(512)
        for suffix in ("-wal", "-shm"):
            indexed.file.with_name(f"{indexed.file.name}{suffix}").unlink(missing_ok=True)
        indexed.file.write_bytes(content)
        # As it stands, then brought up to date.
        with suppress(StoreError), indexed.open(write=False) as index, index.snapshot() as snapshot:
            assert contents(snapshot, terms) == expected, f"byte {at} of {len(content)}"
        if trial % 8 < 2:
            assert ask(indexed) == expected, f"byte {at} of {len(content)}"
            rebuilt += 1
    assert rebuilt


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("path", b"src/json_tools.py"),
        ("first", None),
        ("first", "one"),
        ("first", 0),
        ("chunks", None),
        ("chunks", "one"),
        ("chunks", 1),
        ("skipped", b"\xff"),
        ("digest", None),
        ("size", None),
        ("mtime_ns", "text"),
    ],
)
def test_a_damaged_row_of_a_file_keeps_no_other_from_being_indexed(
    indexed: Tree, column: str, value: object, change: bool
) -> None:
    with closing(sqlite3.connect(indexed.file)) as connection, connection:
        connection.execute(f"UPDATE files SET {column} = ? WHERE path = 'src/json_tools.py'", (value,))
    if change:
        indexed.write("src/json_tools.py", "def fold_parcel():\n    return 1\n")
        indexed.write("src/other.py", "def weigh_parcel():\n    return 2\n")
    assert ask(indexed) == ask_anew(indexed)


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE file_blocks SET data = NULL",
        "UPDATE file_blocks SET data = substr(data, 2)",
        "UPDATE file_blocks SET data = zeroblob(length(data))",
        "UPDATE file_blocks SET first = CAST(first AS BLOB)",
        "UPDATE file_blocks SET first = 'a' || first WHERE first > 'many'",
        "DELETE FROM file_blocks WHERE first > 'many'",
    ],
)
def test_a_damaged_block_of_files_is_no_answer(indexed: Tree, damage: str, change: bool) -> None:
    for number in range(150):
        indexed.write(f"some/file{number}.py", f"def wrap_parcel_{number}():\n    return {number}\n")
    with indexed.open() as index:
        indexed.refresh(index)
    with closing(sqlite3.connect(indexed.file)) as connection, connection:
        assert connection.execute(damage).rowcount
    if change:
        indexed.write("some/file7.py", "def fold_parcel():\n    return 1\n")
    assert ask(indexed) == ask_anew(indexed)


def test_a_table_that_is_gone(indexed: Tree) -> None:
    expected = ask(indexed)
    connection = sqlite3.connect(indexed.file)
    connection.execute("DROP TABLE segments")
    connection.commit()
    connection.close()
    assert ask(indexed) == expected


def test_damage_while_it_is_open(indexed: Tree) -> None:
    expected = ask(indexed)
    terms = indexed.terms()
    with indexed.open() as index:
        with index.snapshot() as snapshot:
            assert snapshot.n
        file = indexed.file
        with file.open("r+b") as stream:
            stream.seek(4096)
            stream.write(random.Random(2).randbytes(file.stat().st_size - 4096))
        indexed.write("many/another.py", "fresh = 1\n")
        for _ in range(3):
            try:
                indexed.refresh(index)
                with index.snapshot() as snapshot:
                    found = contents(snapshot, terms)
                break
            except DamagedIndex:
                continue
        assert [c for c in found["chunks"] if c.path != "many/another.py"] == expected["chunks"]


def test_a_lost_log_leaves_an_older_state(indexed: Tree) -> None:
    with indexed.open() as index:
        indexed.write("many/another.py", "fresh = 1\n")
        indexed.refresh(index)
        for suffix in ("-wal", "-shm"):
            (indexed.folder / f"{indexed.file.name}{suffix}").unlink(missing_ok=True)
    expected = ask(indexed)
    indexed.file.unlink()
    assert ask(indexed) == expected


def test_an_index_of_a_newer_version_is_left_alone(indexed: Tree) -> None:
    newer = indexed.folder / indexed.file.name.replace(f"-{FORMAT}-", "-9-")
    indexed.file.rename(newer)
    content = newer.read_bytes()
    with indexed.open() as index:
        assert "newer version" in index.notice
        assert indexed.refresh(index).files
    assert newer.read_bytes() == content
    with indexed.open() as index:
        assert index.notice == ""


def test_a_newer_index_under_our_name_is_set_aside(indexed: Tree) -> None:
    connection = sqlite3.connect(indexed.file)
    write_meta(connection, {"format": 7})
    connection.commit()
    connection.close()
    with indexed.open() as index:
        assert "another version" in index.notice
        assert "\n" not in index.notice
        assert index.status().chunks == 0
    kept = sqlite3.connect(indexed.folder / indexed.file.name.replace(f"-{FORMAT}-", "-7-"))
    assert kept.execute("SELECT count(*) FROM files").fetchone()[0] == 63
    kept.close()


def test_an_index_of_another_release_is_read_again_but_not_embedded_again(indexed: Tree) -> None:
    expected = ask(indexed)
    connection = sqlite3.connect(indexed.file)
    write_meta(connection, {"release": "0.0.0"})
    connection.commit()
    connection.close()
    encoded = indexed.encoder.encoded
    with indexed.open() as index:
        assert index.notice == ""
        assert indexed.refresh(index).changed == 63
        assert indexed.refresh(index).changed == 0
    assert indexed.encoder.encoded == encoded
    assert ask(indexed) == expected


def test_a_file_where_the_folder_should_be(sources: Tree) -> None:
    sources.folder.parent.mkdir(parents=True)
    sources.folder.write_text("in the way")
    with pytest.raises(StoreError, match="--index-dir") as caught:
        sources.open()
    assert "\n" not in str(caught.value)


def test_reading_only_answers_and_changes_nothing(indexed: Tree) -> None:
    expected = ask(indexed)
    before = {file.name: file.read_bytes() for file in indexed.folder.iterdir() if file.suffix == ".sqlite"}
    with indexed.open(write=False) as index:
        with index.snapshot() as snapshot:
            assert contents(snapshot, indexed.terms()) == expected
        with pytest.raises(StoreError, match="reading only"):
            indexed.refresh(index)
        with pytest.raises(StoreError, match="reading only"):
            index.clear()
    after = {file.name: file.read_bytes() for file in indexed.folder.iterdir() if file.suffix == ".sqlite"}
    assert after == before


def test_reading_only_says_when_there_is_nothing(sources: Tree) -> None:
    with pytest.raises(StoreError, match="modstar-index"):
        sources.open(write=False)
    assert not sources.folder.exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path[:0] = {path!r}
from index_fakes import Tree
from modstar_lsp.errors import StoreError
tree = Tree(Path({base!r}))
for number in range(40):
    functions = (f"def act_{{number}}_{{i}}():\\n    pass\\n\\n\\n" for i in range(60))
    tree.write(f"more/file{{number}}.py", "".join(functions))
with tree.open() as index:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    try:
        tree.refresh(index)
    except StoreError as error:
        print(error)
        sys.exit(2)
"""


def test_a_full_disk_is_one_line_and_nothing_is_lost(indexed: Tree, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    expected = ask(indexed)
    limit = indexed.file.stat().st_size + 4096
    script = FULL_DISK.format(path=sys.path, base=str(tmp_path), limit=limit)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "free some space" in done.stdout
    assert done.stdout.count("\n") == 1
    for number in range(40):
        indexed.remove(f"more/file{number}.py")
    assert ask(indexed) == expected
