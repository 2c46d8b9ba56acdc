"""Whether the machine runs on its battery, where that can be told."""

from __future__ import annotations

import sys
from pathlib import Path

_SUPPLIES = Path("/sys/class/power_supply")


def is_on_battery(supplies: Path = _SUPPLIES) -> bool:
    """False also where nobody can tell."""
    if sys.platform == "linux":
        return _linux(supplies)
    if sys.platform == "darwin":
        return _mac()
    if sys.platform == "win32":
        return _windows()
    return False


def _linux(supplies: Path) -> bool:
    """A battery that discharges, unless a mains or USB supply is on line: some charge in both directions."""
    discharging = False
    try:
        folders = list(supplies.iterdir())
    except OSError:
        return False
    for folder in folders:
        kind = _word(folder / "type")
        if kind == "Battery":
            # The battery of a mouse or a headset says "Device".
            discharging |= _word(folder / "scope") != "Device" and _word(folder / "status") == "Discharging"
        elif _word(folder / "online") == "1":
            return False
    return discharging


def _word(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _mac() -> bool:
    import subprocess

    try:
        answer = subprocess.run(
            ["/usr/bin/pmset", "-g", "batt"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return "'Battery Power'" in answer.stdout


def _windows() -> bool:
    import ctypes

    class PowerStatus(ctypes.Structure):
        _fields_ = [
            ("ac_line", ctypes.c_ubyte),
            ("flags", ctypes.c_ubyte),
            ("percent", ctypes.c_ubyte),
            ("saver", ctypes.c_ubyte),
            ("seconds", ctypes.c_ulong),
            ("full_seconds", ctypes.c_ulong),
        ]

    status = PowerStatus()
    windows = ctypes.windll.kernel32  # type: ignore[attr-defined]
    return bool(windows.GetSystemPowerStatus(ctypes.byref(status))) and status.ac_line == 0
