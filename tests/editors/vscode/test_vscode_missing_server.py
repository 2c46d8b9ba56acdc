"""A window on a machine where modstar is not installed, or not all of it."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from tests.editors.vscode.vscode_window import (
    NOTIFICATION,
    QUICK_ROWS,
    SEARCH_INPUT,
    STATUS,
    CodeServer,
    Window,
)


def test_one_sentence_and_an_action(
    shop: Path, base: Path, bare_environment: dict[str, str], vsix: Path, window: Window
) -> None:
    server = CodeServer(base / "missing", bare_environment)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(NOTIFICATION, r"not installed: run pip install ~/src/modstar, your clone in its place")
        window.see(f"{NOTIFICATION} .monaco-button", "Copy Install Command")
        window.see(STATUS, "the server is not installed")
        window.do("click", f"{NOTIFICATION} .codicon-notifications-clear")
        window.do("gone", NOTIFICATION)
        # a question says so again, and nothing else happens
        window.press("Shift+Alt+M")
        window.see(SEARCH_INPUT)
        window.do("type", "anything")
        window.see(NOTIFICATION, "not installed")
        window.do("gone", QUICK_ROWS)
        window.do("click", f"{NOTIFICATION} .monaco-button:has-text('Copy Install Command')")
        window.see(".statusbar", "Copied: pip install")


def test_a_server_that_does_not_start_is_told_once_with_its_last_words(
    shop: Path, base: Path, bare_environment: dict[str, str], vsix: Path, window: Window
) -> None:
    programs = base / "broken"
    programs.mkdir()
    program = programs / "modstar-lsp"
    program.write_text("#!/bin/sh\necho Traceback >&2\necho 'modstar-lsp: attrs is missing' >&2\nexit 2\n")
    program.chmod(0o755)
    environment = {**bare_environment, "PATH": f"{programs}:{bare_environment['PATH']}"}
    server = CodeServer(base / "broken-state", environment)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(NOTIFICATION, "language server did not start: modstar-lsp: attrs is missing")
        window.see(f"{NOTIFICATION} .monaco-button", "Restart")
        window.see(STATUS, "the server is not running")
        sleep(1)  # for another one that would come late
        assert len(window.read(NOTIFICATION)) == 1
