"""The plugin as a release packs it is a package of Neovim's own: unpacked, it is there at the next start."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.editors.editor_programs import PROJECT, program

TIMEOUT = 60


def test_the_packed_plugin_is_found(tmp_path: Path, home: dict[str, str]) -> None:
    subprocess.run(["bash", PROJECT / "scripts/release/plugins.sh", tmp_path], check=True, timeout=TIMEOUT)
    (packed,) = tmp_path.glob("modstar.nvim-*.tar.gz")
    packages = Path(home["XDG_DATA_HOME"]) / "nvim/site/pack/modstar/start"
    packages.mkdir(parents=True)
    subprocess.run(["tar", "xzf", packed, "-C", packages], check=True, timeout=TIMEOUT)
    look = "lua io.stdout:write(vim.fn.exists(':Modstar'))"
    steps = [argument for step in (look, "helptags ALL", "help modstar", "qa!") for argument in ("-c", step)]
    shown = subprocess.run(
        [program("nvim"), "--headless", "-i", "NONE", "-n", *steps],
        env=home,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "2", "")
