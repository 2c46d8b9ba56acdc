"""Several processes on one index, and processes that are killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from index_fakes import Tree, contents

from modstar_lsp.files import walk
from modstar_lsp.index.records import Job
from modstar_lsp.index.store.database import WRITER_LOCK
from modstar_lsp.index.store.lock import FileLock
from modstar_lsp.index.writing.workers import WorkerPool, batches

REFRESH = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from index_fakes import Tree
tree = Tree(Path({base!r}))
with tree.open() as index:
    print("open", index.notice, flush=True)
    report = tree.refresh(index, workers={workers}, wait=60)
    print(report.added, report.files, tree.encoder.encoded, report.complete, flush=True)
"""


def refresh_elsewhere(base: Path, workers: int = 0) -> subprocess.Popen[str]:
    script = REFRESH.format(path=sys.path, base=str(base), workers=workers)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def large(tree: Tree) -> Tree:
    for number in range(250):
        body = "".join(
            f"def action_{number}_{part}(value):\n" + "    total = word(value) + other(value)\n" * 10 + "\n\n"
            for part in range(6)
        )
        tree.write(f"pkg{number % 5}/file{number}.py", body)
    return tree


def from_scratch(tree: Tree, base: Path) -> dict[str, object]:
    other = Tree(base)
    other.root = tree.root
    with other.open() as index:
        other.refresh(index)
        with index.snapshot() as snapshot:
            return contents(snapshot, tree.terms())


def test_two_processes_share_the_work_of_one(large: Tree, tmp_path: Path) -> None:
    runs = [refresh_elsewhere(tmp_path) for _ in range(2)]
    reports = [run.communicate(timeout=120)[0].split("\n")[1].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(int(report[0]) for report in reports) == [0, 250]
    assert sorted(int(report[2]) > 0 for report in reports) == [False, True]
    assert all(report[1] == "250" and report[3] == "True" for report in reports)
    with large.open() as index, index.snapshot() as snapshot:
        assert contents(snapshot, large.terms()) == from_scratch(large, tmp_path / "scratch")


def test_a_reader_is_not_kept_waiting_by_a_writer(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        sources.write("new.py", "fresh = 1\n")
        with FileLock(sources.folder / WRITER_LOCK) as lock:
            assert lock.acquire()
            report = sources.refresh(index, wait=0.1)  # comes back while the other still holds the lock
            assert not report.complete
            assert report.files == 3
            with index.snapshot() as snapshot:
                assert snapshot.n
        assert sources.refresh(index).added == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_killed_refresh_leaves_a_whole_index(large: Tree, tmp_path: Path, workers: int) -> None:
    expected = from_scratch(large, tmp_path / "scratch")
    chance = random.Random(workers)
    for _ in range(5):
        run = refresh_elsewhere(tmp_path, workers)
        assert run.stdout is not None and run.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.9))
        run.kill()
        run.wait()
        run.stdout.close()
        with large.open() as index:
            assert index.notice == ""
            with index.snapshot() as snapshot:
                assert len(snapshot.chunks(range(snapshot.n))) == snapshot.n
                snapshot.postings(["action", "value"])
            if chance.random() < 0.4:
                index.clear()
    with large.open() as index:
        large.refresh(index)
        with index.snapshot() as snapshot:
            assert contents(snapshot, large.terms()) == expected


def test_an_index_replaced_by_another_process_is_opened_again(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            assert snapshot.n
        with sources.open() as other:
            other.clear()
        with index.snapshot() as snapshot:
            assert snapshot.n == 0
        assert sources.refresh(index).added == 3


def test_an_index_whose_folder_was_deleted_is_made_again(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        shutil.rmtree(sources.folder)
        assert sources.refresh(index).added == 3
        shutil.rmtree(sources.folder)
        with index.snapshot() as snapshot:
            assert snapshot.n == 0
        assert sources.refresh(index).added == 3


HELPER_PATH = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from index_fakes import Tree
tree = Tree(Path({base!r}))
with tree.open() as index:
    tree.refresh(index, workers=1)
"""


def test_workers_do_a_part_of_the_work(large: Tree, tmp_path: Path) -> None:
    """Without one, this process would do all of it in silence, and take twice as long."""
    jobs = [Job(file.path, file.size, 0, 0, b"") for file in walk(large.root).files]
    with WorkerPool(large.root, large.encoder, batches(jobs, 1), 1) as pool:  # type: ignore[arg-type]
        deadline = time.monotonic() + 60

        def is_known(digest: bytes) -> bool:  # asked here alone: this process waits for the worker's first
            while pool.answered == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            return False

        analyses = list(pool.run(is_known))
        assert pool.answered > 0
    assert sum(len(analysis.files) for analysis in analyses) == 250


def test_workers_take_no_module_from_the_workspace(large: Tree, tmp_path: Path) -> None:
    """Not from the current folder either."""
    for name in ("json", "pickle", "numpy", "modstar_lsp"):
        (large.root / f"{name}.py").write_text(f"open({str(tmp_path / 'stolen')!r}, 'w')\n")
    script = tmp_path / "script.py"
    script.write_text(HELPER_PATH.format(path=[*sys.path], base=str(tmp_path)))
    subprocess.run([sys.executable, str(script)], cwd=large.root, check=True, timeout=60)
    assert not (tmp_path / "stolen").exists()
