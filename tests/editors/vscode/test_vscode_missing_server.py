"""A window on a machine where modstar is not installed."""

from __future__ import annotations

from pathlib import Path

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
        window.see(NOTIFICATION, r'not installed: run pip install "modstar\[lsp\]", then try again\.')
        window.see(f"{NOTIFICATION} .monaco-button", "Copy Install Command")
        window.see(STATUS, "the server is not installed")
        window.do("click", f"{NOTIFICATION} .codicon-notifications-clear")
        window.do("gone", NOTIFICATION)
        # a question says so again, and nothing else happens
        window.press("Control+Alt+k")
        window.see(SEARCH_INPUT)
        window.do("type", "anything")
        window.see(NOTIFICATION, "not installed")
        window.do("gone", QUICK_ROWS)
        window.do("click", f"{NOTIFICATION} .monaco-button:has-text('Copy Install Command')")
        window.see(".statusbar", "Copied: pip install")
