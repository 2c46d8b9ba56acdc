"""What the server wants to know of the machine: whether it is on its battery, what memory a process holds."""

from __future__ import annotations

import sys
from pathlib import Path

_SUPPLIES = Path("/sys/class/power_supply")


def is_on_battery() -> bool:
    """Whether the machine runs on its battery; False also where nobody can tell."""
    import psutil

    if sys.platform == "linux" and not _has_a_battery(_SUPPLIES):
        return False
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, psutil.Error):  # a system that knows no batteries, or hides them
        return False
    return battery is not None and battery.power_plugged is False


def _has_a_battery(supplies: Path) -> bool:
    """Whether a battery is the machine's own: where none is, psutil takes a wireless mouse's for it."""

    def says(supply: Path, name: str) -> str:
        try:
            return (supply / name).read_text("utf-8").strip()
        except (OSError, ValueError):
            return ""

    return any(
        says(supply, "type") == "Battery" and says(supply, "scope") != "Device"
        for supply in (supplies.iterdir() if supplies.is_dir() else ())
    )


def resident_bytes(pid: int | None) -> int:
    """The memory that a process holds, 0 where nobody can tell."""
    import psutil

    try:
        return 0 if pid is None else int(psutil.Process(pid).memory_info().rss)
    except (OSError, psutil.Error):
        return 0
