"""The results view: a tree in rank order, with what can be done with a result."""

from __future__ import annotations

from pathlib import Path

from tests.editors.vscode.vscode_window import RESULTS, Window

MENU = ".monaco-menu .action-item"
NARROW = 250


def ask(window: Window, question: str) -> list[str]:
    """Ask, keep the answer in the side bar, and return the labels of its rows."""
    window.search(question)
    window.do("click", ".quick-input-widget .quick-input-titlebar .action-label")
    window.see(".pane-body .message", question)
    window.see(f"{RESULTS}.selected.focused", "^1: ")
    window.see(RESULTS, "^line ")
    return window.read(RESULTS)


def choose(window: Window, entry: str) -> None:
    """Choose an entry of the context menu of the row in focus."""
    window.press("Shift+F10")
    window.see(MENU, entry)
    window.do("choose", f"{MENU}:has-text('{entry}')")
    window.do("gone", ".monaco-menu")


def test_each_result_has_its_file_first_and_its_lines_of_code_below(workbench: Window) -> None:
    rows = ask(workbench, "make a numbered directory with a prefix")
    assert rows[0].startswith("1: make_numbered_dir, ") and rows[1].startswith("line ")
    assert "def make_numbered_dir(" in rows[1]
    workbench.see(f"{RESULTS}.selected .monaco-icon-label-container", r"^\s*pathlib\.py")
    marked = workbench.read(f"{RESULTS} .highlight")
    assert "make_numbered" in marked[0]


def test_a_narrow_view_shows_file_and_score_and_what_is_marked(workbench: Window) -> None:
    ask(workbench, "make a numbered directory with a prefix")
    workbench.do("resize", 1280, 800)
    left = workbench.do("box", ".part.sidebar")["x"]
    workbench.do("drag", ".monaco-sash.vertical:not(.disabled)", left + NARROW)
    side = workbench.do("box", ".part.sidebar")
    assert side["width"] <= NARROW + 60
    mark = workbench.do("box", f"{RESULTS} .highlight")
    assert mark["x"] + mark["width"] < side["x"] + side["width"]
    description = workbench.do("box", f"{RESULTS} .label-description")
    assert description["x"] + 30 < side["x"] + side["width"], "the score begins where the view has ended"


def test_a_line_opens_where_it_stands(workbench: Window) -> None:
    rows = ask(workbench, "make a numbered directory with a prefix")
    line = next(row for row in rows[2:] if row.startswith("line "))
    workbench.press("ArrowDown", "ArrowDown", "Enter")
    workbench.see(".tab.active", "pathlib.py")
    workbench.see("#status\\.editor\\.selection", f"Ln {line.split(':')[0].removeprefix('line ')},")


def test_the_context_menu_copies_opens_and_dismisses(workbench: Window, repository: Path) -> None:
    before = [row for row in ask(workbench, "make a numbered directory with a prefix") if row[0].isdigit()]
    choose(workbench, "Copy path")
    workbench.do("copied", str(repository / "src/_pytest/pathlib.py"))
    choose(workbench, "Copy relative path and line")
    workbench.do("copied", "src/_pytest/pathlib.py:")
    choose(workbench, "Open to the side")
    workbench.see(".editor-group-container:nth-child(1) .tab, .split-view-view .tab.active", "pathlib.py")
    workbench.command("modstar: Focus on Results View")
    workbench.press("Home")
    choose(workbench, "Dismiss")
    workbench.see(f"{RESULTS}[data-index='0']", "^2: ")
    after = [row for row in workbench.read(RESULTS) if row[0].isdigit()]
    assert after[0] == before[1]
    workbench.press("Home")
    choose(workbench, "Find code similar to this")
    workbench.see(".pane-body .message", "Similar to")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
