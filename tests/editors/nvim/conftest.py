"""Neovim as a user has it: a real process with an init.lua and the plugin on its runtimepath."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.editors.editor_programs import PROJECT, program
from tests.editors.nvim.neovim_process import ENABLE, Neovim, Start, lua_list, lua_string, until

PLUGIN = PROJECT / "editors" / "nvim"
FAKES = Path(__file__).parent / "fakes"
PROBES = Path(__file__).parent / "probes.lua"


@pytest.fixture
def start(tmp_path: Path, home: dict[str, str], server_command: list[str]) -> Iterator[Start]:
    """Starts Neovim in a folder: `start(folder, "file.py", init="...")`.

    init: what the user's init.lua says besides the plugin's place and the server's command.
    before: what it says before these.
    fakes: names below fakes/ to have as installed plugins.  command: what starts the server.
    """
    with contextlib.ExitStack() as running:

        def starter(
            folder: Path,
            *files: str,
            init: str = ENABLE,
            before: str = "",
            fakes: Sequence[str] = (),
            command: Sequence[str] = tuple(server_command),
        ) -> Neovim:
            number = len(list(tmp_path.glob("init*.lua")))
            address = tmp_path / f"nvim{number}.sock"
            settings = tmp_path / f"init{number}.lua"
            places = [PLUGIN, *(FAKES / fake for fake in fakes)]
            lines = [
                # Neovim looks for a Python of its own at the first Python file, for seconds.
                "vim.g.loaded_python3_provider = 0",
                before,
                f"vim.opt.runtimepath:append({lua_list([str(place) for place in places])})",
                f"require('modstar').setup({{ server = {{ cmd = {lua_list(command)} }} }})",
                init,
                f"dofile({lua_string(str(PROBES))})",
            ]
            settings.write_text("\n".join(lines), "utf-8")
            binary = program("nvim")
            arguments = [binary, "--headless", "-u", str(settings), "-n", "--listen", str(address), *files]
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running.callback(_end, process)
            neovim = Neovim(binary, process, address)
            until(address.exists)
            until(neovim.started)
            return neovim

        yield starter


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
