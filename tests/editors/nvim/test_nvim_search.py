"""Asking from Neovim: where the editor ends up, and in which order the places are shown."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.editors.nvim.neovim_process import ENABLE, QUICKFIX, Start, lua_list, until
from tests.reader_endpoint import playing

RETRY = "retry failed uploads, waiting longer each time"


def all_hits(command: list[str], *, budget: int = 0) -> str:
    """What an init.lua says to see unlikely hits too: a list as long, whatever the ranking does.

    budget: milliseconds for a better order, which takes the place of the first; 0: the first order stays.
    """
    settings = f"settings = {{ modstar = {{ search = {{ minScore = 0, budget = {budget} }} }} }}"
    return f"require('modstar').setup({{ server = {{ cmd = {lua_list(command)}, {settings} }} }})"


def place(entry: dict[str, Any]) -> tuple[str, int]:
    """Where an entry of the quickfix list leads."""
    return entry["name"], entry["lnum"]


def test_a_sentence_leads_to_its_function(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md")
    nvim.ready()
    nvim.lua("probe.choose = 1")
    nvim.type(f":Modstar search {RETRY}<CR>")
    nvim.wait("return vim.api.nvim_buf_get_name(0):match('upload.py$')")
    assert nvim.place() == (str(shop / "src/shop/upload.py"), 22, 9)
    line = nvim.lua("return probe.select.lines[1]")
    assert "Uploader.retry_failed_uploads" in line and "src/shop/upload.py:22" in line
    assert "def retry_failed_uploads(self):" in line
    nvim.type("<C-o>")
    assert nvim.place()[0] == str(shop / "README.md")


def test_the_built_in_list_is_answered_by_its_number(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md")
    nvim.ready()
    asked = shop / "asked"
    nvim.lua("probe.choose = 'the built-in list'; probe.note_list(arguments[1])", str(asked))
    nvim.type(f":Modstar search {RETRY}<CR>")
    until(asked.exists)
    nvim.type("1<CR>")
    nvim.wait("return vim.api.nvim_buf_get_name(0):match('upload.py$')")
    assert nvim.place()[1] == 22
    assert asked.read_text("utf-8").splitlines()[0] == RETRY


def test_the_built_in_list_fits_the_screen_and_leads_on(
    start: Start, library: Path, server_command: list[str]
) -> None:
    nvim = start(library, "src/_pytest/config/__init__.py", init=f"{all_hits(server_command)}\n{ENABLE}")
    nvim.ready()
    asked = library.parent / "asked"
    nvim.lua(
        "vim.o.lines = 9; vim.ui.select = probe.built_in_select; probe.note_list(arguments[1])", str(asked)
    )
    nvim.type(":Modstar search where are temporary directories removed<CR>")
    until(asked.exists)
    first = asked.read_text("utf-8").splitlines()
    assert len(first) == 7 and re.fullmatch(r"6: \d+ more \.\.\.", first[-1]), first
    asked.unlink()
    nvim.type("6<CR>")
    until(asked.exists)
    second = asked.read_text("utf-8").splitlines()
    assert second[0] == first[0] and not set(second[1:]) & set(first[1:])
    nvim.type("1<CR>")
    place = re.split(r"\s+", second[1])[2]
    nvim.wait(
        "return vim.api.nvim_buf_get_name(0):find(arguments[1], 1, true)", place.split(":")[0].lstrip("…")
    )


def test_a_library_of_real_code(start: Start, library: Path) -> None:
    nvim = start(library, "src/_pytest/config/__init__.py")
    nvim.ready()
    nvim.lua("probe.choose = 1")
    nvim.type(":Modstar search make a numbered directory with a prefix<CR>")
    nvim.wait("return vim.api.nvim_buf_get_name(0):match('pathlib.py$')")
    assert nvim.lua("return vim.api.nvim_get_current_line()").startswith("def make_numbered_dir")


def test_quickfix_keeps_the_order_of_the_ranks(
    start: Start, library: Path, server_command: list[str]
) -> None:
    init = f"{all_hits(server_command)}\n{QUICKFIX}"
    nvim = start(library, "src/_pytest/config/__init__.py", init=init)
    nvim.ready()
    nvim.type(":Modstar search where are temporary directories removed<CR>")
    nvim.wait("return #vim.fn.getqflist() > 3")
    shown = nvim.quickfix()
    assert [entry["rank"] for entry in shown] == list(range(1, len(shown) + 1))
    scores = [float(entry["text"].split()[0]) for entry in shown]
    assert scores == sorted(scores, reverse=True)
    # The same hits sorted by place would be another list: only then does this test say anything.
    places = [(entry["name"], entry["lnum"]) for entry in shown]
    assert places != sorted(places)
    assert nvim.lua("return vim.fn.getqflist({title = 0}).title").startswith("modstar: where are temporary")
    nvim.type(":cfirst<CR>")
    nvim.wait("return vim.bo.buftype == ''")
    assert nvim.place()[:2] == places[0]


@pytest.mark.parametrize(("keys", "kept"), [("", 0), ("jj", 3), (":2cc<CR>", 2)])
def test_a_better_order_moves_nothing_under_who_has_moved(
    start: Start, library: Path, server_command: list[str], keys: str, kept: int
) -> None:
    with playing() as reader:
        reader.hold = Event()
        command = ["env", f"MODSTAR_READER={reader.url}", "MODSTAR_READER_SECONDS=600", *server_command]
        nvim = start(
            library, "src/_pytest/config/__init__.py", init=f"{all_hits(command, budget=1)}\n{QUICKFIX}"
        )
        nvim.ready()
        nvim.type(":Modstar search where are temporary directories removed<CR>")
        nvim.wait("return #vim.fn.getqflist() > 4 and vim.bo.buftype == 'quickfix'")
        first = nvim.quickfix()
        nvim.type(keys)
        row = "vim.fn.getcurpos(vim.fn.getqflist({winid = 0}).winid)[2]"
        nvim.wait(f"return {row} == arguments[1]", max(kept, 1))
        reader.hold.set()
        texts = [entry["text"] for entry in first]
        shown = "vim.tbl_map(function(entry) return entry.text end, vim.fn.getqflist())"
        nvim.wait(f"return not vim.deep_equal(arguments[1], {shown})", texts)
    better = nvim.quickfix()
    assert [place(entry) for entry in better[:kept]] == [place(entry) for entry in first[:kept]]
    assert place(better[kept]) != place(first[kept]) and better[kept]["rank"] == 1
    assert nvim.lua(f"return {row}") == max(kept, 1)
    assert nvim.lua("return vim.fn.getqflist({idx = 0}).idx") == (2 if "cc" in keys else 1)


def test_a_place_after_characters_outside_the_basic_plane(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX)
    nvim.ready()
    nvim.type(":Modstar search parseJson<CR>")
    nvim.wait("return #vim.fn.getqflist() > 0")
    entry = next(entry for entry in nvim.quickfix() if entry["name"].endswith("client.ts"))
    line = (shop / "web/schöne preise/client.ts").read_text("utf-8").splitlines()[entry["lnum"] - 1].encode()
    assert line[entry["col"] - 1 :].startswith((b"parseJson", b"/** "))


def test_an_old_position_encoding_gives_the_same_places(
    start: Start, shop: Path, server_command: list[str]
) -> None:
    """Before 0.11 Neovim counts in UTF-16; so does this one when told to offer nothing else."""
    utf16 = (
        "require('modstar').setup({server = {capabilities = {general = {positionEncodings = {'utf-16'}}}, "
        f"cmd = {lua_list(server_command)}}}}})\n"
    )
    places = []
    for init in (QUICKFIX, utf16 + QUICKFIX):
        nvim = start(shop, "README.md", init=init)
        nvim.ready()
        nvim.type(":Modstar search parseJson<CR>")
        nvim.wait("return #vim.fn.getqflist() > 0")
        places.append([(entry["name"], entry["lnum"], entry["col"]) for entry in nvim.quickfix()])
        nvim.lua("vim.cmd.cfirst()")
    assert nvim.lua("return require('modstar.client').all()[1].offset_encoding") == "utf-16"
    assert places[0] == places[1]


def test_nothing_found_is_said(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX)
    nvim.ready()
    nvim.lua("require('modstar').search('zxqv wqpl', {minScore = 0.999})")
    # Either a sentence, or the closest hit under a title that says that it is none.
    nvim.wait("return #probe.told > 0 or #vim.fn.getqflist() > 0")
    said = " ".join([*nvim.told(), nvim.lua("return vim.fn.getqflist({title = 0}).title")])
    assert "no good match" in said or "nothing found" in said


def test_filters_reach_the_server(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX)
    nvim.ready()
    nvim.lua("require('modstar').search('parse json', {languages = {'typescript'}, limit = 1})")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert [Path(entry["name"]).name for entry in nvim.quickfix()] == ["client.ts"]


def test_without_a_query_there_is_a_prompt(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md", init=QUICKFIX + "\nvim.keymap.set('n', 'gs', '<Plug>(modstar-search)')")
    nvim.ready()
    nvim.lua(
        "vim.ui.input = function(options, callback) probe.prompt = options.prompt "
        "callback('value added tax') end"
    )
    nvim.type("gs")
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert nvim.quickfix()[0]["name"].endswith("tax.go")
    assert nvim.lua("return probe.prompt") == "Search code by meaning: "


def test_the_standard_symbol_search_works_without_the_plugins_commands(start: Start, shop: Path) -> None:
    nvim = start(shop, "README.md")
    nvim.ready()
    nvim.lua("vim.lsp.buf.workspace_symbol(arguments[1])", RETRY)
    nvim.wait("return #vim.fn.getqflist() > 0")
    assert nvim.quickfix()[0]["name"].endswith("upload.py")
