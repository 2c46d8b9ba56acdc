"""The life of the server under Neovim: started, fed with unsaved text, killed, missing, told what to do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.editors.nvim.neovim_process import QUICKFIX, Start, lua_list, until

# Types a function at the end of a buffer, in its first column whatever the indentation above is.
KLINGON = "Go<C-u>def translate_menu_to_klingon(menu):<CR>return menu<Esc>"


def test_unsaved_text_is_found_where_it_stands(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/pool.py", init=QUICKFIX)
    nvim.ready()
    nvim.type("ggO# a line above<Esc>")
    nvim.type(KLINGON)
    nvim.type(":Modstar search translate the menu to klingon<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    first = nvim.quickfix()[0]
    lines = nvim.lua("return vim.api.nvim_buf_get_lines(vim.fn.bufnr('pool.py'), 0, -1, false)")
    assert "translate_menu_to_klingon" in lines[first["lnum"] - 1]
    assert first["text"].endswith("(unsaved)")
    assert "klingon" not in (shop / "src/shop/pool.py").read_text("utf-8")


def test_a_search_starts_the_server_when_nothing_did(start: Start, shop: Path) -> None:
    nvim = start(shop, init="require('modstar').setup({picker = 'quickfix'})")
    assert nvim.server_pids() == []
    nvim.type(":Modstar search close idle database connections<CR>")
    # The first answer may come before anything is known; it says so.
    nvim.ready()
    nvim.type(":Modstar search close idle database connections<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert nvim.quickfix()[0]["name"].endswith("pool.py")
    # A file that is opened later belongs to the same server.
    nvim.type(":cclose<CR>:edit src/shop/jsonio.py<CR>:6,9Modstar similar<CR>")
    nvim.wait("return vim.fn.getqflist({title = 0}).title:find('similar') ~= nil")
    assert len(nvim.server_pids()) == 1


def test_a_killed_server_is_started_by_the_next_search(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/pool.py", init=QUICKFIX)
    nvim.ready()
    (first,) = nvim.server_pids()
    os.kill(first, signal.SIGKILL)
    nvim.wait("return #require('modstar.client').all() == 0")
    nvim.type(KLINGON)
    nvim.type(":Modstar search close idle database connections<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert nvim.quickfix()[0]["name"].endswith("pool.py")
    assert nvim.server_pids() != [first]
    # The open buffer is known to the new one as it stands.
    nvim.type(":cclose<CR>:Modstar search translate the menu to klingon<CR>")
    nvim.wait("return vim.fn.getqflist({title = 0}).title:find('klingon') ~= nil")
    assert nvim.quickfix()[0]["text"].endswith("(unsaved)")


def test_restart_gives_a_new_server_for_the_same_files(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/pool.py", init=QUICKFIX)
    nvim.ready()
    (first,) = nvim.server_pids()
    nvim.type(":Modstar restart<CR>")
    nvim.wait("local all = require('modstar.client').all(); return #all == 1 and all[1].initialized")
    nvim.ready()
    (second,) = nvim.server_pids()
    assert second != first
    assert nvim.lua("return vim.lsp.buf_is_attached(0, require('modstar.client').all()[1].id)")


def test_the_server_ends_with_neovim(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/pool.py")
    nvim.ready()
    (server,) = nvim.server_pids()
    nvim.type(":qall!<CR>")
    nvim.process.wait(30)
    until(lambda: not Path(f"/proc/{server}").exists())


def test_a_missing_server_is_told_in_one_sentence(start: Start, shop: Path) -> None:
    nvim = start(shop, "src/shop/pool.py", command=["modstar-lsp-of-nobody"])
    nvim.type(":edit src/shop/jsonio.py<CR>")
    nvim.wait_told("not installed")
    (said,) = nvim.told()
    assert said.startswith("modstar: modstar-lsp-of-nobody is not installed: run `pip install")
    assert "\n" not in said
    nvim.type(":Modstar search anything<CR>")
    nvim.wait("return #probe.told == 2")
    assert nvim.told()[1] == said


def test_a_server_that_ends_at_once_is_told(start: Start, shop: Path) -> None:
    nvim = start(shop, init="", command=["false"])
    nvim.type(":Modstar search anything<CR>")
    nvim.wait_told("the server ended at its start")


def test_the_home_folder_is_not_indexed(start: Start, home: dict[str, str]) -> None:
    folder = Path(home["HOME"])
    (folder / ".git").mkdir()
    (folder / "notes.py").write_text("def note():\n    pass\n")
    nvim = start(folder, "notes.py")
    nvim.type(":Modstar search note<CR>")
    nvim.wait_told("no project here")
    assert nvim.server_pids() == []


def test_settings_reach_the_server(start: Start, shop: Path, server_command: list[str]) -> None:
    command = lua_list(server_command)
    settings = f"cmd = {command}, settings = {{ modstar = {{ search = {{ limit = 1 }} }} }}"
    init = f"require('modstar').setup({{ server = {{ {settings} }} }})\n{QUICKFIX}"
    nvim = start(shop, "README.md", init=init)
    nvim.ready()
    nvim.type(":Modstar search parse json<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert len(nvim.quickfix()) == 1


def test_pause_and_resume_show_in_the_statusline(start: Start, shop: Path) -> None:
    statusline = "vim.o.statusline = \"%{v:lua.require'modstar'.statusline()}\""
    nvim = start(shop, "README.md", init=f"{statusline}\n{QUICKFIX}")
    nvim.ready()
    shown = "return require('modstar').statusline() == arguments[1]"
    nvim.wait(shown, "modstar")
    nvim.type(":Modstar pause<CR>")
    nvim.wait(shown, "modstar: paused")
    nvim.wait_told("indexing is paused")
    nvim.type(":Modstar resume<CR>")
    nvim.wait(shown, "modstar")


def test_status_is_told(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md")
    nvim.ready()
    nvim.type(":Modstar status<CR>")
    said = nvim.wait_told("files")
    assert "\nshop: ready" in said and "memory" in said


@pytest.mark.parametrize("commands", [["reindex"], ["clear", "resume"]])
def test_the_index_is_made_anew(start: Start, shop: Path, commands: list[str]) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX)
    nvim.ready()
    for number, command in enumerate(commands, 1):
        nvim.type(f":Modstar {command}<CR>")
        nvim.wait("return #probe.told == arguments[1]", number)  # what it did
    # Searches before it is done are answered from what is known by then.
    search = "require('modstar').search('close idle database connections')"
    found = "return (probe.quickfix()[1] or { name = '' }).name:find('pool.py') ~= nil"
    nvim.wait(f"{search}; vim.wait(200); {found}")


def test_subcommands_complete_and_wrong_ones_are_told(start: Start, shop: Path) -> None:
    nvim = start(shop, init="")
    names = nvim.lua("return vim.fn.getcompletion('Modstar ', 'cmdline')")
    assert names == ["clear", "pause", "reindex", "restart", "resume", "search", "similar", "status"]
    assert nvim.lua("return vim.fn.getcompletion('Modstar s', 'cmdline')") == ["search", "similar", "status"]
    nvim.type(":Modstar serach parse json<CR>")
    assert "there is no :Modstar serach" in nvim.wait_told("serach")


def test_wrong_options_are_told_and_left_at_their_defaults(start: Start, shop: Path) -> None:
    nvim = start(shop, init="")
    nvim.lua("require('modstar').setup({picker = 'ivy', snippet_lines = 3, limits = 4})")
    (said,) = nvim.told()
    assert "limits is no option" in said and 'not "ivy"' in said and "\n" not in said
    options = nvim.lua("return require('modstar.config').options")
    assert options["picker"] == "auto" and options["snippet_lines"] == 3


def test_checkhealth_tells_what_is_there(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md")
    nvim.ready()
    nvim.type(":checkhealth modstar<CR>")
    report = nvim.wait(
        "return vim.bo.filetype == 'checkhealth' and table.concat(vim.fn.getline(1, '$'), '\\n')"
    )
    report = nvim.wait("return probe.report()")
    assert "ERROR" not in report and "WARNING" not in report
    assert "modstar_lsp.server" in report and "shop: ready" in report and "picker: select" in report


def test_checkhealth_tells_what_is_wrong(start: Start, shop: Path) -> None:
    nvim = start(shop, init="require('modstar').setup({picker = 'fzf'})", command=["modstar-lsp-of-nobody"])
    nvim.type(":checkhealth modstar<CR>")
    report = nvim.wait("return probe.report()")
    assert "ERROR modstar-lsp-of-nobody is not installed" in report
    assert "WARNING the picker fzf is not installed" in report


def test_checkhealth_is_red_where_the_server_does_not_start(start: Start, shop: Path, tmp_path: Path) -> None:
    """It answers --version, but what it needs to run is missing: its last words say what."""
    server = tmp_path / "modstar-lsp"
    server.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo modstar 0.1.0 && exit 0\n'
        "echo Traceback >&2; echo 'modstar-lsp: attrs is missing' >&2; exit 2\n"
    )
    server.chmod(0o755)
    nvim = start(shop, command=[str(server)], init="")
    nvim.type(":checkhealth modstar<CR>")
    report = nvim.wait("return probe.report()")
    assert f"ERROR {server} does not start: modstar-lsp: attrs is missing" in report


def test_the_help_file_has_its_tags(start: Start, shop: Path, tmp_path: Path) -> None:
    nvim = start(shop, init="")
    nvim.type(":help modstar<CR>")
    nvim.wait("return vim.bo.buftype == 'help'")
    assert nvim.place()[0].endswith("doc/modstar.txt")
    for tag in (
        ":Modstar",
        "modstar-setup",
        "modstar-server",
        "modstar-pickers",
        "modstar-mappings",
        "modstar-statusline",
    ):
        nvim.lua("vim.cmd.help(arguments[1])", tag)
    # The tags that are kept with the file are those that Neovim makes of it.
    made = tmp_path / "doc"
    made.mkdir()
    source = Path(nvim.place()[0])
    (made / source.name).write_bytes(source.read_bytes())
    nvim.lua("vim.cmd.helptags(arguments[1])", str(made))
    assert (made / "tags").read_text("utf-8") == (source.parent / "tags").read_text("utf-8")
