"""A machine that has nothing yet: a new environment, a home with a fresh clone in it, and no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 600


def tracked_files() -> list[str]:
    """Everything that a clone would hold, as it stands now."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


class Bare:
    """The machine, whose commands are run as a person would, in a shell."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.clone = self.home / "src" / "modstar"
        for name in tracked_files():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.clone / name)
        subprocess.run([sys.executable, "-m", "venv", str(base / "venv")], check=True, timeout=TIMEOUT)
        self.programs = base / "venv" / ("Scripts" if os.name == "nt" else "bin")
        cache = subprocess.run(
            [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, timeout=TIMEOUT
        )
        self.environment = {
            **os.environ,
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "XDG_CACHE_HOME": str(base / "cache"),
            "PATH": os.pathsep.join([str(self.programs), os.environ["PATH"]]),
            "PIP_CACHE_DIR": cache.stdout.strip(),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # A command compiles what it imports and keeps it; of the rest no test runs a line.
            "PIP_COMPILE": "0",
            "CC": "no-compiler-here",
            "CXX": "no-compiler-here",
        }
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(name, None)

    def run(self, command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one line of a shell; of bash where there is one, which is what documents are written for."""
        return subprocess.run(
            command,
            shell=True,
            executable=shutil.which("bash") if os.name == "posix" else None,
            cwd=cwd or self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
