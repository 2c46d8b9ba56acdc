"""A better order that takes the place of the first list: a reader of the user's own gives it when told to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic, sleep

import pytest

from tests.editors.vscode.vscode_window import ANSWER_SECONDS, QUICK_ROWS, RESULTS, STATUS, CodeServer, Window
from tests.reader_endpoint import Endpoint, playing

QUESTION = "where are temporary directories removed"
TITLE = ".quick-input-title"
COMPLETE = r"\d+ results? in \d+ ms"
PIN = ".quick-input-widget .quick-input-titlebar .action-label"


@pytest.fixture(scope="module")
def reader() -> Iterator[Endpoint]:
    """Takes the last candidate for the best."""
    with playing() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def opened(
    base: Path, repository: Path, environment: dict[str, str], vsix: Path, window: Window, reader: Endpoint
) -> Iterator[Window]:
    """The window on a library, with lists as long whatever the scores."""
    # not by the settings: those of the machine are not the user's own in a window whose files are elsewhere
    environment = {**environment, "MODSTAR_READER": reader.url, "MODSTAR_READER_SECONDS": "600"}
    server = CodeServer(base / "reader", environment, settings={"modstar.search.minScore": 0})
    server.install(vsix)
    with server:
        window.do("open", server.url(repository))
        window.see(STATUS, r"\d+ files indexed")
        yield window


@pytest.fixture
def workbench(opened: Window, reader: Endpoint) -> Iterator[Window]:
    """The window, the reader waiting to be told."""
    reader.hold = Event()
    reader.requests.clear()
    yield opened
    reader.hold.set()
    opened.press("Escape")
    opened.do("gone", ".quick-input-widget")


def names(rows: list[str]) -> list[str]:
    """File and line in the label of each row."""
    found = [re.search(r"[\w.]+\.\w+:\d+", row) for row in rows]
    return [match[0] for match in found if match]


def first_list(window: Window, reader: Endpoint) -> list[str]:
    """Ask, and return what is shown before the reader has answered."""
    window.ask(QUESTION)
    end = monotonic() + ANSWER_SECONDS
    while not any(
        QUESTION in str(request.body) for request in reader.requests
    ):  # all of it, not its beginning
        assert monotonic() < end, "the reader was not asked"
        sleep(0.1)
    window.see(f"{QUICK_ROWS}.focused", r":\d+")
    shown = names(window.read(QUICK_ROWS))
    assert len(shown) > 4
    sleep(3)  # a step while the list is drawn may not count as the user's; a busy machine draws long
    return shown


def step(window: Window, *keys: str, to: str) -> None:
    """Move to the row `to`, and rest there: VS Code tells the extension of a row in focus a moment later."""
    window.press(*keys)
    window.see(f"{QUICK_ROWS}.focused", re.escape(to))
    sleep(0.5)


def better_list(window: Window, reader: Endpoint) -> list[str]:
    """Have the reader answer, and return what is shown then."""
    assert reader.hold is not None
    reader.hold.set()
    window.see(TITLE, COMPLETE)
    window.see(f"{QUICK_ROWS}.focused", r":\d+")
    return names(window.read(QUICK_ROWS))


def focused(window: Window) -> tuple[list[str], float]:
    """The row in focus, and where on the screen it is."""
    return names(window.read(f"{QUICK_ROWS}.focused")), window.do("box", f"{QUICK_ROWS}.focused")["y"]


def test_who_has_not_moved_is_at_the_new_first_result(workbench: Window, reader: Endpoint) -> None:
    first = first_list(workbench, reader)
    better = better_list(workbench, reader)
    assert better[0] != first[0]
    workbench.see(f"{QUICK_ROWS}.focused[data-index='0']")
    workbench.see(".tab.active", re.escape(better[0].split(":")[0]))
    workbench.press("Enter")
    file, line = better[0].split(":")
    workbench.at(file, int(line))


def test_under_who_has_moved_nothing_moves_and_the_rest_is_in_the_better_order(
    workbench: Window, reader: Endpoint
) -> None:
    first = first_list(workbench, reader)
    step(workbench, "ArrowDown", "ArrowDown", to=first[2])
    before = focused(workbench)
    better = better_list(workbench, reader)
    assert focused(workbench) == before
    assert better[:3] == first[:3] and better[3] != first[3]
    file, line = first[2].split(":")
    workbench.press("Enter")
    workbench.at(file, int(line))


def test_who_has_moved_and_come_back_stays_there_too(workbench: Window, reader: Endpoint) -> None:
    first = first_list(workbench, reader)
    step(workbench, "ArrowDown", to=first[1])
    step(workbench, "ArrowUp", to=first[0])
    assert better_list(workbench, reader)[0] == first[0] == focused(workbench)[0][0]


def test_another_question_begins_at_its_first_result(workbench: Window, reader: Endpoint) -> None:
    first = first_list(workbench, reader)
    step(workbench, "ArrowDown", "ArrowDown", to=first[2])
    workbench.do("type", " at the end", 15)
    better_list(workbench, reader)
    workbench.see(f"{QUICK_ROWS}.focused[data-index='0']")


def results(window: Window) -> list[str]:
    """The places in the results view, from the top."""
    return names([row for row in window.read(RESULTS) if row[0].isdigit()])


def asked_again(window: Window, reader: Endpoint, question: str) -> list[str]:
    """The first list in the results view, while the reader has not answered.

    question: asked nowhere else, since the server remembers what its reader said.
    """
    window.ask(question)
    window.see(f"{QUICK_ROWS}.focused", r":\d+")
    window.do("click", PIN)
    window.see(f"{RESULTS}.selected.focused", "^1: ")
    window.command("modstar: Focus on Results View")
    window.choose("Dismiss")  # to be seen when the list comes again
    window.see(f"{RESULTS}[data-index='0']", "^2: ")
    window.command("modstar: Search again")
    window.see(f"{RESULTS}.selected.focused[data-index='0']", "^1: ")
    return results(window)


def test_the_results_view_begins_at_the_new_first_result(workbench: Window, reader: Endpoint) -> None:
    first = asked_again(workbench, reader, "make a numbered directory with a prefix")
    assert reader.hold is not None
    reader.hold.set()
    workbench.see(f"{RESULTS}.selected[data-index='0']", rf"^1: (?!.*{re.escape(first[0])})")


def test_in_the_results_view_nothing_moves_under_who_has_moved(workbench: Window, reader: Endpoint) -> None:
    first = asked_again(workbench, reader, "undo changes to environment variables after a test")
    workbench.press("ArrowLeft", "ArrowDown")  # fold the first result, go to the second
    workbench.see(f"{RESULTS}.focused", re.escape(first[1]))
    workbench.press("Enter")
    workbench.see(f"{RESULTS}.selected", re.escape(first[1]))
    sleep(3)  # the extension hears of it a moment after the window shows it
    assert reader.hold is not None
    reader.hold.set()
    workbench.see(RESULTS, "^1: (?!.*" + re.escape(first[0]) + ")")
    assert results(workbench)[:2] == first[:2]
    workbench.see(f"{RESULTS}.selected[data-index='1']", re.escape(first[1]))
