"""What is off by default, switched on in the real window: the lens "1 similar", hints at near-duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from tests.editors.conftest import SHOP, make_repository
from tests.editors.vscode.vscode_window import QUICK_INPUT, QUICK_ROWS, RESULTS, STATUS, CodeServer, Window

THUMBNAIL = '''\
def {name}(picture, size, margin):
    """Scale a picture down so that it fits into a square, with a margin around it."""
    width, height = picture.width, picture.height
    factor = min(size / width, size / height, 1.0)
    scaled = picture.resize(int(width * factor), int(height * factor))
    canvas = scaled.background(size + 2 * margin, size + 2 * margin)
    canvas.paste(scaled, margin, margin)
    return canvas
'''
COPIES = {
    "src/shop/thumbnails.py": THUMBNAIL.format(name="make_thumbnail"),
    "src/shop/previews.py": THUMBNAIL.format(name="draw_preview"),
}
SETTINGS = {"modstar.codeLens.enabled": True, "modstar.duplicates.enabled": True}
LENS = ".contentWidgets .codelens-decoration a"


@pytest.fixture(scope="module")
def workbench(base: Path, environment: dict[str, str], vsix: Path, window: Window) -> Iterator[Window]:
    """The window on a folder in which two files have nearly the same function."""
    folder = make_repository(base / "copies", {**SHOP, **COPIES})
    server = CodeServer(base / "hints", environment, settings=SETTINGS)
    server.install(vsix)
    with server:
        window.do("open", server.url(folder))
        window.see(STATUS, r"\d+ files indexed")
        yield window


def show(window: Window, file: str) -> None:
    """Go to the beginning of a file."""
    window.press("Control+p")
    window.see(QUICK_INPUT)
    window.do("type", file)
    window.see(f"{QUICK_ROWS}.focused", file)
    window.press("Enter")
    window.at(file)
    window.press("Control+Home")


def test_the_lens_leads_to_the_similar_code(workbench: Window) -> None:
    show(workbench, "thumbnails.py")
    workbench.see(LENS, r"^\s*1 similar$")
    workbench.do("click", LENS)
    workbench.see(".pane-body .message", "Similar to thumbnails.py")
    workbench.see(f"{RESULTS}.selected.focused", "^1: draw_preview")
    workbench.press("Enter")
    workbench.at("previews.py", 1)


def test_the_hint_says_what_it_repeats_and_where(workbench: Window) -> None:
    show(workbench, "thumbnails.py")
    workbench.see(".squiggly-hint")
    workbench.press("Control+ArrowRight", "ArrowRight")  # over "def" to the name
    workbench.command("Show or Focus Hover")
    workbench.see(".monaco-hover", r"\d+\s*%\s+the\s+same\s+as\s+draw_preview\s+in\s+src/shop/previews.py:1")


def test_a_definition_that_is_like_no_other_has_nothing_above_it(workbench: Window) -> None:
    show(workbench, "upload.py")
    sleep(2)  # for the lenses to be counted
    assert [
        text.strip() for text in workbench.read(".contentWidgets .codelens-decoration") if text.strip()
    ] == []


def test_a_selection_shows_no_light_bulb_and_has_its_entry_when_asked(workbench: Window) -> None:
    show(workbench, "upload.py")
    workbench.press("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown")
    sleep(1)  # for VS Code to ask
    assert workbench.read(".lightBulbWidget, .codicon-light-bulb, .codicon-gutter-lightbulb") == []
    workbench.press("Control+.")
    workbench.see(".action-widget", "Find similar code")
    workbench.press("Escape")
    workbench.do("gone", ".action-widget")
    workbench.command("modstar: Find similar code")
    # the selection ends before the first character of line 4
    workbench.see(".pane-body .message", r"Similar to upload\.py:1-3: ")
