"""Nothing leaves the machine, and nothing is left on it that was not asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENCODE = """
from modstar_lsp.encoder import Encoder, open_bundle
encoder = Encoder(open_bundle())
print(encoder.encode(["def parse_json(text): ..."], encoder.bundle.exits[-1].depth).shape)
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose home and temporary folders are empty."""
    folders = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in folders.values():
        Path(folder).mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return kept | folders | {"PYTHONDONTWRITEBYTECODE": "1"}


def test_the_deepest_exit_leaves_no_file_behind(bare: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENCODE], env=bare, check=True, capture_output=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_the_deepest_exit_asks_for_no_connection(bare: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "calls"
    command = ["strace", "-f", "-e", "trace=connect,sendto", "-o", str(log), sys.executable, "-c", ENCODE]
    subprocess.run(command, env=bare, check=True, capture_output=True)
    assert "AF_INET" not in log.read_text()
