"""What the server knows of the machine, and how its background work makes way there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from modstar_lsp.background import machine
from modstar_lsp.background.machine import is_on_battery, resident_bytes

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")

BATTERY = {"type": "Battery", "capacity": "80"}


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ({}, False),
        ({"BAT0": {**BATTERY, "status": "Discharging"}}, True),
        ({"BAT0": {**BATTERY, "status": "Charging"}}, False),
        ({"BAT0": {**BATTERY, "status": "Not charging"}}, False),
        ({"AC": {"type": "Mains", "online": "1"}, "BAT0": {**BATTERY, "status": "Discharging"}}, False),
        ({"AC": {"type": "Mains", "online": "0"}, "BAT0": {**BATTERY, "status": "Discharging"}}, True),
        ({"hidpp_battery_0": {**BATTERY, "scope": "Device", "status": "Discharging"}}, False),
        (
            {
                "BAT0": {**BATTERY, "status": "Discharging"},
                "hidpp_battery_0": {**BATTERY, "scope": "Device", "status": "Discharging"},
            },
            True,
        ),
    ],
    ids=str,
)
@ON_LINUX
def test_the_battery_is_told_from_the_mains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supplies: dict[str, dict[str, str]], expected: bool
) -> None:
    for name, values in supplies.items():
        (tmp_path / name).mkdir()
        for key, value in values.items():
            (tmp_path / name / key).write_text(f"{value}\n")
    monkeypatch.setattr(machine, "_SUPPLIES", tmp_path)
    monkeypatch.setattr(psutil._pslinux, "POWER_SUPPLY_PATH", str(tmp_path))
    assert is_on_battery() is expected


@ON_LINUX
def test_a_machine_that_hides_its_supplies_is_on_no_battery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SUPPLIES", tmp_path / "none")
    assert is_on_battery() is False


@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize(("plugged", "expected"), [(True, False), (False, True), (None, False)])
def test_elsewhere_the_battery_is_as_the_system_tells_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, plugged: bool | None, expected: bool
) -> None:
    class Battery:
        power_plugged = plugged

    monkeypatch.setattr(machine.sys, "platform", platform)
    monkeypatch.setattr(psutil, "sensors_battery", Battery, raising=False)
    assert is_on_battery() is expected
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    assert is_on_battery() is False
    monkeypatch.delattr(psutil, "sensors_battery")
    assert is_on_battery() is False


def test_the_memory_of_a_process_is_told_while_it_lives() -> None:
    program = [sys.executable, "-c", "print(flush=True); input()"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline(), "it has begun"
    assert 1_000_000 < resident_bytes(child.pid) < 1_000_000_000
    child.communicate(b"\n")
    assert resident_bytes(child.pid) == 0
    assert resident_bytes(None) == 0


def taken(share: float, *, by_thread: bool) -> dict[str, Any]:
    """What a process has after one of its threads took a share: the cores and the niceness of both."""
    program = f"""
import json, os, psutil, threading
from modstar_lsp.background import politeness
politeness._LINUX = {by_thread}
share = politeness.Share({share})
def told(thread):
    one = psutil.Process(thread)
    return {{"nice": one.nice(), "cores": one.cpu_affinity()}}
before = told(os.getpid())
found = []
def work():
    share.take()
    found.append(told(threading.get_native_id()))
worker = threading.Thread(target=work)
worker.start(); worker.join()
print(json.dumps({{"before": before, "worker": found[0], "main": told(os.getpid())}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@ON_LINUX
def test_a_thread_that_takes_its_share_leaves_the_others_alone() -> None:
    found = taken(0.01, by_thread=True)
    assert found["worker"]["cores"] == found["before"]["cores"][-1:]
    assert found["worker"]["nice"] == 10
    assert found["main"] == found["before"]


@ON_LINUX
def test_where_threads_have_no_priority_the_process_takes_the_share() -> None:
    found = taken(0.01, by_thread=False)
    assert found["main"]["cores"] == found["before"]["cores"][-1:]
    assert found["main"]["nice"] == max(10, os.getpriority(os.PRIO_PROCESS, 0))
