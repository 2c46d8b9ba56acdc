"""Neovim 0.9 and 0.10: the plugin uses nothing newer without a way around it.

`NVIM_VERSION=0.10.4 scripts/editors.sh` runs all tests in the last release before 0.11. Older ones are in no
package registry: here the plugin runs in the Neovim that is installed, but as in 0.9.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.editors.nvim.conftest import PLUGIN
from tests.editors.nvim.neovim_process import Start, lua_list, lua_string

HERE = Path(__file__).parent
# What Neovim 0.9.5 has, of the names that the plugin uses. A name that is used from now on belongs there when
# the manual of 0.9 has it, else among the newer ones, with a way around it in the plugin.
IN_0_9 = (HERE / "api-0.9.txt").read_text("utf-8").split()
NEWER = ["vim.fs.root", "vim.lsp.config", "vim.lsp.enable", "vim.lsp.get_clients", "vim.lsp.is_enabled"]

OLDER = f"dofile({lua_string(str(HERE / 'as_older.lua'))})({lua_list(NEWER)}, {lua_string(str(PLUGIN))})"
ENABLE = "require('modstar').enable()"
QUICKFIX = f"require('modstar').setup({{ picker = 'quickfix' }})\n{ENABLE}"


def test_every_name_of_neovim_is_known_to_be_old_or_newer() -> None:
    used = {
        name
        for file in PLUGIN.rglob("*.lua")
        for name in re.findall(r"(?<!['\"])\bvim(?:\.[A-Za-z_]\w*)+", file.read_text("utf-8"))
        if name != "vim.g.loaded_modstar"
    }
    assert used - set(IN_0_9) - set(NEWER) == set()
    assert set(IN_0_9) - used == set(), "used no longer"


def test_the_plugin_sees_an_older_neovim(start: Start, shop: Path) -> None:
    nvim = start(shop, before=OLDER, init="")
    nvim.type(":checkhealth modstar<CR>")
    report = nvim.wait("return probe.report()")
    assert "Neovim before 0.11" in report and "ERROR" not in report


def test_a_sentence_leads_to_its_function_in_an_older_neovim(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", before=OLDER, init=QUICKFIX)
    nvim.ready()
    nvim.type(":Modstar search retry failed uploads, waiting longer each time<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert nvim.quickfix()[0]["name"].endswith("upload.py")
    # A file that is opened later is given to the same server, with what is not saved of it.
    nvim.type(":cclose<CR>:edit src/shop/jsonio.py<CR>ggO# 🛒 above<Esc>:7,10Modstar similar<CR>")
    nvim.wait("return vim.fn.getqflist({title = 0}).title:find('similar') ~= nil")
    first = nvim.quickfix()[0]
    assert first["name"].endswith("client.ts") and (first["lnum"], first["col"]) == (3, 33)
    assert len(nvim.server_pids()) == 1


def test_a_hit_is_opened_in_an_older_neovim(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", before=OLDER, init=ENABLE)
    nvim.ready()
    nvim.lua("probe.choose = 1")
    nvim.type(":Modstar search close idle database connections<CR>")
    nvim.wait("return vim.api.nvim_buf_get_name(0):match('pool.py$')")
    assert nvim.place() == (str(shop / "src/shop/pool.py"), 5, 9)


def test_the_server_is_started_again_in_an_older_neovim(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", before=OLDER, init=ENABLE)
    nvim.ready()
    (first,) = nvim.server_pids()
    nvim.type(":Modstar restart<CR>")
    nvim.wait("local all = require('modstar.client').all(); return #all == 1 and all[1].initialized")
    nvim.ready()
    (second,) = nvim.server_pids()
    assert second != first
    nvim.type(":Modstar status<CR>")
    assert "shop: ready" in nvim.wait_told("files")
