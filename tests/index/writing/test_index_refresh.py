"""What a refresh finds, forgets and leaves alone."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from index_fakes import FakeBundle, Tree

from modstar_lsp.index import Index, Progress


def paths_with(index: Index, term: str) -> set[str]:
    with index.snapshot() as snapshot:
        rows, _ = snapshot.postings([term]).get(term, (np.zeros(0, np.int32), None))
        return {chunk.path for chunk in snapshot.chunks(rows)}


def test_an_empty_workspace_gives_an_empty_snapshot(tree: Tree) -> None:
    with tree.open() as index:
        report = tree.refresh(index)
        assert (report.files, report.chunks, report.added) == (0, 0, 0)
        with index.snapshot() as snapshot:
            assert snapshot.n == 0
            assert snapshot.postings(["parse"]) == {}
            assert snapshot.nearest(np.ones(32, np.float32), 5)[0].tolist() == []
            assert snapshot.chunks([]) == []
            assert snapshot.exits.tolist() == []
        assert index.status().files == 0


def test_a_snapshot_before_the_first_refresh_is_empty(tree: Tree) -> None:
    with tree.open() as index, index.snapshot() as snapshot:
        assert snapshot.n == 0


def test_what_is_written_is_found_by_words_names_and_meaning(sources: Tree) -> None:
    with sources.open() as index:
        report = sources.refresh(index)
        assert (report.files, report.added, report.changed, report.removed) == (3, 3, 0, 0)
        assert report.complete
        with index.snapshot() as snapshot:
            assert snapshot.n == report.chunks
            rows, counts = snapshot.postings(["parsejson"])["parsejson"]
            assert [chunk.path for chunk in snapshot.chunks(rows)] == ["src/json_tools.py"]
            assert counts.tolist() == [1.0]
            (row,) = snapshot.defining(["ParseJSON"])["parsejson"]
            (chunk,) = snapshot.chunks([row])
            assert "parseJson" in chunk.symbols
            assert chunk.language == "python"
            query = sources.encoder.encode(["retries what fails when the client talks to the server"])[0]
            best, cosines = snapshot.nearest(query, 3)
            assert snapshot.chunks(best)[0].path == "src/net/client.py"
            assert (np.diff(cosines) <= 0).all()


def test_a_file_replaced_under_the_same_size_and_time_is_read_again(sources: Tree) -> None:
    """As `rsync -t`, `cp -p` and `tar -x` leave it."""
    file = sources.root / "src/json_tools.py"
    with sources.open() as index:
        sources.refresh(index)
        before = file.stat()
        file.write_text(file.read_text().replace("parseJson", "loadJson1"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        assert sources.refresh(index).changed == 1
        assert paths_with(index, "loadjson1") == {"src/json_tools.py"}
        assert paths_with(index, "parsejson") == set()


def test_a_second_refresh_reads_nothing(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        generation = index.status().generation
        encoded = sources.encoder.encoded
        seen: list[Progress] = []
        report = sources.refresh(index, progress=seen.append)
        assert (report.added, report.changed, report.removed, seen) == (0, 0, 0, [])
        assert report.files == 3
        assert sources.encoder.encoded == encoded
        assert index.status().generation == generation


def test_a_changed_file_is_found_by_its_new_words_only(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        sources.write("src/json_tools.py", "def quaternion():\n    return 4\n")
        report = sources.refresh(index)
        assert (report.added, report.changed, report.removed) == (0, 1, 0)
        assert paths_with(index, "quaternion") == {"src/json_tools.py"}
        assert paths_with(index, "parsejson") == set()
        with index.snapshot() as snapshot:
            assert "parsejson" not in snapshot.defining(["parseJson", "quaternion"])


def test_a_deleted_file_is_not_found(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        sources.remove("src/json_tools.py")
        assert sources.refresh(index).removed == 1
        assert paths_with(index, "parsejson") == set()
        with index.snapshot() as snapshot:
            assert "src/json_tools.py" not in snapshot.paths


def test_a_touched_file_is_read_but_nothing_changes(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        sources.touch("README.md")
        report = sources.refresh(index)
        assert (report.added, report.changed, report.removed) == (0, 0, 0)
        assert sources.refresh(index, progress=lambda step: pytest.fail("read again")).files == 3


def test_a_file_written_twice_within_a_clock_tick_is_noticed(sources: Tree) -> None:
    """The second text has the size and the time of the first."""
    file = sources.root / "fresh.py"
    with sources.open() as index:
        file.write_text("alpha = 1\n")
        now = time.time_ns()
        os.utime(file, ns=(now, now))
        sources.refresh(index)
        file.write_text("gamma = 1\n")
        os.utime(file, ns=(now, now))
        sources.refresh(index)
        assert paths_with(index, "gamma") == {"fresh.py"}
        assert paths_with(index, "alpha") == set()


def test_an_unreadable_file_is_reported_and_not_read_again(sources: Tree) -> None:
    (sources.root / "blob.py").write_bytes(b"\0\1\2" * 1000)
    sources.touch("blob.py")
    with sources.open() as index:
        first = sources.refresh(index)
        assert [entry.path for entry in first.skipped] == ["blob.py"]
        assert first.files == 3
        second = sources.refresh(index, progress=lambda step: pytest.fail("read again"))
        assert second.skipped == first.skipped
        sources.write("blob.py", "readable = True\n")
        third = sources.refresh(index)
        assert third.files == 4
        assert third.skipped == ()
        assert paths_with(index, "readable") == {"blob.py"}


def test_a_name_that_is_not_unicode_is_reported(sources: Tree) -> None:
    try:
        (sources.root / os.fsdecode(b"caf\xe9.py")).write_text("coffee = 1\n")
    except OSError:
        pytest.skip("this file system stores Unicode names only")
    with sources.open() as index:
        report = sources.refresh(index)
        assert report.files == 3
        assert sum("nicode" in entry.reason for entry in report.skipped) == 1


def test_a_term_that_is_not_unicode_is_found_nowhere(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            assert snapshot.postings(["\udcff", "json"]).keys() == {"json"}


def test_progress_counts_to_the_total(sources: Tree) -> None:
    seen: list[Progress] = []
    with sources.open() as index:
        sources.refresh(index, progress=seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (seen[-1].done, seen[-1].total) == (3, 3)


def test_a_cancelled_refresh_keeps_what_it_has_and_is_continued(tree: Tree) -> None:
    for number in range(200):
        tree.write(f"part{number}.py", f"def function_{number}():\n    return {number}\n")
    with tree.open() as index:
        report = tree.refresh(index, cancelled=lambda: True)
        assert not report.complete
        assert 0 < report.files < 200
        assert tree.refresh(index).files == 200


def test_a_search_during_the_first_indexing_sees_what_is_done(tree: Tree) -> None:
    for number in range(300):
        body = (
            "".join(
                f"def function_{number}_{part}():\n" + "    total += compute(value, factor)\n" * 12 + "\n\n"
                for part in range(3)
            )
            * 3
        )
        tree.write(f"part{number}.py", body)
    seen: list[int] = []
    with tree.open() as index:

        def look(step: Progress) -> None:
            with index.snapshot() as snapshot:
                seen.append(snapshot.n)
                assert snapshot.chunks(range(snapshot.n))[:1] == snapshot.chunks([0] if snapshot.n else [])

        tree.refresh(index, progress=look)
        total = index.status().chunks
    assert any(0 < count < total for count in seen)


def test_workers_give_the_same_index(tree: Tree) -> None:
    from index_fakes import contents

    for number in range(300):
        tree.write(
            f"pkg{number % 7}/part{number}.py", f"def function_{number}(a):\n    return a + {number}\n"
        )
    terms = tree.terms()
    with tree.open() as index:
        tree.refresh(index, workers=0)
        with index.snapshot() as snapshot:
            alone = contents(snapshot, terms)
        index.clear()
        tree.refresh(index, workers=2)
        with index.snapshot() as snapshot:
            assert contents(snapshot, terms) == alone


def test_status_tells_what_there_is(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        status = index.status()
        assert (status.files, status.languages) == (3, {"python": 2, "markdown": 1})
        assert status.depths == {0: status.chunks}
        assert status.bytes > 10_000


def test_a_cleared_index_is_empty_and_can_be_filled_again(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as before:
            index.clear()
            assert before.chunks([0])[0].path == "README.md"
        assert index.status().chunks == 0
        assert sources.refresh(index).added == 3


def test_trying_another_model_leaves_the_index_of_the_first_as_deep_as_it_was(sources: Tree) -> None:
    first, second = sources.bundle, FakeBundle(digest="07e4")
    with sources.open() as index:
        sources.refresh(index)
        index.deepen(sources.encoder, 4)
    sources.bundle = second
    with sources.open() as index:
        assert index.notice == ""
        assert index.status().chunks == 0
        sources.refresh(index)
        assert set(index.status().depths) == {0}
    sources.bundle = first
    with sources.open() as index:
        assert index.notice == ""
        assert set(index.status().depths) == {4}


def test_clearing_leaves_no_index_of_any_model(sources: Tree) -> None:
    for digest in ("07e4", "fa4e"):
        sources.bundle = FakeBundle(digest=digest)
        with sources.open() as index:
            sources.refresh(index)
    with sources.open() as index:
        index.clear()
        assert [file.name for file in sources.folder.glob("*.sqlite")] == [sources.file.name]
        assert index.status().chunks == 0


def test_the_index_of_another_workspace_is_replaced(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
    with Index.open(sources.folder, sources.root.parent, sources.bundle) as index:  # type: ignore[arg-type]
        assert "another workspace" in index.notice
    with Index.open(sources.folder, sources.root.parent, sources.bundle) as index:  # type: ignore[arg-type]
        assert index.notice == ""
