"""The extension with the server inside needs nothing else: no modstar on the machine, no other Python."""

from __future__ import annotations

from pathlib import Path

from tests.editors.editor_programs import program
from tests.editors.vscode.vscode_window import QUICK_ROWS, SEARCH_INPUT, STATUS, CodeServer, Window


def test_a_question_is_answered_by_the_server_that_it_brings(
    shop: Path, base: Path, bare_environment: dict[str, str], window: Window
) -> None:
    server = CodeServer(base / "bundled", bare_environment)
    server.install(Path(program("bundled_vsix")))
    with server:
        window.do("open", server.url(shop))
        window.see(STATUS, r"modstar: \S+, \d+ files indexed")
        window.press("Shift+Alt+M")
        window.see(SEARCH_INPUT)
        window.do("type", "retry failed uploads")
        window.see(QUICK_ROWS, "retry_failed_uploads")
        assert "the extension, which brings it along" in server.logs()
