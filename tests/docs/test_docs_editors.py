"""The pages on editors that no test runs say so, and show the configuration that lies below editors/."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from modstar_lsp import __version__
from modstar_lsp.server.settings import parse_settings

ROOT = Path(__file__).resolve().parents[2]
SHOWN = {
    "helix.md": "helix/languages.toml",
    "jetbrains.md": "jetbrains/settings.json",
    "kate.md": "kate/settings.json",
    "sublime.md": "sublime/LSP.sublime-settings",
    "zed.md": "zed/extension.toml",
}


@pytest.mark.parametrize(("page", "file"), SHOWN.items())
def test_the_page_shows_what_the_file_holds(page: str, file: str) -> None:
    text = (ROOT / "docs/editors" / page).read_text("utf-8")
    (shown,) = re.findall(r"```(?:json|toml)\n(.*?)```", text, re.DOTALL)
    assert (ROOT / "editors" / file).read_text("utf-8").endswith(shown)


@pytest.mark.parametrize("page", ["jetbrains.md", "kate.md", "sublime.md", "zed.md"])
def test_what_was_not_tried_is_said_to_be(page: str) -> None:
    assert "**Untried**" in (ROOT / "docs/editors" / page).read_text("utf-8").split("\n\n")[1]


def test_every_configuration_can_be_read_and_starts_the_server() -> None:
    def read(file: str) -> str:
        return (ROOT / "editors" / file).read_text("utf-8")

    assert json.loads(read("jetbrains/template.json"))["programArgs"]["default"] == "modstar-lsp"
    assert json.loads(read("kate/settings.json"))["servers"]["modstar"]["command"] == ["modstar-lsp"]
    assert json.loads(read("sublime/LSP.sublime-settings"))["clients"]["modstar"]["command"] == [
        "modstar-lsp"
    ]
    assert (
        tomllib.loads(read("helix/languages.toml"))["language-server"]["modstar"]["command"] == "modstar-lsp"
    )
    assert '.which("modstar-lsp")' in read("zed/src/lib.rs")
    for manifest in ("zed/extension.toml", "zed/Cargo.toml"):
        assert f'version = "{__version__}"' in read(manifest)


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("jetbrains/settings.json", ["modstar"]),
        ("kate/settings.json", ["servers", "modstar", "settings", "modstar"]),
    ],
)
def test_the_settings_shown_are_settings_of_the_server(file: str, names: list[str]) -> None:
    shown = json.loads((ROOT / "editors" / file).read_text("utf-8"))
    for name in names:
        shown = shown[name]
    settings, problems = parse_settings(shown)
    assert not problems and settings.wire()["search"]["limit"] == 30
