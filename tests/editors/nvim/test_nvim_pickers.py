"""The pickers, against thin stand-ins for their plugins: order, places, searching while typing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors.nvim.neovim_process import ENABLE, Neovim, Start

QUERY = "retry failed uploads, waiting longer each time"
PICKERS = ("telescope", "fzf", "snacks")


def check(nvim: Neovim, shop: Path) -> None:
    """The open picker leads to what QUERY is about, the best first."""
    shown = nvim.lua("return opened.shown()")
    assert (shown[0]["file"], shown[0]["lnum"], shown[0]["col"]) == (str(shop / "src/shop/upload.py"), 22, 9)
    assert "Uploader.retry_failed_uploads" in shown[0]["text"]
    scores = [float(entry["text"].split()[0]) for entry in shown]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("picker", PICKERS)
def test_a_picker_that_is_installed_is_taken(start: Start, shop: Path, picker: str) -> None:
    nvim = start(shop, "README.md", fakes=[picker])
    nvim.ready()
    nvim.type(f":Modstar search {QUERY}<CR>")
    nvim.wait("return opened and opened.shown and (opened.complete or #(opened.entries or {}) > 0)")
    check(nvim, shop)


@pytest.mark.parametrize("picker", ["telescope", "snacks"])
def test_a_narrow_list_shows_the_end_of_the_path(start: Start, library: Path, picker: str) -> None:
    nvim = start(library, "src/_pytest/config/__init__.py", fakes=[picker])
    nvim.ready()
    nvim.type(":Modstar search make a numbered directory with a prefix<CR>")
    nvim.wait("return opened and opened.shown and (opened.complete or #(opened.entries or {}) > 0)")
    for entry in nvim.lua("return opened.shown()"):
        assert f"{Path(entry['file']).name}:{entry['lnum']}" in entry["text"][:45]


@pytest.mark.parametrize("picker", PICKERS)
def test_typing_searches_anew(start: Start, shop: Path, picker: str) -> None:
    nvim = start(shop, "README.md", fakes=[picker])
    nvim.ready()
    nvim.type(":Modstar search<CR>")
    nvim.wait("return opened and opened.type ~= nil")
    nvim.lua("opened.type('value added tax')")
    nvim.lua("opened.type(arguments[1])", QUERY)
    nvim.wait("return opened.complete and #opened.shown() > 0")
    check(nvim, shop)
    nvim.lua("opened.type('')")
    nvim.wait("return opened.complete")
    assert nvim.lua("return opened.shown()") in ([], {})


def test_a_telescope_picker_keeps_the_order_and_has_a_preview(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", fakes=["telescope"])
    nvim.ready()
    nvim.lua("require('telescope._extensions.modstar').exports.modstar({})")
    nvim.wait("return opened ~= nil")
    assert nvim.lua("return {opened.sorter, opened.previewer}") == ["highlighter_only", "grep_previewer"]


def test_an_fzf_picker_has_the_users_actions_and_a_preview(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", fakes=["fzf"])
    nvim.ready()
    nvim.type(f":Modstar search {QUERY}<CR>")
    nvim.wait("return opened ~= nil")
    options = nvim.lua("return opened.options")
    assert options["actions"] == {"enter": "edit"} and options["previewer"] == "builtin"
    assert options["fzf_opts"]["--no-sort"]


def test_similar_code_opens_in_the_picker(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/jsonio.py", fakes=["snacks"])
    nvim.ready()
    nvim.type("6GV8G:Modstar similar<CR>")
    nvim.wait("return opened and opened.complete")
    assert Path(nvim.lua("return opened.shown()[1].file")).name == "client.ts"
    assert nvim.lua("return opened.preview") == "file"


def test_the_option_names_the_picker(start: Start, shop: Path) -> None:
    init = f"require('modstar').setup({{ picker = 'fzf' }})\n{ENABLE}"
    nvim = start(shop, "README.md", init=init, fakes=PICKERS)
    nvim.ready()
    nvim.type(f":Modstar search {QUERY}<CR>")
    nvim.wait("return opened ~= nil and opened.lines ~= nil")
    check(nvim, shop)


def test_a_picker_that_is_missing_is_told_and_replaced(start: Start, shop: Path) -> None:
    init = f"require('modstar').setup({{ picker = 'telescope' }})\n{ENABLE}"
    nvim = start(shop, "README.md", init=init)
    nvim.ready()
    nvim.lua("probe.choose = 1")
    nvim.type(f":Modstar search {QUERY}<CR>")
    nvim.wait("return probe.select ~= nil")
    assert nvim.told() == ["modstar: the picker telescope is not installed, vim.ui.select is used"]
