"""What a rented card runs, at tiny sizes on the CPU: every part has its table, and none needs another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def measured(out: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """(exit status, the record's results, what was printed)."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--small", "--out", str(out), *arguments],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(out), **environment},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    (record,) = out.glob("*-gpu-*.json")
    return done.returncode, json.loads(record.read_text("utf-8"))["results"], done.stdout


def test_fp16_is_measured_against_int8(tmp_path: Path) -> None:
    status, found, printed = measured(tmp_path, "--only", "vectors,throughput")
    assert status == 0, printed
    int8, fp16 = found["vectors"]["rows"]
    assert float(int8[1]) > 0.9999 and float(fp16[1]) > 0.99
    assert {row[0] for row in found["throughput"]["rows"]} == {"4", "6"}
    assert "## Texts a second" in printed


def test_a_part_that_fails_leaves_the_others(tmp_path: Path) -> None:
    parts = "vectors,billion,training"
    status, found, printed = measured(tmp_path, "--only", parts, MODSTAR_PROVIDER="none")
    assert status == 2
    assert found["vectors"]["failed"].startswith("MODSTAR_PROVIDER must be one of cuda, ")
    assert [row[0] for row in found["billion"]["rows"]] == ["1", "2"]
    ways = {row[0]: row[1] for row in found["training"]["rows"]}
    assert len(ways) == 4 and not [speed for speed in ways.values() if not float(speed) > 0], printed
