"""A folder that is not trusted, in the real window: nothing of it is read until the user trusts it."""

from __future__ import annotations

from pathlib import Path

from tests.editors.vscode.vscode_window import QUICK_ROWS, STATUS, CodeServer, Window


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
