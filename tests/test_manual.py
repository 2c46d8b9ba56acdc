"""The manual page says what the commands' own help says, and is sound roff."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "man"


def test_the_manual_is_what_the_parsers_make_of_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "scripts" / "manual.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=120, env=environment)
    made = {page.name: page.read_text("utf-8") for page in tmp_path.iterdir()}
    kept = {page.name: page.read_text("utf-8") for page in PAGES.iterdir()}
    assert made == kept, "run python scripts/manual.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="reads the page as man does")
def test_the_manual_is_read_without_a_warning() -> None:
    command = ["groff", "-man", "-Tascii", "-ww", "-P-cbou", str(PAGES / "modstar.1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--not-lang LANG" in done.stdout and "--index-dir" in done.stdout
