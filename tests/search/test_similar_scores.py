"""What the score of similar code means, asked with the bundle that ships."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundle.manifest import update_manifest
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace

UPLOAD = '''\
def upload_with_retries(client, path, attempts=3):
    """Send the file to the server, and try again after a pause when the connection breaks."""
    pause = 1.0
    for attempt in range(attempts):
        try:
            with open(path, "rb") as stream:
                return client.put(path.name, stream)
        except ConnectionError:
            if attempt == attempts - 1:
                raise
            time.sleep(pause)
            pause *= 2
'''
RENAMED = '''\
def push(session, location, limit=3):
    """Send the file to the server, and try again after a pause when the connection breaks."""
    delay = 1.0
    for turn in range(limit):
        try:
            with open(location, "rb") as handle:
                return session.put(location.name, handle)
        except ConnectionError:
            if turn == limit - 1:
                raise
            time.sleep(delay)
            delay *= 2
'''
INVOICE = """\
class Invoice:
    def total(self):
        return sum(line.price * line.quantity for line in self.lines)

    def is_overdue(self, today):
        return not self.paid and today > self.due
"""
MENU = """\
export function toggleMenu(menu: Menu): void {
  menu.open = !menu.open;
  redraw(menu);
}
"""
SPECTRUM = """\
def spectrum(samples, rate):
    window = hann(len(samples))
    return abs(fft(samples * window)) / rate
"""
FILES = {
    "app/upload.py": UPLOAD,
    "tools/copied.py": UPLOAD,
    "tools/pushing.py": RENAMED,
    "billing/invoice.py": INVOICE,
    "web/menu.ts": MENU,
}
HERE = ("app/upload.py", 1, UPLOAD.count("\n"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("uploads")
    for path, text in FILES.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def workspace(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace.open(project, index_dir=tmp_path_factory.mktemp("indexes")) as opened:
        opened.refresh()
        yield opened


def scores(workspace: Workspace, code: str = UPLOAD, options: Options | None = None) -> dict[str, float]:
    return {hit.path: hit.score for hit in workspace.similar(code, options, origin=HERE).hits}


def test_a_copy_in_another_file_is_nearly_certain(workspace: Workspace) -> None:
    assert scores(workspace)["tools/copied.py"] >= 0.9


def test_a_copy_with_a_line_changed_is_one_still(workspace: Workspace) -> None:
    changed = UPLOAD.replace("            pause *= 2\n", "            pause += random()\n")
    assert scores(workspace, changed)["tools/copied.py"] >= 0.9


def test_a_renamed_copy_is_shown_and_scores_less(workspace: Workspace) -> None:
    found = scores(workspace)
    assert 0.7 <= found["tools/pushing.py"] < found["tools/copied.py"]


def test_unrelated_code_is_not_shown_even_behind_a_copy(workspace: Workspace) -> None:
    assert set(scores(workspace)) == {"tools/copied.py", "tools/pushing.py"}


def test_code_like_none_in_the_project_finds_nothing(workspace: Workspace) -> None:
    results = workspace.similar(SPECTRUM)
    assert results.hits == ()
    assert results.closest is not None


def test_one_selected_word_is_no_copy_of_whatever_holds_it(workspace: Workspace) -> None:
    assert all(hit.score < 0.9 for hit in workspace.similar("pause").hits)


def test_scores_never_rise(workspace: Workspace) -> None:
    values = list(scores(workspace, options=Options(min_score=0.0)).values())
    assert len(values) >= 3
    assert values == sorted(values, reverse=True)


@pytest.fixture
def bundle_without(tmp_path: Path) -> Callable[[], Path]:
    """A copy of the bundle that ships as it was before find-similar had a calibration."""

    def made() -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(DEFAULT_FOLDER, folder)
        kept = json.loads(json.dumps(open_bundle(folder).calibration))
        for entry in kept.values():
            del entry["similar"]
        update_manifest(folder, calibration=kept)
        return folder

    return made


def test_a_bundle_without_it_still_finds_the_copy_in_the_same_index(
    project: Path, workspace: Workspace, tmp_path: Path, bundle_without: Callable[[], Path]
) -> None:
    older = bundle_without()
    assert open_bundle(older).digest == open_bundle().digest
    with Workspace.open(project, index_dir=tmp_path / "indexes", bundle=older) as opened:
        opened.refresh()
        hits = opened.similar(UPLOAD, origin=HERE).hits
    assert hits[0].path == "tools/copied.py"
    assert "likeness" not in hits[0].explanation
