"""python scripts/release/interpreter.py DEST: a copy of the Python that runs this, to ship with a program.

Only what a program needs is copied. DEST/bin/python3 (on Windows DEST/python.exe) runs wherever the folder is
moved, if the Python that is copied can be moved: those of `uv python install` can. On Linux `patchelf`, where
it is installed, has another one moved, too; the system's libraries that it uses must then be where it runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: Of the standard library: what develops, teaches or draws windows, and what is installed besides.
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__",
    "config-*",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tkinter",
    "turtledemo",
)


def copy(base: Path, to: Path) -> Path:
    """The interpreter of the copy, made in `to` from the Python below `base`."""
    to.mkdir(parents=True)
    if os.name == "nt":
        for file in [*base.glob("python*.exe"), *base.glob("*.dll")]:
            shutil.copy2(file, to)
        shutil.copytree(base / "DLLs", to / "DLLs")
        shutil.copytree(base / "Lib", to / "Lib", ignore=LEFT_OUT)
        (to / "Lib/site-packages").mkdir()
        return to / "python.exe"
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (to / "bin").mkdir()
    shutil.copy2(base / "bin" / name, to / "bin/python3")
    shutil.copytree(base / "lib" / name, to / "lib" / name, ignore=LEFT_OUT)
    (to / "lib" / name / "site-packages").mkdir()
    for library in base.glob(f"lib/lib{name}.*"):
        if library.suffix != ".a" and not library.is_symlink():
            shutil.copy2(library, to / "lib")
    if sys.platform == "linux" and shutil.which("patchelf"):
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", to / "bin/python3"], check=True)
    return to / "bin/python3"


def strays(python: Path, base: Path) -> list[str]:
    """What the copy would load from where it was copied from: nothing, when it can be moved."""
    look = "import sys, ssl, sqlite3, ctypes; print(*sys.path, sep='\\n')"
    if sys.platform == "linux":
        look += "; print(open('/proc/self/maps').read())"
    told = subprocess.run([python, "-I", "-c", look], capture_output=True, text=True, check=True)
    return [line for line in told.stdout.splitlines() if f"{base}{os.sep}" in line]


def main() -> int:
    base, to = Path(sys.base_prefix).resolve(), Path(sys.argv[1])
    found = strays(copy(base, to), base)
    if found:
        print(
            f"{base} cannot be moved: take a Python of `uv python install`, or install patchelf",
            file=sys.stderr,
        )
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main())
