"""What one file costs in memory is bounded, and given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Peak of a process beyond what it took before, in MB: the bombs have 900 kB, and take 45 to 260.
PEAK_MB = 350

_CHUNK = """
import resource, sys
from pathlib import Path
from modstar_lsp.chunking import chunk_file

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says on Linux is inherited from the starting process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) >> 10
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit

path, unit, size, times = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
text = (unit * (size // len(unit) + 1))[:size]
chunk_file(path, text)
first = peak()
for _ in range(times):
    chunk_file(path, text)
print(first, peak())
"""


def peaks(path: str, unit: str, size: int, times: int = 0) -> tuple[int, int]:
    """Peak memory of a process, in MB, that divides `size` characters of `unit`: once, and `times` more."""
    arguments = [sys.executable, "-c", _CHUNK, path, repr(unit), str(size), str(times)]
    first, last = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return int(first), int(last)


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("a.hs", "let x =\n"),
        ("a.hs", "where\n"),
        ("a.py", "if x:\n"),
        ("a.py", "1\n"),
        ("a.py", "class A: 1\n"),
        ("a.rb", "<<EOF\n"),
        ("a.kt", "x = \n"),
        ("a.scala", "case x\n"),
        ("a.js", "`${\n"),
        ("a.cpp", "a<b\n"),
        ("a.sh", "$(\n"),
        ("a.swift", "{\n"),
        ("a.jl", "f(\n"),
    ],
)
def test_a_bomb_of_lines_is_divided_within_bounds(path: str, unit: str) -> None:
    assert peaks(path, unit, 900_000)[0] < PEAK_MB


def test_files_read_one_after_the_other_leave_nothing_behind() -> None:
    first, last = peaks("a.py", "def f(a):\n    return [a, 1]\n\n", 300_000, times=30)
    assert last < first * 1.25
