"""A change in the workspace is told once, shortly after it happened."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from planting import Plant

from modstar_lsp.files import read_source, walk
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

    def wait(self, enough: Callable[[], bool], seconds: float = 8) -> bool:
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


def test_polling_takes_over_when_the_system_can_watch_no_more(
    plant: Plant, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog import observers

    from modstar_lsp.files import watch

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(observers.Observer, "start", full)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    folder = plant({"a.py": ""})
    with Watcher(folder, heard, delay=0.1) as watcher:
        assert watcher.polling
        time.sleep(0.3)
        (folder / "a.py").write_text("longer\n")
        assert heard.wait(lambda: "a.py" in heard.paths)
