"""What surrounds the stop watch: turns, processes, memory, and the command as recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import big_tree, speed
from evaluation import record
from evaluation.sets import SetError


def test_tools_take_turns_in_going_first() -> None:
    assert speed.taking_turns(["a", "b"], 3) == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_a_process_that_fails_is_an_error_and_one_that_finds_nothing_is_not() -> None:
    assert speed.timed([sys.executable, "-c", "raise SystemExit(1)"], {}).wall > 0
    with pytest.raises(SetError, match="ended with 2: broken"):
        speed.timed([sys.executable, "-c", "import sys; sys.stderr.write('broken'); sys.exit(2)"], {})
    with pytest.raises(SetError, match="ended with 1"):
        speed.timed([sys.executable, "-c", "1 / 0"], {})


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
def test_the_peak_counts_children_too() -> None:
    hold = "import time; held = bytearray(60_000_000); time.sleep(.5)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    assert 60_000_000 < speed.peak_memory([sys.executable, "-c", child]) < 160_000_000


def test_the_recorded_command_holds_no_folder() -> None:
    line = record.command_line(
        "bench.speed", ["--trees", "/a/b/trees", "--peer=/x/bin/semble", "--rounds", "3"]
    )
    assert line == "python -m bench.speed --trees trees --peer=semble --rounds 3"


def test_an_unknown_part_or_tree_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(["--trees", str(tmp_path), "--only", "cold,tepid"])
    assert "tepid" in capsys.readouterr().err


def test_a_table_is_aligned() -> None:
    assert record.table("t", ["a", "bb"], [["long", "x"]]).splitlines() == [
        "## t",
        "",
        "| a    | bb |",
        "|------|----|",
        "| long | x  |",
    ]


def test_a_tree_digest_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = record.tree_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = record.tree_digest(tmp_path)
    (tmp_path / "b").write_text("y")
    assert len({first, second, record.tree_digest(tmp_path)}) == 3


def test_a_workspace_is_laid_out_once_and_up_to_the_size_asked_for(tmp_path: Path) -> None:
    for i in range(5):
        source = tmp_path / "trees" / "set" / "repo" / f"f{i}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"def f{i}():\n    return {i}\n")
    laid = big_tree.lay_out(tmp_path / "trees", tmp_path / "out", files=3)
    assert laid.files == 3
    assert sorted(p.name for p in (tmp_path / "out" / "set-repo").iterdir()) == ["f0.py", "f1.py", "f2.py"]
    assert big_tree.lay_out(tmp_path / "trees", tmp_path / "out", files=3) == laid
    with pytest.raises(SetError, match="something else"):
        big_tree.lay_out(tmp_path / "trees", tmp_path / "out", files=2)
    with pytest.raises(SetError, match="no trees"):
        big_tree.lay_out(tmp_path / "none", tmp_path / "out2", files=2)
