"""The library as a release packs it installs by Emacs's package manager, its commands known at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.editors.editor_programs import PROJECT, program

TIMEOUT = 60

INSTALL = """
(progn
  (require 'package)
  (package-initialize)
  (package-install-file "{file}")
  (princ (format "%s %s %s"
                 (package-installed-p 'modstar '(0 1))
                 (autoloadp (symbol-function 'modstar-search))
                 (progn (require 'modstar) (commandp 'modstar-similar)))))
"""


def test_the_packed_library_installs(tmp_path: Path, home: dict[str, str]) -> None:
    subprocess.run(["bash", PROJECT / "scripts/release/plugins.sh", tmp_path], check=True, timeout=TIMEOUT)
    (packed,) = tmp_path.glob("modstar-*.el")
    installed = subprocess.run(
        [program("emacs"), "--batch", "--eval", INSTALL.format(file=packed)],
        env=home,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert installed.returncode == 0, installed.stderr
    assert installed.stdout.endswith("t t t"), installed.stdout
