"""A Neovim process without a screen that is typed into and asked from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Generous: a machine that is busy with other things must not fail a test.
PATIENCE = 120.0


# What an init.lua says to have the server, as the manual has it for each version of Neovim.
ENABLE = "if vim.lsp.enable then vim.lsp.enable('modstar') else require('modstar').enable() end"
# The same, with hits in the quickfix list.
QUICKFIX = f"require('modstar').setup({{ picker = 'quickfix' }})\n{ENABLE}"


class Neovim:
    """A running Neovim without a screen."""

    def __init__(self, binary: str, process: subprocess.Popen[bytes], address: Path) -> None:
        self._binary = binary
        self.process = process
        self._address = address

    def _remote(self, *arguments: str) -> str:
        command = [self._binary, "--clean", "--headless", "--server", str(self._address), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def started(self) -> bool:
        """Whether the init.lua was read and the files are open."""
        return self._remote("--remote-expr", "get(g:, 'probes', 0)") == "1"

    def type(self, keys: str) -> None:
        """Type `keys`, in Neovim's notation (`<CR>`, `<Esc>`)."""
        self._remote("--remote-send", keys)

    def lua(self, body: str, *arguments: Any) -> Any:
        """What the Lua chunk `body` returns; it finds `arguments` as a table of that name."""
        call = json.dumps([body, list(arguments)]).replace("'", "''")
        answer = self._remote("--remote-expr", f"luaeval('probe.eval(_A)', '{call}')")
        found = json.loads(answer)
        return found[0] if found else None

    def wait(self, body: str, *arguments: Any) -> Any:
        """Wait until the Lua chunk returns something true, and return that."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.lua(body, *arguments)
            if found:
                return found
            time.sleep(0.1)
        messages = self.lua("return vim.fn.execute('messages')")
        raise AssertionError(f"never true: {body}\ntold: {self.told()}\n{messages}")

    def told(self) -> list[str]:
        """The notices that were shown, oldest first."""
        return self.lua("return probe.told") or []

    def wait_told(self, part: str) -> str:
        """Wait for a notice with `part` in it."""
        return str(self.wait("return probe.told_with(arguments[1])", part))

    def ready(self) -> None:
        """Wait until the server has indexed what there is."""
        self.wait("return probe.ready()")

    def place(self) -> tuple[str, int, int]:
        """File, line and byte column (from 1) of the cursor."""
        file, line, column = self.lua("return {vim.fn.expand('%:p'), vim.fn.line('.'), vim.fn.col('.')}")
        return file, line, column

    def quickfix(self) -> list[dict[str, Any]]:
        """The quickfix list: name, lnum, col, text and rank of each entry."""
        return self.lua("return probe.quickfix()") or []

    def server_pids(self) -> list[int]:
        """The process ids of the language servers started by this Neovim."""
        return [pid for pid, command in children(self.process.pid) if "modstar_lsp.server" in command]


def children(pid: int) -> list[tuple[int, str]]:
    """Process id and command line of the direct children of `pid` that are alive."""
    command = ["ps", "-o", "pid=,stat=,args=", "--ppid", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.split(None, 2) for line in answer.stdout.splitlines()]
    return [(int(row[0]), row[2]) for row in rows if not row[1].startswith("Z")]


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "never true"
        time.sleep(0.02)


def lua_string(value: str) -> str:
    """`value` as Lua writes it."""
    return json.dumps(value, ensure_ascii=False)


def lua_list(values: Sequence[str]) -> str:
    """A Lua table of strings."""
    return "{" + ", ".join(map(lua_string, values)) + "}"


Start = Callable[..., Neovim]
