"""`modstar indexes` tells what there is, and removes what has lost its folder and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Shell, write_files


@pytest.fixture
def other(shell: Shell, tmp_path: Path) -> Path:
    """A second project; both are indexed."""
    folder = write_files(tmp_path / "store", {"gift.py": "def wrap_gift(gift):\n    return gift\n"})
    assert shell.index().status == shell.index(str(folder)).status == 0
    return folder


def listed(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shell.run("indexes", "--json", *arguments).out)["indexes"]
    return found


def test_every_index_is_listed_with_its_folder_files_size_and_last_use(shell: Shell, other: Path) -> None:
    found = {one["root"]: one for one in listed(shell)}
    assert set(found) == {str(shell.cwd), str(other)}
    assert found[str(other)]["files"] == 1 and found[str(shell.cwd)]["files"] == 7
    assert all(one["state"] == "there" and one["bytes"] > 1_000 for one in found.values())
    answer = shell.run("indexes")
    assert answer.status == 0 and answer.out.count("\n") == 2
    assert "1 file" in answer.out and str(other) in answer.out
    assert "2 indexes" in answer.err


def test_the_last_used_comes_first_and_looking_is_no_use(shell: Shell, other: Path) -> None:
    long_ago = time.time() - 1_000_000
    for one in listed(shell):
        os.utime(one["index"], (long_ago, long_ago))
    assert shell.query("parse_json").status == 0
    first, second = listed(shell)
    assert (first["root"], second["root"]) == (str(shell.cwd), str(other))
    assert first["used"] > second["used"]
    assert listed(shell)[1]["used"] == second["used"]


def test_prune_removes_those_whose_folder_is_gone_and_no_other(shell: Shell, other: Path) -> None:
    shutil.rmtree(other)
    (gone,) = (one for one in listed(shell) if one["state"] == "gone")
    tried = shell.run("indexes", "prune", "--dry-run")
    assert str(other) in tried.out and "would remove 1" in tried.err
    assert Path(gone["index"]).is_dir() and len(listed(shell)) == 2
    pruned = json.loads(shell.run("indexes", "prune", "--json").out)
    assert [one["root"] for one in pruned["removed"]] == [str(other)]
    assert not Path(gone["index"]).exists()
    assert [one["root"] for one in listed(shell)] == [str(shell.cwd)]
    assert shell.query("parse_json", "--no-refresh").status == 0
    assert "nothing to remove" in shell.run("indexes", "prune").err


def test_what_is_no_index_is_left_alone(shell: Shell, other: Path, tmp_path: Path) -> None:
    shutil.rmtree(other)
    (gone,) = (one for one in listed(shell) if one["state"] == "gone")
    (Path(gone["index"]) / "notes.txt").write_text("mine")
    broken = write_files(Path(gone["index"]).parent / "broken-0", {"index-2.sqlite": "no database"})
    moved = Path(shutil.copytree(gone["index"], Path(gone["index"]).parent / "copied-1"))
    states = {one["index"]: one["state"] for one in listed(shell)}
    assert states[str(broken)] == states[str(moved)] == "unknown"
    answer = shell.run("indexes", "prune")
    assert answer.status == 2 and answer.err.count("\n") == 2
    assert (Path(gone["index"]) / "notes.txt").read_text() == "mine"
    assert broken.is_dir() and moved.is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_folder_whose_name_is_no_text_is_listed_searched_and_pruned(shell: Shell, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\\x41\xff")
    write_files(odd, {"gift.py": "def wrap_gift(gift):\n    return gift.paper\n"})
    assert shell.index(str(odd)).status == 0
    answer = shell.query("wrap_gift", "--all")
    assert (answer.status, answer.err) == (0, "") and "wrap_gift" in answer.out
    shutil.rmtree(odd)
    assert json.loads(shell.run("indexes", "--json").out)["indexes"][0]["state"] == "gone"
    assert shell.run("indexes", "prune").status == 0
    assert json.loads(shell.run("indexes", "--json").out)["indexes"] == []


def test_without_any_index_nothing_is_listed(shell: Shell, tmp_path: Path) -> None:
    assert listed(shell) == listed(shell, "--index-dir", str(tmp_path / "none")) == []
    assert shell.run("indexes").status == shell.run("indexes", "prune").status == 0


def test_a_folder_of_ones_own_is_listed(shell: Shell, tmp_path: Path) -> None:
    assert shell.index("--index-dir", str(tmp_path / "own")).status == 0
    assert [one["root"] for one in listed(shell, "--index-dir", str(tmp_path / "own"))] == [str(shell.cwd)]
    assert listed(shell) == []


@pytest.mark.parametrize("mistake", [("burn",), ("--index-dir", ""), ("prune", "prune")])
def test_a_mistake_is_one_line_and_status_2(shell: Shell, mistake: tuple[str, ...]) -> None:
    answer: Answer = shell.run("indexes", *mistake)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
