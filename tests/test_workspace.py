"""What the object that every face holds promises: freshness, partial answers, remembered filters."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modstar_lsp.errors import BundleError, WorkspaceError
from modstar_lsp.index import Progress
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace, project_root

EVERYTHING = Options(min_score=0.0, k=50)


@pytest.fixture
def open_workspace(tmp_path: Path) -> Callable[[], Workspace]:
    root = tmp_path / "project"
    for number in range(3):
        file = root / f"src/part{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"def weigh_parcel_{number}(parcel):\n    return parcel.mass * {number}\n")
    (root / "web").mkdir()
    (root / "web/scale.ts").write_text("export function weighParcel(p: Parcel) {\n  return p.mass;\n}\n")
    return lambda: Workspace.open(root, index_dir=tmp_path / "indexes")


def paths(workspace: Workspace, question: str = "weigh a parcel") -> set[str]:
    return {hit.path for hit in workspace.search(question, EVERYTHING).hits}


def test_what_was_saved_is_found_and_what_was_deleted_is_not(open_workspace: Callable[[], Workspace]) -> None:
    with open_workspace() as workspace:
        workspace.refresh()
        (workspace.root / "src/part0.py").unlink()
        (workspace.root / "src/moved.py").write_text("def open_gate(gate):\n    gate.lift()\n")
        workspace.refresh()
        assert "src/part0.py" not in paths(workspace)
        assert "src/moved.py" in paths(workspace, "open the gate")


def test_a_search_before_any_indexing_finds_nothing_and_says_so(
    open_workspace: Callable[[], Workspace],
) -> None:
    with open_workspace() as workspace:
        results = workspace.search("weigh a parcel")
        assert (results.hits, results.closest) == ((), None)


def test_a_search_during_the_first_indexing_answers_from_what_is_known(tmp_path: Path) -> None:
    root = tmp_path / "large"
    body = "\n\n".join(
        f"def step_{n}(value):\n    return value * {n} + offset_{n}(value)" for n in range(100)
    )
    for number in range(300):
        file = root / f"part{number:03}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(body.replace("step", f"stage{number}"))
    seen: list[float] = []
    with (
        Workspace.open(root, index_dir=tmp_path / "indexes") as writer,
        Workspace.open(root, index_dir=tmp_path / "indexes") as reader,
    ):

        def ask(progress: Progress) -> None:
            results = reader.search("stage step", EVERYTHING)
            if results.hits:
                seen.append(results.indexed_share)

        writer.refresh(ask)
        assert reader.search("stage step").indexed_share == 1.0
    assert seen, "no search found anything while indexing"
    assert 0 < seen[0] < 1
    assert seen == sorted(seen)


def test_filters_are_remembered_until_others_are_given(open_workspace: Callable[[], Workspace]) -> None:
    with open_workspace() as workspace:
        workspace.refresh(include=["*.ts"])
        assert paths(workspace) == {"web/scale.ts"}
    with open_workspace() as workspace:
        workspace.refresh()
        assert paths(workspace) == {"web/scale.ts"}
        workspace.refresh(exclude=["web/"])
        assert paths(workspace) == {"src/part0.py", "src/part1.py", "src/part2.py"}


def test_clearing_forgets_everything(open_workspace: Callable[[], Workspace]) -> None:
    with open_workspace() as workspace:
        workspace.refresh(exclude=["src/"])
        workspace.clear()
    with open_workspace() as workspace:
        assert workspace.status().files == 0
        workspace.refresh()
        assert len(paths(workspace)) == 4


def test_the_lines_of_a_hit_are_those_of_the_file_now(open_workspace: Callable[[], Workspace]) -> None:
    with open_workspace() as workspace:
        workspace.refresh()
        hit = workspace.search("weighParcel", EVERYTHING).hits[0]
        assert "return p.mass" in workspace.text(hit)
        (workspace.root / hit.path).unlink()
        assert workspace.text(hit) == ""


def test_a_missing_folder_and_a_file_are_errors_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("x = 1\n")
    for path in (tmp_path / "missing", tmp_path / "file.py"):
        with pytest.raises(WorkspaceError) as error:
            Workspace.open(path, index_dir=tmp_path / "indexes")
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_the_project_root_is_the_nearest_repository(tmp_path: Path) -> None:
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/src/deep").mkdir(parents=True)
    assert project_root(tmp_path / "repository/src/deep") == (tmp_path / "repository").resolve()
    (tmp_path / "plain").mkdir()
    assert project_root(tmp_path / "plain") == (tmp_path / "plain").resolve()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_second_worktree_takes_over_the_deeper_vectors(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    (main / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass\n")
    git(main, "init", "-q")
    git(main, "add", ".")
    git(main, "commit", "-qm", "weigh")
    git(main, "worktree", "add", "-q", str(tmp_path / "other"))
    with Workspace.open(main, index_dir=tmp_path / "indexes") as workspace:
        workspace.refresh()
        deepest = max(one.depth for one in workspace.encoder.bundle.exits)
        workspace.deepen(deepest)
    with Workspace.open(tmp_path / "other", index_dir=tmp_path / "indexes") as workspace:
        workspace.refresh()
        assert workspace.status().depths == {deepest: 1}


def test_a_model_damaged_after_it_was_found_right_is_noticed(
    open_workspace: Callable[[], Workspace], tmp_path: Path
) -> None:
    with open_workspace() as workspace:
        root, folder = workspace.root, tmp_path / "bundle"
        shutil.copytree(workspace.encoder.bundle.folder, folder)
    for _ in range(2):
        with Workspace.open(root, index_dir=tmp_path / "own", bundle=folder) as workspace:
            workspace.refresh()
            assert workspace.search("weigh a parcel", EVERYTHING).hits
    table = folder / "static.npy"
    before = table.stat()
    with table.open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    with (
        Workspace.open(root, index_dir=tmp_path / "own", bundle=folder) as workspace,
        pytest.raises(BundleError),
    ):
        workspace.search("weigh a parcel", EVERYTHING)
