"""What this process may use of the machine, where less than all of it: cores and memory.

A container sees every core and all memory of its host. What it may have of them stands in the control groups
of Linux, in files of version 2 or 1; every group above counts, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Replaced by tests.
_SYSTEM = Path("/")
# Version 1 says "no limit" by the largest number of pages that there is.
_UNLIMITED = 1 << 60


def usable_cores() -> int:
    """The cores that this thread may keep busy, at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, core_quota())))


def core_quota() -> float:
    """How many cores' time a container may take, say half a core's; infinite where nothing says so."""
    return min(_quotas(), default=math.inf)


def free_memory() -> int | None:
    """The bytes that this process and others of its container may still take; None where nothing says so."""
    left = [max(0, limit - used) for limit, used in _memory()]
    return min(left, default=None)


def _quotas() -> Iterator[float]:
    """The number of cores that each control group of this process allows, if it does."""
    for folder in _groups("cpu"):
        quota, _, period = _first_line(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = (_first_line(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if _is_number(quota) and _is_number(period) and int(quota) and int(period):
            yield int(quota) / int(period)


def _memory() -> Iterator[tuple[int, int]]:
    """(limit, used) of each control group of this process that has a limit, in bytes.

    Pages of files that nobody reads now do not count: the system takes them back first.
    """
    for folder in _groups("memory"):
        for limit, used, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, now = _first_line(folder / limit), _first_line(folder / used)
            if _is_number(most) and _is_number(now) and int(most) < _UNLIMITED:
                yield int(most), max(0, int(now) - _statistic(folder / "memory.stat", idle))


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in for `controller`, the innermost first."""
    for line in _text(_SYSTEM / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            tops = [controllers, controller]
        elif number == "0" and not controllers:
            tops = [""]
        else:
            continue
        for top in tops:
            mount = _SYSTEM / "sys/fs/cgroup" / top
            if mount.is_dir():
                # In a container the path may be the host's: what is mounted at the top is then its own group.
                inside = mount / path.strip("/")
                yield from (group for group in (inside, *inside.parents) if group.is_relative_to(mount))
                break


def _statistic(file: Path, name: str) -> int:
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and _is_number(value):
            return int(value)
    return 0


def _first_line(file: Path) -> str:
    return _text(file).partition("\n")[0].strip()


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:  # not Linux, no such limit, or hidden
        return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
