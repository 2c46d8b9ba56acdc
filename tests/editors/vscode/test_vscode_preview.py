"""The preview of a hit while one is chosen: in sight, up to date, and gone without a trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import sleep

import pytest

from tests.editors.vscode.vscode_window import QUICK_ROWS, RESULTS, Window

EDITOR = ".editor-group-container.active .monaco-editor"
TABS = ".tabs-container .tab"
EXPLORER = ".explorer-folders-view .monaco-list-row"
CURSOR = "#status\\.editor\\.selection"
# Nothing can be scrolled below the list when so few lines are above it.
FIRST_LINES = 20


def focused(window: Window) -> tuple[str, int]:
    """File name and line of the row that is focused in the list."""
    window.see(f"{QUICK_ROWS}.focused", r":\d+")
    # While a better order is drawn no row is focused for a moment.
    row = next(row for _ in range(50) for row in window.read(f"{QUICK_ROWS}.focused"))
    found = re.search(r"([^\s/]+):(\d+)", row)
    assert found, row
    return found[1], int(found[2])


def previewed(window: Window) -> tuple[str, int]:
    """Wait until the focused row is shown, and return what it names."""
    file, line = focused(window)
    window.see(f"{TABS}.active", re.escape(file))
    window.see(CURSOR, f"Ln {line},")
    return file, line


def scrolled(window: Window) -> float:
    """Where the text of the active editor begins, in pixels."""
    return window.do("box", f"{EDITOR} .lines-content")["y"]


def text(window: Window) -> list[str]:
    """What is to be read in the active editor."""
    return window.read(f"{EDITOR} .view-lines .view-line")


def open_readme(window: Window) -> None:
    """Open the README from the explorer, to stay."""
    window.command("View: Show Explorer")
    window.see(".explorer-folders-view .monaco-list.focused, .explorer-folders-view .monaco-list:focus")
    window.press("End")
    window.see(f"{EXPLORER}.focused", "README.md")
    window.press("Enter")
    window.at("README.md", 1)
    window.command("View: Keep Editor")
    window.do("gone", f"{TABS}.active .italic")
    window.do("click", f"{EDITOR} .view-lines")
    window.press("Control+Home")


def look_around(window: Window) -> None:
    """Pass over some hits, in the same file and in others, and leave with Escape."""
    window.search("make a numbered directory with a prefix")
    seen = {previewed(window)}
    for _ in range(4):
        window.press("ArrowDown")
        seen.add(previewed(window))
    assert len({file for file, _ in seen}) > 1
    window.press("Escape")
    window.do("gone", ".quick-input-widget")
    window.do("gone", f"{TABS}:nth-child(2)")


@pytest.fixture(params=["no panel", "panel"])
def panel(request: pytest.FixtureRequest, workbench: Window) -> Iterator[None]:
    """Without a panel below the editor, and with one, as who has a terminal open."""
    if request.param == "no panel":
        yield
        return
    workbench.command("View: Focus Problems")
    workbench.see(".part.panel", "No problems")
    yield
    workbench.press("Escape")
    workbench.command("View: Hide Panel")


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
@pytest.mark.parametrize("question", ["capture output of a test", "undo changes to environment variables"])
@pytest.mark.usefixtures("panel")
def test_the_list_does_not_hide_what_it_previews(
    workbench: Window, question: str, size: tuple[int, int]
) -> None:
    workbench.do("resize", *size)
    workbench.search(question)
    seen = 0
    for _ in range(6):
        _, line = previewed(workbench)
        if line > FIRST_LINES:
            sleep(0.2)  # the cursor is set before the text is scrolled
            seen += 1
            widget = workbench.do("box", ".quick-input-widget")
            named = workbench.do("box", f"{EDITOR} .current-line")
            assert named["y"] >= widget["y"] + widget["height"], f"line {line} is behind the list"
        workbench.press("ArrowDown")
    assert seen > 3


def test_escape_brings_back_scroll_cursor_and_folding_to_the_pixel(workbench: Window) -> None:
    workbench.search("make_numbered_dir")
    workbench.press("Enter")
    workbench.at("pathlib.py")
    workbench.command("Fold Level 2")
    box = workbench.do("box", EDITOR)
    workbench.do("move", box["x"] + 200, box["y"] + 300)
    workbench.do("wheel", -133)
    sleep(0.5)
    before = scrolled(workbench), text(workbench), workbench.read(CURSOR)
    look_around(workbench)
    assert (scrolled(workbench), text(workbench), workbench.read(CURSOR)) == before


def test_escape_brings_back_a_tab_that_was_a_preview_itself(workbench: Window) -> None:
    workbench.search("SafeRepr.repr_instance")
    workbench.do("click", ".quick-input-widget .quick-input-titlebar .action-label")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
    workbench.press("Enter")
    workbench.see(f"{TABS}.active .italic", "saferepr.py")
    sleep(0.5)
    before = scrolled(workbench), workbench.read(CURSOR)
    look_around(workbench)
    workbench.see(f"{TABS}.active .italic", "saferepr.py")
    assert (scrolled(workbench), workbench.read(CURSOR)) == before


def test_the_explorer_unfolds_nothing_while_results_are_passed_over(workbench: Window) -> None:
    open_readme(workbench)
    before = workbench.read(EXPLORER)
    look_around(workbench)
    assert workbench.read(EXPLORER) == before


def test_results_that_are_passed_by_quickly_do_not_come_after_the_last(workbench: Window) -> None:
    open_readme(workbench)
    workbench.search("make a numbered directory with a prefix")
    workbench.press(*["ArrowDown"] * 6)
    file, line = previewed(workbench)
    sleep(1)  # for one that would come late
    assert (file, line) == previewed(workbench)
    workbench.press("ArrowDown", "Escape")
    workbench.at("README.md", 1)
    sleep(1)
    workbench.at("README.md", 1)
    assert len(workbench.read(TABS)) == 1


def test_a_preview_shows_the_text_as_it_stands_unsaved(workbench: Window) -> None:
    open_readme(workbench)
    workbench.do("type", "# How to bake bread with sourdough\n\nKnead the sourdough, let it rest.\n")
    workbench.search("bake bread with sourdough")
    workbench.see(f"{QUICK_ROWS}.focused", "unsaved")
    assert previewed(workbench) == ("README.md", 1)
    workbench.see(f"{EDITOR} .view-lines", r"Knead\sthe\ssourdough")
    workbench.press("Enter")
    workbench.at("README.md", 1)
    workbench.do("gone", f"{TABS}:nth-child(2)")  # the preview goes after the file has come
    assert len(workbench.read(TABS)) == 1
    workbench.command("File: Revert File")


def test_enter_leaves_the_file_itself_open_and_nothing_else(workbench: Window) -> None:
    open_readme(workbench)
    workbench.search("make a numbered directory with a prefix")
    previewed(workbench)
    workbench.press("Enter")
    workbench.see(f"{TABS}.active", r"^pathlib\.py\n")  # of the copy it is "pathlib.py, preview"
    workbench.do("gone", f"{TABS}:nth-child(3)")
    workbench.at("pathlib.py")
    assert len(workbench.read(TABS)) == 2
    workbench.do("type", "x")  # it can be changed
    workbench.see(f"{TABS}.active.dirty")
    workbench.command("File: Revert File")
