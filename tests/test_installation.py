"""The one install command works from a clone, needs no compiler, and is what every page and client says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modstar_lsp.installation import INSTALL
from tests.bare import ROOT, TIMEOUT, Bare, tracked_files
from tests.test_startup import NUMPY


def told_commands() -> list[tuple[str, str]]:
    """(file, command) for every `pip install` and the like in the project's texts and programs."""
    found = []
    for name in tracked_files():
        if name.startswith(("bench/results/", "train/records/", "tests/", "scripts/release/index.sh")):
            continue  # what was once run, what stands for any text, what asks an index of its own
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for told in re.finditer(r"\b(?:pipx? install|uvx|uv tool install|uv pip install) [^\n`;|]*", text):
            found.append((name, told[0]))
    return found


def wanted(command: str) -> list[str]:
    """What a command installs."""
    words = [word.strip("'\"\\,.?)(") for word in command.split()]
    if "--from" in words:  # what follows is a command of it, and its arguments
        return [words[words.index("--from") + 1]]
    words = words[words.index("install") + 1 if "install" in words else 1 :]
    for end in ("&&", "#"):
        words = words[: words.index(end)] if end in words else words
    return words


def test_every_text_installs_modstar_by_its_path_and_never_by_its_name() -> None:
    told = told_commands()
    assert len(told) > 15
    wrong = [
        (file, command)
        for file, command in told
        for word in wanted(command)
        if "modstar" in word
        and word != INSTALL.split()[-1]
        and not re.fullmatch(r".*/modstar-\S*\.whl", word)
    ]
    assert not wrong


@pytest.mark.parametrize(
    "page",
    [
        "docs/index.md",
        "docs/editors/install.md",
        "docs/editors/emacs.md",
        "docs/editors/helix.md",
        "docs/editors/neovim.md",
        "editors/emacs/modstar.el",
        "editors/nvim/doc/modstar.txt",
        "editors/nvim/lua/modstar/client.lua",
        "editors/vscode/README.md",
        "editors/vscode/media/install.md",
        "editors/vscode/src/lookup.ts",
    ],
)
def test_every_page_and_client_says_the_command(page: str) -> None:
    assert INSTALL in (ROOT / page).read_text("utf-8")


def test_the_optional_package_is_asked_for_within_the_bounds_of_the_project() -> None:
    (bounds,) = re.findall(r'^ann = \["(.*)"\]$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    for page in ("docs/editors/install.md", "docs/tuning.md"):
        assert f'pip install "{bounds}"' in (ROOT / page).read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable says which folder is the cache")
def test_all_that_is_left_behind_lies_in_the_cache_folder(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("home", "project", "temporary")}
    for place in places.values():
        place.mkdir()
    (places["project"] / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass\n")
    environment = {**os.environ, "HOME": str(places["home"]), "TMPDIR": str(places["temporary"])}
    environment.pop("XDG_CACHE_HOME", None)
    python = [sys.executable, "-m"]
    for command in (
        ["modstar_lsp.cli.query", "weigh a parcel", "--exit", "4"],
        ["modstar_lsp.cli.index", "--status"],
        ["modstar_lsp.server", "--check"],
    ):
        subprocess.run(
            [*python, *command], cwd=places["project"], env=environment, check=True, timeout=TIMEOUT
        )
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if not file.is_dir()}
    assert {file for file in left if not file.startswith("home/.cache/modstar/project-")} == {
        "project/scale.py"
    }


@pytest.fixture(scope="module")
def bare(bare_machine: Bare) -> Bare:
    """The environment after the one command."""
    # Only a shell of POSIX knows the tilde; the pages tell Windows to write the path in full.
    command = INSTALL if os.name == "posix" else INSTALL.replace("~", str(bare_machine.home))
    installed = bare_machine.run(command)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return bare_machine


def test_after_the_one_command_everything_works(bare: Bare, tmp_path: Path) -> None:
    checked = bare.run("modstar-lsp --check")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    assert ": ready; " in checked.stdout
    (tmp_path / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass\n")
    found = bare.run('modstar-query "weigh a parcel"', cwd=tmp_path)
    assert found.returncode == 0 and "weigh_parcel" in found.stdout, found.stderr
    asked = "import modstar; print(modstar.open('.').search('weigh a parcel')[0].symbol)"
    assert bare.run(f'python -c "{asked}"', cwd=tmp_path).stdout.strip() == "weigh_parcel"
    assert bare.run("pip check").returncode == 0


def test_a_bare_install_brings_neither_the_training_stack_nor_a_client_of_the_web(bare: Bare) -> None:
    listed = bare.run("pip list --format=freeze").stdout.lower()
    assert "pygls==" in listed
    training = "torch|transformers|optimum|onnx|hnswlib|tokenizers"
    web = "huggingface.hub|hf.xet|httpx2?|httpcore2?|requests|urllib3|aiohttp|anyio"
    assert not re.search(rf"^({training}|{web})==", listed, re.MULTILINE)


def test_the_newest_numpy_is_whole_without_its_docstrings(bare: Bare) -> None:
    (bare.home / "plain.py").write_text(NUMPY)
    (bare.home / "hastened.py").write_text(
        "from modstar_lsp.startup import hasten_numpy; hasten_numpy()" + NUMPY
    )
    plain, hastened = bare.run("python plain.py"), bare.run("python hastened.py")
    assert '"documented": true' in plain.stdout, plain.stderr
    assert hastened.stdout == plain.stdout.replace('"documented": true', '"documented": false')


def test_a_package_taken_away_is_named_by_the_check(bare: Bare) -> None:
    assert bare.run("pip uninstall -y psutil").returncode == 0
    checked = bare.run("modstar-lsp --check")
    assert checked.returncode == 2
    assert "packages that modstar needs are missing (psutil)" in checked.stderr
