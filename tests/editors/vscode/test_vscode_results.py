"""The results view: a tree in rank order, with what can be done with a result."""

from __future__ import annotations

import re
from pathlib import Path

from tests.editors.vscode.vscode_window import QUICK_ROWS, RESULTS, Window

NARROW = 250
# Characters that a row of the search shows of a note, in a window 1280 wide.
NOTE = 80


def ask(window: Window, question: str) -> list[str]:
    """Ask, keep the answer in the side bar, and return the labels of its rows."""
    window.search(question)
    window.do("click", ".quick-input-widget .quick-input-titlebar .action-label")
    window.see(".pane-body .message", question)
    window.see(f"{RESULTS}.selected.focused", "^1: ")
    window.see(RESULTS, "^line ")
    return window.read(RESULTS)


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


def test_a_folded_result_says_what_was_found(workbench: Window) -> None:
    ask(workbench, "make a numbered directory with a prefix")
    workbench.press("ArrowLeft")
    folded = f"{RESULTS}[aria-expanded='false']"
    workbench.see(f"{folded} .label-description", r"\n#1 \d\.\d\d make_numbered_dir · src/_pytest$")
    for said in workbench.read(f"{folded} .label-description"):
        assert re.match(r"#\d+ \d\.\d\d .+ · ", said), said


def test_a_line_cut_at_its_beginning_begins_with_a_word(workbench: Window) -> None:
    ask(workbench, "where are temporary directories removed")
    cut = [text for text in workbench.read(f"{RESULTS} .label-name") if text.startswith("…")]
    assert cut and all(re.match(r"…\w", text) for text in cut), cut


def test_what_is_folded_in_one_list_is_not_in_the_next(workbench: Window) -> None:
    ask(workbench, "FDCapture.snap")
    workbench.press("ArrowLeft")
    workbench.see(f"{RESULTS}[data-index='0'][aria-expanded='false']", "^1: ")
    ask(workbench, "make a numbered directory with a prefix")
    workbench.see(f"{RESULTS}[data-index='1']", "^line .*def make_numbered_dir")


def test_where_nothing_is_good_enough_the_closest_is_shown(workbench: Window) -> None:
    workbench.ask("kubernetes ingress controller certificate rotation")
    workbench.see(QUICK_ROWS, "no good match")
    notes = [row for row in workbench.read(QUICK_ROWS) if ".py:" not in row]
    assert len(notes) == len(workbench.read(QUICK_ROWS)) - 1
    assert all(";" not in note and len(note) < NOTE for note in notes), notes
    workbench.do("click", ".quick-input-widget .quick-input-titlebar .action-label")
    workbench.see(".pane-body .message", "no good match")
    workbench.do("gone", f"{RESULTS}[data-index='1']")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
    workbench.choose("Dismiss")
    workbench.do("gone", RESULTS)


def test_a_line_opens_where_it_stands(workbench: Window) -> None:
    rows = ask(workbench, "make a numbered directory with a prefix")
    line = next(row for row in rows[2:] if row.startswith("line "))
    workbench.press("ArrowDown", "ArrowDown", "Enter")
    workbench.see(".tab.active", "pathlib.py")
    workbench.see("#status\\.editor\\.selection", f"Ln {line.split(':')[0].removeprefix('line ')},")


def test_the_context_menu_copies_opens_and_dismisses(workbench: Window, repository: Path) -> None:
    before = [row for row in ask(workbench, "make a numbered directory with a prefix") if row[0].isdigit()]
    workbench.choose("Copy path")
    workbench.do("copied", str(repository / "src/_pytest/pathlib.py"))
    workbench.choose("Copy relative path and line")
    workbench.do("copied", "src/_pytest/pathlib.py:")
    workbench.choose("Open to the side")
    workbench.see(".editor-group-container:nth-child(1) .tab, .split-view-view .tab.active", "pathlib.py")
    workbench.command("modstar: Focus on Results View")
    workbench.press("Home")
    workbench.choose("Dismiss")
    workbench.see(f"{RESULTS}[data-index='0']", "^2: ")
    after = [row for row in workbench.read(RESULTS) if row[0].isdigit()]
    assert after[0] == before[1]
    workbench.press("Home")
    workbench.choose("Find code similar to this")
    workbench.see(".pane-body .message", "Similar to")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
