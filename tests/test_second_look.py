"""What was found is looked at once more: files that changed since they were indexed, at each way to ask."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import modstar
from modstar_lsp.errors import WorkspaceError
from modstar_lsp.search import Options, Results
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question

EVERYTHING = Options(min_score=0.0, k=20)
QUESTION = "weigh a parcel"


def source(number: int) -> str:
    return f"def weigh_parcel_{number}(parcel):\n    return parcel.mass * {number}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three hundred files that answer much the same."""
    for number in range(300):
        file = tmp_path / f"project/part{number % 3}/parcel{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source(number))
    return tmp_path / "project"


@pytest.fixture
def reader(root: Path, tmp_path: Path) -> Iterator[Workspace]:
    """The index, held by who cannot write it."""
    with Workspace.open(root, index_dir=tmp_path / "indexes") as writer:
        writer.refresh()
    with Workspace.open(root, index_dir=tmp_path / "indexes", write=False) as workspace:
        yield workspace


def refreshed(root: Path, tmp_path: Path) -> Results:
    """What an index made now answers."""
    with Workspace.open(root, index_dir=tmp_path / "anew") as workspace:
        workspace.refresh()
        return workspace.search(QUESTION, EVERYTHING)


def stands(workspace: Workspace, results: Results) -> bool:
    """Whether the line to jump to defines what each hit is named for."""
    for hit in results.hits:
        line = workspace.describe(hit, {"weigh"}).line
        if not workspace.lines(hit.path, line, line).startswith(f"def {hit.name}("):
            return False
    return True


def without_time(results: Results) -> Results:
    return results._replace(took=0.0, hits=tuple(hit._replace(row=0) for hit in results.hits))


def test_the_answer_is_what_indexing_first_would_give(reader: Workspace, root: Path, tmp_path: Path) -> None:
    before = reader.search(QUESTION, EVERYTHING)
    for place, hit in enumerate(before.hits):
        file = root / hit.path
        if place % 3 == 0:
            file.write_text("\n\n\n" + file.read_text())
        elif place % 3 == 1:
            file.unlink()
    after = reader.search(QUESTION, EVERYTHING)
    assert stands(reader, after) and len(after.hits) == len(before.hits)
    assert without_time(after) == without_time(refreshed(root, tmp_path))


def test_a_touched_file_changes_nothing(reader: Workspace, root: Path) -> None:
    before = reader.search(QUESTION, EVERYTHING)
    for hit in before.hits:
        os.utime(root / hit.path)
    assert without_time(reader.search(QUESTION, EVERYTHING)) == without_time(before)


def test_however_much_has_changed_no_line_is_another(reader: Workspace, root: Path) -> None:
    for file in root.rglob("*.py"):
        file.write_text("\n\n\n" + file.read_text())
    results = reader.search(QUESTION, EVERYTHING._replace(k=100))
    assert results.hits and stands(reader, results)
    shutil.rmtree(root / "part0")
    shutil.rmtree(root / "part1")
    for file in root.rglob("*.py"):
        file.write_text(f"# {file.name}\n")
    results = reader.search(QUESTION, EVERYTHING._replace(k=100))
    assert all((root / hit.path).exists() and not hit.name for hit in results.hits)


def test_a_root_that_is_gone_is_said(reader: Workspace, root: Path) -> None:
    reader.search(QUESTION)
    root.rename(root.with_name("moved"))
    with pytest.raises(WorkspaceError, match="project: no such folder"):
        reader.search(QUESTION)


def test_as_indexed_is_as_indexed(reader: Workspace, root: Path) -> None:
    hit = reader.search(QUESTION).hits[0]
    (root / hit.path).unlink()
    assert reader.ask(Question(QUESTION), as_indexed=True).hits[0] == hit


def test_a_program_has_the_files_as_they_are_and_new_ones(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Workspace.put
    with modstar.open(root, index_dir=tmp_path / "indexes") as project:
        assert project.search("weigh_parcel_7")[0].path == "part1/parcel7.py"

        def put_and_move(*given: object) -> Results:
            results = put(*given)  # type: ignore[arg-type]
            if (root / "part1/parcel7.py").exists():
                (root / "part1/parcel7.py").rename(root / "moved.py")
                (root / "moved.py").write_text("\n\n" + source(7))
            return results

        monkeypatch.setattr(Workspace, "put", put_and_move)
        hit = project.search("weigh_parcel_7")[0]
        assert (hit.path, hit.line, hit.text) == ("moved.py", 3, "\n\n" + source(7).rstrip("\n"))
