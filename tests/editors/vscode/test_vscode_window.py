"""The workbench as a person uses it: keys typed into the real window, and where the editor ends up."""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import sleep

from tests.editors.vscode.vscode_window import (
    QUICK_ROWS,
    RESULTS,
    SEARCH_INPUT,
    STATUS,
    CodeServer,
    Window,
)

# The pictures of the README, and (vscode-step-*) of the walkthrough:
# MODSTAR_PICTURES=docs/images MODSTAR_SCALE=2 scripts/editors.sh python -m pytest \
#   tests/editors/vscode -k picture
PICTURES = os.environ.get("MODSTAR_PICTURES")
PICTURE_SIZE = (1100, 660)
# A walkthrough shows its pictures 520 points wide; in a window of this width the list is as wide as that.
STEP_WINDOW = (840, 660)
STEP_WIDTH = 520


def line_of(file: Path, text: str) -> int:
    """The line, from 1, at which a file has the text."""
    return 1 + next(i for i, line in enumerate(file.read_text("utf-8").splitlines()) if text in line)


def rank_and_name(row: str) -> str:
    """The name in the label of a row, which begins with its icon's name."""
    return re.split(r",\s", row)[0].split("  ")[-1]


def test_a_sentence_ends_at_its_function(workbench: Window, repository: Path) -> None:
    workbench.search("make a numbered directory with a prefix")
    rows = workbench.read(QUICK_ROWS)
    assert rank_and_name(rows[0]) == "make_numbered_dir"
    scores = [float(score) for row in rows for score in re.findall(r",\s([01]\.\d\d)\s", row)]
    assert len(scores) > 1 and scores == sorted(scores, reverse=True), "best first, whatever the names"
    workbench.press("Enter")
    workbench.at("pathlib.py", line_of(repository / "src/_pytest/pathlib.py", "def make_numbered_dir("))


def test_the_command_palette_leads_there_too(workbench: Window, repository: Path) -> None:
    workbench.command("modstar: Search code by meaning")
    workbench.see(SEARCH_INPUT)
    workbench.do("type", "SafeRepr", 15)
    workbench.see(f"{QUICK_ROWS}[data-index='0']", "SafeRepr")
    workbench.press("Enter")
    workbench.at("saferepr.py", line_of(repository / "src/_pytest/_io/saferepr.py", "class SafeRepr("))


def test_enter_pressed_at_once_opens_the_answer_to_the_whole_sentence(workbench: Window) -> None:
    workbench.press("Shift+Alt+M")
    workbench.see(SEARCH_INPUT)
    workbench.do("type", "make a numbered directory with a prefix")
    workbench.press("Enter")
    workbench.at("pathlib.py")


def test_arrows_preview_and_escape_restores(workbench: Window, repository: Path) -> None:
    line = line_of(repository / "src/_pytest/_io/saferepr.py", "class SafeRepr(")
    workbench.search("SafeRepr")
    workbench.press("Enter")
    workbench.at("saferepr.py", line)
    workbench.search("make a numbered directory with a prefix")
    workbench.see(".tab.active", r"(pathlib|tmpdir)\.py")  # by which of two orders is there first
    workbench.press("ArrowDown", "ArrowDown")
    workbench.press("Escape")
    workbench.at("saferepr.py", line)
    workbench.do("gone", ".tabs-container .tab:nth-child(2)")  # the preview, which closes in its own time
    assert len(workbench.read(".tabs-container .tab")) == 1


def test_buttons_put_filters_into_the_question_and_take_them_out(workbench: Window) -> None:
    button = ".quick-input-widget .quick-input-titlebar .action-label[aria-label^='{}']"
    workbench.search("SafeRepr")
    workbench.press("Enter")
    workbench.at("saferepr.py")
    workbench.search("get the width of the terminal")
    assert any("src/_pytest/_io" not in row for row in workbench.read(QUICK_ROWS))
    workbench.do("click", button.format("This Folder: src/_pytest/_io"))
    workbench.see(f"{QUICK_ROWS}[data-index='0']", "get_terminal_width")
    workbench.do("gone", f"{QUICK_ROWS}:not(:has-text('src/_pytest/_io'))")
    workbench.do("type", "lang:python", 15)  # the cursor is where one would write on
    workbench.do("click", button.format("Code Only"))
    workbench.press("Enter")
    workbench.at("terminalwriter.py")
    sleep(1)  # the preview goes in its own time; until then it is what the editor shows
    workbench.ask("")
    workbench.see(QUICK_ROWS, r"terminal path:src/_pytest/_io/\*\* lang:python in:code\n")
    workbench.press("Enter")
    workbench.see(".quick-input-title", r"\d+ results? in \d+ ms")
    workbench.do("click", button.format("Code Only"))
    workbench.do("click", button.format("This Folder"))
    workbench.press("Enter")
    workbench.at("terminalwriter.py")
    workbench.ask("")
    workbench.see(QUICK_ROWS, r"terminal lang:python\n")


def test_the_pin_keeps_the_results_in_rank_order(workbench: Window) -> None:
    workbench.search("where are temporary directories removed")
    shown = [rank_and_name(row) for row in workbench.read(QUICK_ROWS)]
    workbench.do("click", ".quick-input-widget .quick-input-titlebar .action-label")
    workbench.see(".pane-body .message", "where are temporary directories removed")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
    kept = [row for row in workbench.read(RESULTS) if not row.startswith("line ")]
    both = min(len(kept), len(shown))  # as far as both lists reach without scrolling
    assert both > 3
    assert [row.split(": ", 1)[1].split(",")[0] for row in kept[:both]] == shown[:both]
    assert [int(row.split(":")[0]) for row in kept] == list(range(1, len(kept) + 1))


def test_similar_code_from_the_context_menu(workbench: Window) -> None:
    workbench.search("SafeRepr.repr_instance")
    workbench.press("Enter")
    workbench.at("saferepr.py")
    workbench.press("Shift+F10")
    workbench.see(".monaco-menu", "Find similar code")
    workbench.press("ArrowDown")
    workbench.see(".monaco-menu .action-item.focused", "Find similar code")
    workbench.press("Enter")
    workbench.see(".pane-body .message", "Similar to saferepr.py")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
    assert "repr" in workbench.read(RESULTS)[0]
    workbench.press("Enter")
    workbench.at("saferepr.py")


def test_the_status_bar_pauses_and_resumes(workbench: Window) -> None:
    workbench.do("click", STATUS)
    workbench.see(QUICK_ROWS, "Pause indexing")
    workbench.do("type", "pause")
    workbench.press("Enter")
    workbench.see(STATUS, "paused")
    workbench.do("click", STATUS)
    workbench.see(QUICK_ROWS, "Resume indexing")
    workbench.do("type", "resume")
    workbench.press("Enter")
    workbench.see(STATUS, r"^modstar: \S+, \d+ files indexed")


def test_logs_are_shown(workbench: Window) -> None:
    workbench.command("modstar: Show logs")
    workbench.see(".panel .view-lines", "starting")
    workbench.command("View: Hide Panel")


def test_debug_information_is_shown_before_it_is_shared(workbench: Window) -> None:
    workbench.command("modstar: Print debug information")
    workbench.at("modstar")
    text = r"debug\s+information.*found\s+by\s+the\s+PATH"  # the editor shows hard spaces
    workbench.see(".editor-group-container.active .view-lines", text)
    workbench.command("View: Revert and Close Editor")


def test_restart_and_rebuild_end_with_all_of_it(workbench: Window) -> None:
    for title in ("modstar: Restart server", "modstar: Rebuild the index"):
        workbench.command(title)
        workbench.see(STATUS, r"^modstar: \S+, \d+ files indexed")
        workbench.search("make a numbered directory with a prefix")
        workbench.see(f"{QUICK_ROWS}[data-index='0']", "make_numbered_dir")
        workbench.press("Escape")


def test_deleting_the_index_asks_first(workbench: Window) -> None:
    workbench.command("modstar: Delete the index")
    workbench.see(".monaco-dialog-box", "Delete the index of this workspace")
    workbench.press("Escape")
    workbench.do("gone", ".monaco-dialog-box")
    workbench.see(STATUS, r"^modstar: \S+, \d+ files indexed")
    workbench.command("modstar: Delete the index")
    workbench.do("click", ".monaco-dialog-box .monaco-button:has-text('Delete')")
    workbench.see(STATUS, r"paused; \S+, nothing indexed")
    workbench.command("modstar: Resume indexing")
    workbench.see(STATUS, r"^modstar: \S+, \d+ files indexed")


def test_pictures_of_the_search_the_similar_code_and_the_status(
    workbench: Window, repository: Path, base: Path
) -> None:
    folder = Path(PICTURES).resolve() if PICTURES else base
    width, height = PICTURE_SIZE
    workbench.do("resize", width, height)
    workbench.command("View: Show Explorer")
    workbench.search("undo changes to environment variables after a test")
    workbench.see(".tab.active", "monkeypatch.py")
    workbench.do("picture", str(folder / "vscode-search.png"))
    workbench.press("Escape")

    workbench.search("FDCapture.snap")
    workbench.press("Enter")
    workbench.at("capture.py")
    workbench.command("modstar: Find similar code")
    workbench.see(".pane-body .message", "Similar to capture.py")
    workbench.see(f"{RESULTS}.selected.focused", "^1: ")
    workbench.press("Enter")
    workbench.at("capture.py")
    workbench.do("move", width / 2, height / 2)
    workbench.do("picture", str(folder / "vscode-similar.png"))

    width, height = STEP_WINDOW
    workbench.do("resize", width, height)
    clip = {"x": 0, "y": 0, "width": STEP_WIDTH, "height": 330}
    workbench.do("picture", str(folder / "vscode-step-similar.png"), clip)

    workbench.do("hover", STATUS)
    workbench.see(".monaco-hover", r"pieces\sof\scode")
    clip = {"x": width - STEP_WIDTH, "y": height - 160, "width": STEP_WIDTH, "height": 160}
    workbench.do("picture", str(folder / "vscode-step-status.png"), clip)
    workbench.do("move", width / 2, height / 2)

    workbench.search("undo changes to environment variables after a test")
    workbench.see(".tab.active", "monkeypatch.py")
    clip = {"x": (width - STEP_WIDTH) / 2, "y": 0, "width": STEP_WIDTH, "height": 330}
    workbench.do("picture", str(folder / "vscode-step-search.png"), clip)
    for name in ("search", "similar", "step-search", "step-similar", "step-status"):
        assert (folder / f"vscode-{name}.png").stat().st_size > 10_000


def test_similar_code_in_a_peek(workbench: Window, server: CodeServer, repository: Path) -> None:
    settings = repository / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"modstar.similar.show": "peek"}')
    workbench.do("open", server.url(repository))
    workbench.see(STATUS, "files indexed")
    workbench.search("FDCapture.snap")
    workbench.press("Enter")
    workbench.at("capture.py")
    workbench.command("modstar: Find similar code")
    workbench.see(".peekview-widget .ref-tree", "def snap")
    workbench.press("Escape")
    workbench.do("gone", ".peekview-widget")
