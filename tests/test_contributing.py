"""What strangers find beside the code says the same as the code."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import modstar_lsp
from modstar_lsp.__main__ import PROGRAMS

ROOT = Path(__file__).resolve().parent.parent
LIGHT = (ROOT / "tests/runtime.txt").read_text("utf-8").split()
# Their tests need engines that the plain install does not bring: pip install '.[scale]'.
OF_EXTRAS = {"stores"}
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]


def test_the_light_tests_are_all_tests_of_the_runtime() -> None:
    packages = {folder.name for folder in (ROOT / "modstar_lsp").iterdir() if folder.is_dir()} - OF_EXTRAS
    wanted = {f"tests/{name}" for name in packages if list((ROOT / "tests" / name).glob("**/test_*.py"))}
    wanted |= {f"tests/{file.name}" for file in (ROOT / "tests").glob("test_*.py")}
    assert {entry for entry in LIGHT if not entry.startswith("--")} == wanted


def test_what_the_light_tests_leave_out_is_there_and_needs_torch() -> None:
    for entry in LIGHT:
        if entry.startswith("--"):
            assert "torch" in (ROOT / entry.removeprefix("--ignore=")).read_text("utf-8")


@pytest.mark.parametrize("page", ["pyproject.toml", ".github/workflows/tests.yml"])
def test_every_version_of_python_that_is_promised_is_tried(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    pattern = r"Python :: (3\.\d+)" if page == "pyproject.toml" else r'"(3\.\d+)"'
    assert set(PYTHONS) == set(re.findall(pattern, text))
    assert f'requires-python = ">={PYTHONS[0]}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert ".".join(map(str, sys.version_info[:2])) in PYTHONS, "say that this one is tried, too"


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("CITATION.cff", r"^version: (.*)$"),
        ("editors/emacs/modstar.el", r"^;; Version: (.*)$"),
        ("editors/vscode/package.json", r'^  "version": "(.*)",$'),
    ],
)
def test_the_version_to_cite_and_of_the_clients_is_the_version(page: str, pattern: str) -> None:
    told = re.findall(pattern, (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert told == [modstar_lsp.__version__]


def test_the_registry_of_servers_is_told_name_version_and_command_as_they_are() -> None:
    told = json.loads((ROOT / "server.json").read_text("utf-8"))
    assert f"<!-- mcp-name: {told['name']} -->" in (ROOT / "README.md").read_text("utf-8")
    (package,) = told["packages"]
    assert told["version"] == package["version"] == modstar_lsp.__version__
    assert len(told["description"]) <= 100
    word = package["packageArguments"][0]["value"]
    assert PROGRAMS[word].module == "modstar_lsp.mcp.main"
    assert f'{package["identifier"]} = "modstar_lsp.__main__:main"' in (ROOT / "pyproject.toml").read_text(
        "utf-8"
    )


def test_only_a_tag_publishes() -> None:
    release = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert re.search(r'^on:\n  push:\n    tags: \["v\*"\]\n\n', release, re.MULTILINE)
    publish = release.partition("\n  publish:\n")[2].partition("\n  extension:\n")[0]
    assert "if: startsWith(github.ref, 'refs/tags/v')" in publish
    assert "id-token: write" in publish
    sealed = release.partition("\n  seal:\n")[2].partition("\n  publish:\n")[0]
    assert "id-token: write" in sealed and release.count("id-token") == 2
    others = [file for file in (ROOT / ".github/workflows").iterdir() if file.name != "release.yml"]
    assert others and not any("pypi-publish" in file.read_text("utf-8") for file in others)
