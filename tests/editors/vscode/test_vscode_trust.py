"""A folder that is not trusted, in the real window: nothing of it is read until the user trusts it."""

from __future__ import annotations

from pathlib import Path

from tests.editors.vscode.vscode_window import NOTIFICATION, QUICK_ROWS, STATUS, CodeServer, Window

DIALOG = ".monaco-dialog-box"
ASKED = {"security.workspace.trust.startupPrompt": "always"}


def test_trust_is_offered_where_it_lacks_and_then_the_folder_is_indexed_as_set(
    shop: Path, base: Path, environment: dict[str, str], vsix: Path, window: Window
) -> None:
    settings = {"modstar.index.exclude": ["cmd/**"]}
    server = CodeServer(base / "trust", environment, settings=settings, trusted=False)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(STATUS, "not indexed: this workspace is not trusted")
        window.do("hover", STATUS)
        window.see(".monaco-hover", "Manage workspace trust")
        window.ask("close idle database connections")
        window.see(QUICK_ROWS, "not indexed: this workspace is not trusted")
        window.see(f"{QUICK_ROWS}.focused", "Manage workspace trust")
        window.press("Enter")
        window.trust()
        window.see(STATUS, "shop, 5 files indexed")
        window.search("close idle database connections")
        window.press("Enter")
        window.at("pool.py", 5)


def test_a_folder_that_is_asked_for_and_trusted_is_indexed(
    shop: Path, base: Path, environment: dict[str, str], vsix: Path, window: Window
) -> None:
    server = CodeServer(base / "asked", environment, settings=ASKED, trusted=False)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(DIALOG, "Do you trust the authors")
        window.do("click", f"{DIALOG} .monaco-button:has-text('Yes')")
        window.do("gone", DIALOG)
        window.see(STATUS, "shop, 6 files indexed")
        window.search("close idle database connections")
        window.press("Enter")
        window.at("pool.py", 5)


def test_a_folder_that_is_asked_for_and_not_trusted_is_not_read(
    shop: Path, base: Path, environment: dict[str, str], vsix: Path, window: Window
) -> None:
    server = CodeServer(base / "refused", environment, settings=ASKED, trusted=False)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(DIALOG, "Do you trust the authors")
        window.do("click", f"{DIALOG} .monaco-button:has-text('No')")
        window.do("gone", DIALOG)
        window.see(".part.statusbar", "Restricted Mode")
        window.see(STATUS, "not indexed: this workspace is not trusted")
        window.command("View: Show Explorer")
        window.do("click", ".explorer-folders-view .monaco-list-row:has-text('README.md')", "right")
        window.do("choose", ".monaco-menu .action-item:has-text('Why is this file not found')")
        window.see(NOTIFICATION, "not trusted")
        window.see(f"{NOTIFICATION} .monaco-button", "Manage Workspace Trust")
