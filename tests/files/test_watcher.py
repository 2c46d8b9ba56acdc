"""A change in the workspace is told once, shortly after it happened."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from planting import Plant

from modstar_lsp.files import inotify, read_source, walk, watch
from modstar_lsp.files.watch import EVERYTHING, Watcher


class Heard:
    """What a watcher reported so far."""

    def __init__(self) -> None:
        self.calls: list[set[str]] = []
        self.changed = threading.Condition()

    def __call__(self, paths: set[str]) -> None:
        with self.changed:
            self.calls.append(paths)
            self.changed.notify_all()

    @property
    def paths(self) -> set[str]:
        return set().union(*self.calls)

    def wait(self, enough: Callable[[], bool], seconds: float = 30) -> bool:
        with self.changed:
            return self.changed.wait_for(enough, seconds)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def root(plant: Plant, heard: Heard) -> Iterator[Path]:
    folder = plant({"a.py": "x = 1\n", "sub/b.py": "", "node_modules/x.js": "", ".gitignore": "made.py\n"})
    with Watcher(folder, heard, delay=0.1):
        time.sleep(0.2)
        heard.calls.clear()
        yield folder


def test_a_saved_file_is_told(root: Path, heard: Heard) -> None:
    (root / "a.py").write_text("x = 2\n")
    (root / "sub/new.py").write_text("y\n")
    assert heard.wait(lambda: {"a.py", "sub/new.py"} <= heard.paths)


def test_an_atomic_save_is_told(root: Path, heard: Heard) -> None:
    (root / "a.py.tmp").write_text("x = 3\n")
    (root / "a.py.tmp").replace(root / "a.py")
    assert heard.wait(lambda: "a.py" in heard.paths)


def test_a_deleted_file_is_told(root: Path, heard: Heard) -> None:
    (root / "a.py").unlink()
    assert heard.wait(lambda: "a.py" in heard.paths)


def test_a_moved_folder_asks_for_a_walk(root: Path, heard: Heard, tmp_path: Path) -> None:
    shutil.move(root / "sub", tmp_path / "elsewhere")
    assert heard.wait(lambda: EVERYTHING in heard.paths)


def test_a_changed_ignore_file_asks_for_a_walk(root: Path, heard: Heard) -> None:
    (root / ".gitignore").write_text("a.py\n")
    assert heard.wait(lambda: EVERYTHING in heard.paths)


@pytest.mark.parametrize("rules", [".git/info/exclude", ".gitignore", "part/.modstarignore"])
def test_rules_outside_of_the_root_ask_for_a_walk(plant: Plant, heard: Heard, rules: str) -> None:
    top = plant({".git/HEAD": "ref: refs/heads/main\n", ".git/info/exclude": "", "part/root/a.py": ""})
    with Watcher(top / "part/root", heard, delay=0.1):
        time.sleep(0.2)
        heard.calls.clear()
        (top / rules).write_text("a.py\n")
        assert heard.wait(lambda: EVERYTHING in heard.paths)
    watcher = Watcher(top / "part/root", heard)
    watcher.start(tells=False)
    watcher.look()
    (top / rules).unlink()
    assert watcher.look() == {EVERYTHING}
    watcher.stop()


def test_what_does_not_belong_is_not_told(root: Path, heard: Heard) -> None:
    (root / "made.py").write_text("x")
    (root / "node_modules/x.js").write_text("x")
    (root / ".env").write_text("x")
    (root / "a.py").write_text("x = 4\n")
    assert heard.wait(lambda: "a.py" in heard.paths)
    assert heard.paths == {"a.py"}


def test_reading_is_no_change(root: Path, heard: Heard) -> None:
    for file in walk(root).files:
        read_source(root, file.path)
    assert not heard.wait(lambda: bool(heard.calls), seconds=0.6)


def test_a_burst_is_one_call(root: Path, heard: Heard) -> None:
    for number in range(50):
        (root / "a.py").write_text(f"x = {number}\n")
    assert heard.wait(lambda: bool(heard.calls))
    time.sleep(0.3)
    assert len(heard.calls) <= 2


def test_nothing_is_told_after_stop(plant: Plant, heard: Heard) -> None:
    folder = plant({"a.py": ""})
    watcher = Watcher(folder, heard, delay=0.1)
    watcher.start()
    watcher.stop()
    (folder / "a.py").write_text("x")
    assert not heard.wait(lambda: bool(heard.calls), seconds=0.4)


def leave_no_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the system could watch no folder, and polling were quick."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inotify.Inotify, "add", full)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)


linux = pytest.mark.skipif(not inotify.is_available(), reason="needs a system that watches folder by folder")


@linux
def test_polling_takes_over_when_the_system_can_watch_no_more(
    plant: Plant, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_no_watches(monkeypatch)
    folder = plant({"a.py": "", "sub/b.py": "", "node_modules/x.js": ""})
    notices: list[str] = []
    with Watcher(folder, heard, delay=0.1, on_notice=notices.append) as watcher:
        assert watcher.polling
        assert watcher.watched == 0
        assert len(notices) == 1
        assert str(folder) in notices[0]
        (folder / "node_modules/x.js").write_text("longer\n")
        (folder / "a.py").write_text("longer\n")
        assert heard.wait(lambda: "a.py" in heard.paths)
        assert heard.paths == {"a.py"}
        (folder / "sub/new").mkdir()
        (folder / "sub/new/c.py").write_text("x")
        assert heard.wait(lambda: EVERYTHING in heard.paths)


@linux
def test_polling_sees_what_the_bounds_let_in(
    plant: Plant, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_no_watches(monkeypatch)
    folder = plant({"a.py": "", "drawing.svg": "<svg/>"})
    bounds = {"include": ["*.svg"], "max_bytes": 100}
    with Watcher(folder, heard, delay=0.1, bounds=lambda: bounds):
        (folder / "drawing.svg").write_text("<svg><g/></svg>")
        assert heard.wait(lambda: "drawing.svg" in heard.paths)


@linux
def test_polling_takes_over_when_the_watches_run_out_later(
    plant: Plant, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plant({"a.py": ""})
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    add = inotify.Inotify.add

    def nearly_full(self: inotify.Inotify, path: str) -> int:
        if path.endswith("deep"):
            raise OSError(28, "No space left on device")
        return add(self, path)

    monkeypatch.setattr(inotify.Inotify, "add", nearly_full)
    notices: list[str] = []
    with Watcher(folder, heard, delay=0.1, on_notice=notices.append) as watcher:
        assert not watcher.polling
        (folder / "deep").mkdir()
        assert heard.wait(lambda: watcher.polling and EVERYTHING in heard.paths)
        assert len(notices) == 1
        (folder / "deep/new.py").write_text("x")
        assert heard.wait(lambda: "deep/new.py" in heard.paths)


@linux
def test_only_what_the_walk_enters_is_watched(plant: Plant, heard: Heard) -> None:
    modules = {f"node_modules/p{number}/lib/x.js": "" for number in range(50)}
    folder = plant({"a.py": "", "sub/deep/b.py": "", "out/x.py": "", ".gitignore": "out/\n", **modules})
    with Watcher(folder, heard, delay=0.1) as watcher:
        assert watcher.watched == 3  # the root, sub, sub/deep
        for number in range(30):
            (folder / f"out/made{number}").mkdir()
            (folder / f"node_modules/q{number}").mkdir()
        shutil.rmtree(folder / "out")
        (folder / "out").mkdir()
        (folder / "a.py").write_text("x = 4\n")
        assert heard.wait(lambda: "a.py" in heard.paths)
        assert heard.paths == {"a.py"}
        (folder / ".gitignore").write_text("")
        assert heard.wait(lambda: EVERYTHING in heard.paths)
        assert watcher.watched == 4


def test_a_file_in_a_new_folder_in_a_new_folder_is_told(root: Path, heard: Heard) -> None:
    (root / "new/newer/newest").mkdir(parents=True)
    assert heard.wait(lambda: EVERYTHING in heard.paths)
    heard.calls.clear()
    (root / "new/newer/newest/a.py").write_text("x")
    assert heard.wait(lambda: "new/newer/newest/a.py" in heard.paths)


def test_a_renamed_folder_is_watched_under_its_new_name(root: Path, heard: Heard) -> None:
    (root / "sub").rename(root / "other")
    (root / "sub").mkdir()
    assert heard.wait(lambda: EVERYTHING in heard.paths)
    time.sleep(0.3)
    for path in ("other/c.py", "sub/d.py"):
        (root / path).write_text("x")
        assert heard.wait(lambda path=path: path in heard.paths)  # type: ignore[misc]


def test_a_root_that_is_deleted_and_made_again_is_watched(plant: Plant, heard: Heard) -> None:
    folder = plant({"a.py": "", "sub/b.py": ""})
    notices: list[str] = []
    with Watcher(folder, heard, delay=0.1, on_notice=notices.append) as watcher:
        shutil.rmtree(folder)
        assert heard.wait(lambda: watcher.lost and EVERYTHING in heard.paths)
        heard.calls.clear()
        plant({"sub/b.py": "x"})
        assert heard.wait(lambda: not watcher.lost and EVERYTHING in heard.paths)
        time.sleep(0.3)
        (folder / "sub/b.py").write_text("longer")
        assert heard.wait(lambda: "sub/b.py" in heard.paths)
    assert len(notices) == 2


def test_a_root_that_is_moved_away_is_noticed(plant: Plant, heard: Heard, tmp_path: Path) -> None:
    folder = plant({"a.py": ""})
    with Watcher(folder, heard, delay=0.1) as watcher:
        folder.rename(tmp_path / "elsewhere")
        assert heard.wait(lambda: watcher.lost and EVERYTHING in heard.paths)


@pytest.mark.skipif(not inotify.is_available(), reason="the system tells it at once on Linux alone")
def test_who_asks_is_told_all_that_was_written_before(plant: Plant) -> None:
    folder = plant({"a.py": "x = 1\n", "sub/b.py": "", ".gitignore": "made.py\n"})
    watcher = Watcher(folder, lambda paths: None)
    watcher.start(tells=False)
    assert watcher.look() == set()
    (folder / "a.py").write_text("x = 2\n")
    (folder / "sub/new.py").write_text("y\n")
    (folder / "made.py").write_text("z\n")
    assert watcher.look() == {"a.py", "sub/new.py"} and watcher.look() == set()
    (folder / "other").mkdir()
    (folder / "other/c.py").write_text("z\n")
    assert watcher.look() == {EVERYTHING}
    (folder / "other/c.py").write_text("zz\n")
    assert watcher.look() == {"other/c.py"}
    watcher.stop()


def test_where_nothing_can_be_watched_who_asks_is_told_to_walk(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inotify, "is_available", lambda: False)
    watcher = Watcher(plant({"a.py": ""}), lambda paths: None)
    watcher.start(tells=False)
    assert watcher.look() == watcher.look() == {EVERYTHING}
    watcher.stop()
