"""Code like some other code, asked from Neovim."""

from __future__ import annotations

from pathlib import Path

from tests.editors.nvim.neovim_process import QUICKFIX, Start


def names(entries: list[dict[str, object]]) -> list[str]:
    """The file names of quickfix entries."""
    return [Path(str(entry["name"])).name for entry in entries]


def test_the_selected_lines_find_their_like_in_another_language(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/jsonio.py", init=QUICKFIX)
    nvim.ready()
    nvim.type("6GV9G:Modstar similar<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    found = nvim.quickfix()
    assert names(found)[0] == "client.ts"
    # What was selected is not an answer.
    assert (str(shop / "src/shop/jsonio.py"), 6) not in [(entry["name"], entry["lnum"]) for entry in found]


def test_the_definition_at_the_cursor_is_taken_without_a_selection(start: Start, shop: Path) -> None:
    init = QUICKFIX + "\nvim.keymap.set({'n', 'x'}, 'gS', '<Plug>(modstar-similar)')"
    nvim = start(shop, "src/shop/jsonio.py", init=init)
    nvim.ready()
    nvim.type("8GgS")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert names(nvim.quickfix())[0] == "client.ts"


def test_a_buffer_of_no_project_is_compared_by_its_text(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX)
    nvim.ready()
    nvim.type(":enew<CR>:set buftype=nofile filetype=python<CR>")
    text = 'def tax(cents, percent):\n    """The value added tax in cents."""\n    return cents * percent'
    nvim.lua("probe.set_lines(arguments[1])", text)
    nvim.type(":%Modstar similar<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert names(nvim.quickfix())[0] == "tax.go"


def test_a_code_action_shows_its_hits_in_our_list(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/jsonio.py", init=QUICKFIX)
    nvim.ready()
    nvim.lua(
        "probe.choose = 1; vim.lsp.buf.code_action({range = {start = {6, 0}, ['end'] = {9, 0}}, "
        "filter = function(action) return action.title:lower():find('similar') end})"
    )
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert names(nvim.quickfix())[0] == "client.ts"
    assert nvim.lua("return probe.select.kind") == "codeaction"
