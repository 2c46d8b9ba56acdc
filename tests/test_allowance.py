"""A container's limits are kept although its processes see the whole machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from modstar_lsp import allowance
from modstar_lsp.background.politeness import Share
from modstar_lsp.index.records import Job
from modstar_lsp.index.writing.workers import MAX_WORKERS, workers_for

MUCH = [Job("a.py", 10_000_000, 0, 0, b"")]
NO_LIMIT = "9223372036854771712"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a file system that says nothing, on a machine of 64 cores."""
    monkeypatch.setattr(allowance, "_SYSTEM", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    return tmp_path


def say(system: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = system / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


def test_without_a_limit_all_cores_and_all_memory_are_there(system: Path) -> None:
    assert (allowance.usable_cores(), allowance.core_quota()) == (64, math.inf)
    assert allowance.free_memory() is None
    assert workers_for(MUCH) == MAX_WORKERS


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("150000 100000", 2), ("400000 100000", 4), ("max 100000", 64)]
)
def test_a_quota_of_version_2(system: Path, quota: str, cores: int) -> None:
    say(system, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": quota})
    assert allowance.usable_cores() == cores
    assert workers_for(MUCH) == min(MAX_WORKERS, cores - 1)


@pytest.mark.parametrize(("quota", "cores"), [("50000", 1), ("300000", 3), ("-1", 64)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("path", ["/docker/0a1b", "/"])
def test_a_quota_of_version_1(system: Path, quota: str, cores: int, mount: str, path: str) -> None:
    """In a container the path is often the host's, and the group is mounted at the top."""
    say(
        system,
        {
            "proc/self/cgroup": f"5:memory:{path}\n4:{mount}:{path}\n1:name=systemd:{path}\n0::/",
            f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": quota,
            f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000",
        },
    )
    assert allowance.usable_cores() == cores


def test_the_least_of_all_groups_above_counts(system: Path) -> None:
    say(
        system,
        {
            "proc/self/cgroup": "0::/user.slice/app.scope",
            "sys/fs/cgroup/user.slice/cpu.max": "200000 100000",
            "sys/fs/cgroup/user.slice/app.scope/cpu.max": "max 100000",
            "sys/fs/cgroup/user.slice/memory.max": "300000000",
            "sys/fs/cgroup/user.slice/memory.current": "200000000",
            "sys/fs/cgroup/user.slice/memory.stat": "anon 50000000\ninactive_file 150000000",
            "sys/fs/cgroup/user.slice/app.scope/memory.max": "max",
            "sys/fs/cgroup/user.slice/app.scope/memory.current": "200000000",
        },
    )
    assert allowance.usable_cores() == 2
    assert allowance.free_memory() == 250_000_000


def test_memory_of_version_1(system: Path) -> None:
    folder = "sys/fs/cgroup/memory"
    say(system, {"proc/self/cgroup": "4:memory:/", f"{folder}/memory.usage_in_bytes": "100000000"})
    say(system, {f"{folder}/memory.limit_in_bytes": NO_LIMIT})
    assert allowance.free_memory() is None
    say(system, {f"{folder}/memory.limit_in_bytes": "700000000"})
    assert allowance.free_memory() == 600_000_000
    assert workers_for(MUCH) == 2, "three processes of 200 MB"
    say(system, {f"{folder}/memory.limit_in_bytes": "90000000"})
    assert (allowance.free_memory(), workers_for(MUCH)) == (0, 0)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "100000 0", "0 100000", "-5 -5", "\0\xff 100000", "1e5 100000"]
)
def test_what_is_no_quota_is_none(system: Path, text: str) -> None:
    say(system, {"proc/self/cgroup": "nonsense\n0::/\n::::", "sys/fs/cgroup/cpu.max": text})
    say(system, {"sys/fs/cgroup/memory.max": text, "sys/fs/cgroup/memory.current": text})
    assert allowance.usable_cores() == 64
    assert allowance.free_memory() is None


def test_background_work_takes_its_share_of_the_quota(system: Path) -> None:
    """A half of half a core is kept by resting, whatever number of cores can be seen."""
    say(system, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert Share(0.5)._cores == 0.25
