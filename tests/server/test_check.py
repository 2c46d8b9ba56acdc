"""`modstar-lsp --check` says in one line whether the server would work, and what to do when it would not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.installation import INSTALL

TIMEOUT = 120


def check(cache: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache)}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-m", "modstar_lsp.server", "--check", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)


def without(folder: Path, *packages: str) -> Path:
    """A folder for PYTHONPATH that has Python import none of `packages`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {packages!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    return folder


def test_a_server_that_works_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    checked = check(tmp_path / "cache")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("modstar-lsp ") and ": ready; model " in checked.stdout
    assert checked.stdout.count("\n") == 1
    assert [file for file in tmp_path.rglob("*") if not file.is_dir()] == []
    assert list((tmp_path / "cache").glob("*/*")) == []


@pytest.mark.parametrize("package", ["pygls", "lsprotocol", "attrs", "numpy", "onnxruntime"])
def test_a_package_that_is_missing_is_told_with_what_to_run(tmp_path: Path, package: str) -> None:
    checked = check(tmp_path / "cache", path=without(tmp_path / "without", package))
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr == (
        f"modstar-lsp: packages that modstar needs are missing ({package}): run {INSTALL}, "
        "your clone or a wheel's file in its place\n"
    )


def test_without_its_packages_the_server_itself_says_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(without(tmp_path / "without", "pygls"))}
    command = [sys.executable, "-m", "modstar_lsp.server"]
    ended = subprocess.run(
        command, env=environment, input="", capture_output=True, text=True, timeout=TIMEOUT
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("modstar-lsp: packages that modstar needs are missing (pygls): run pip ")
    assert ended.stderr.count("\n") == 1


def test_a_query_without_its_packages_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def weigh_parcel(): ...\n")
    environment = {**os.environ, "PYTHONPATH": str(without(tmp_path / "without", "numpy"))}
    command = [sys.executable, "-m", "modstar_lsp.cli.query", "weigh", str(tmp_path), "--index-dir"]
    ended = subprocess.run(
        [*command, str(tmp_path / "indexes")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith(
        "modstar-query: packages that modstar needs are missing (numpy): run pip "
    )


def test_a_model_that_is_damaged_is_told(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in DEFAULT_FOLDER.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    graph = bundle / "exit-6.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    checked = check(tmp_path / "cache", "--bundle", str(bundle))
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr.startswith("modstar-lsp: ") and "exit-6.onnx" in checked.stderr
    assert checked.stderr.count("\n") == 1
    shallow = check(tmp_path / "cache", "--bundle", str(bundle), "--exit", "4")
    assert shallow.stdout.endswith("exits 0, 4; runs on cpu\n"), "what is not used is not asked for"


def test_indexes_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checked = check(tmp_path / "cache", "--index-dir", str(tmp_path / "file" / "indexes"))
    assert (checked.returncode, checked.stdout) == (2, "")
    assert str(tmp_path / "file") in checked.stderr and checked.stderr.count("\n") == 1
