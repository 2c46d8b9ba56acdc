"""Takes the picture of Neovim: a search in a real Neovim in a real terminal (tmux), drawn.

pip install pyte pillow
EDITORS=nvim scripts/editors.sh python scripts/pictures/nvim.py        writes docs/images/nvim-search.png
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyte
from drawing import IMAGES, PAPER, Pen, make_project

OUT = IMAGES / "nvim-search.png"
QUESTION = "temporarily replace an attribute"
# The best hit, and what stands there.
BEST, FOUND = "1 src/_pytest/monkeypatch.py", "def setattr"
COLUMNS, ROWS = 100, 30
PATIENCE_SECONDS = 120.0
INIT = f"""
vim.opt.runtimepath:append('{Path(__file__).resolve().parents[2] / "editors" / "nvim"}')
vim.o.termguicolors, vim.o.number, vim.o.swapfile, vim.g.loaded_python3_provider = true, true, false, 0
require('modstar').setup({{ picker = 'quickfix' }})
vim.lsp.enable('modstar')
vim.opt.fillchars = {{ eob = ' ' }}
vim.cmd.highlight('Normal guibg=#{bytes(PAPER).hex()}')
vim.o.statusline = "%f %= %{{v:lua.require'modstar'.statusline()}} "
"""


class Tmux:
    """A terminal of its own, beside any other that tmux has."""

    def __init__(self, base: Path) -> None:
        settings = base / "tmux.conf"
        settings.write_text(
            'set -g status off\nset -g default-terminal "tmux-256color"\nset -ga terminal-features ",*:RGB"\n'
        )
        self._command = ["tmux", "-f", str(settings), "-S", str(base / "tmux")]

    def do(self, *arguments: str) -> str:
        """One command of tmux, and what it prints."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def type(self, text: str) -> None:
        """Type a line and Enter."""
        self.do("send-keys", "-l", text)
        self.do("send-keys", "Enter")

    def see(self, pattern: str) -> None:
        """Wait until the pattern is on the screen."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, screen := self.do("capture-pane", "-p"), re.MULTILINE):
            if time.monotonic() > end:
                raise TimeoutError(f"never shown: {pattern}\n{screen}")
            time.sleep(0.1)

    def screen(self) -> pyte.Screen:
        """What stands there now, with its colours."""
        screen = pyte.Screen(COLUMNS, ROWS)
        screen.cursor.hidden = True
        lines = self.do("capture-pane", "-e", "-N", "-p").rstrip("\n").split("\n")
        pyte.Stream(screen).feed("\x1b[0m\r\n".join(lines))
        return screen


def main() -> None:
    """Search, go to the best hit, and draw."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:  # an indexer may still write
        project = make_project(Path(base))
        (Path(base) / "init.lua").write_text(INIT, encoding="utf-8")
        tmux = Tmux(Path(base))
        programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = f"env HOME={base} XDG_CACHE_HOME={base}/cache PATH={programs} LANG=C.UTF-8"
        if "PYTHONPATH" in os.environ:
            environment += f" PYTHONPATH={os.environ['PYTHONPATH']}"
        nvim = f"{environment} {os.environ['MODSTAR_NVIM']} -u {base}/init.lua src/_pytest/main.py"
        tmux.do("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(project), nvim)
        try:
            tmux.see(r"modstar(: ready.*)?\s*$")
            tmux.type(f":Modstar search {QUESTION}")
            tmux.see(BEST)
            tmux.type(":cfirst")
            tmux.see(FOUND)
            Pen(COLUMNS, ROWS).draw(tmux.screen()).save(OUT, optimize=True)
        finally:
            tmux.do("kill-server")


if __name__ == "__main__":
    main()
