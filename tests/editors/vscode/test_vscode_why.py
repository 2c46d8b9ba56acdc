"""Why a file is not found: asked in the explorer, where a file is seen that no answer names."""

from __future__ import annotations

from pathlib import Path

from tests.editors.vscode.vscode_window import NOTIFICATION, STATUS, CodeServer, Window

EXPLORER = ".explorer-folders-view .monaco-list-row"


def ask(window: Window, file: str) -> None:
    """Ask from the context menu of the explorer."""
    window.command("View: Show Explorer")
    window.do("click", f"{EXPLORER}:has-text('{file}')", "right")
    window.see(".monaco-menu .action-item", "Why is this file not found")
    window.do("choose", ".monaco-menu .action-item:has-text('Why is this file not found')")


def test_the_reason_is_told(
    shop: Path, base: Path, environment: dict[str, str], vsix: Path, window: Window
) -> None:
    (shop / ".gitignore").write_text("*.bak.py\n")
    (shop / "shop.bak.py").write_text("def sell():\n    return 1\n")
    (shop / "tools.py").write_text("def measure():\n    return 1\n")
    settings = {"modstar.index.exclude": ["tools.*"]}
    server = CodeServer(base / "why", environment, settings=settings)
    server.install(vsix)
    with server:
        window.do("open", server.url(shop))
        window.see(STATUS, "shop, 6 files indexed")
        ask(window, "shop.bak.py")
        window.see(NOTIFICATION, r"shop\.bak\.py is not searched: an ignore file")
        window.do("click", f"{NOTIFICATION} .monaco-button:has-text('Show All')")
        window.see(".editor-group-container.active .view-lines", r"shop\.bak\.py:\san\signore")
        ask(window, "tools.py")
        window.see(NOTIFICATION, r"modstar\.index\.exclude leaves it out")
        window.see(f"{NOTIFICATION} .monaco-button", "Open Settings")
        ask(window, "README.md")
        window.see(NOTIFICATION, r"README\.md is among the files that are searched")
