"""VS Code for the tests: where it runs, and what its extension host sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from tests.editors.conftest import SHOP, make_repository
from tests.editors.editor_programs import program
from tests.editors.vscode.vscode_window import STATUS, CodeServer, Window

MakeServer = Callable[..., CodeServer]


@pytest.fixture(scope="session")
def vsix() -> Path:
    """The extension as it is packaged."""
    return Path(program("vsix"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything that the tests of one module write."""
    return tmp_path_factory.mktemp("vscode")


@pytest.fixture(scope="module")
def shop(base: Path) -> Path:
    """The sample repository, one for a module: VS Code takes seconds to start."""
    return make_repository(base / "shop", SHOP)


@pytest.fixture(scope="module")
def bare_environment(base: Path) -> dict[str, str]:
    """A user without configuration, without a Python interpreter of their own, and without modstar."""
    home = base / "home"
    home.mkdir()
    keep = {name: os.environ[name] for name in ("TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {**keep, "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def environment(base: Path, bare_environment: dict[str, str]) -> dict[str, str]:
    """The same with modstar's programs on the PATH."""
    programs = base / "programs"
    programs.mkdir()
    for name in ("modstar", "modstar-lsp", "modstar-index"):
        installed = Path(sys.executable).parent / name
        assert installed.exists(), f"{installed} is missing: pip install -e ."
        (programs / name).symlink_to(installed)
    return {**bare_environment, "PATH": f"{programs}:{bare_environment['PATH']}"}


@pytest.fixture(scope="module")
def repository(library: Path) -> Path:
    """What the window of `workbench` shows."""
    return library


@pytest.fixture(scope="module")
def server(
    base: Path, repository: Path, environment: dict[str, str], vsix: Path, window: Window
) -> Iterator[CodeServer]:
    """VS Code with the extension installed, its window on the repository, all of it indexed."""
    server = CodeServer(base / "window", environment)
    server.install(vsix)
    with server:
        window.do("open", server.url(repository))
        window.see(STATUS, r"modstar: \S+, \d+ files indexed")
        yield server


@pytest.fixture
def workbench(server: CodeServer, window: Window) -> Iterator[Window]:
    """The window; whatever a test opened is closed after it."""
    yield window
    window.press("Escape", "Escape")
    window.do("gone", ".quick-input-widget")
    sleep(1)  # a preview goes in its own time, and gives the focus back to what it stood before
    window.command("View: Close All Editors")


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    """A browser, for pictures with MODSTAR_SCALE pixels a point."""
    with Window(scale=float(os.environ.get("MODSTAR_SCALE", "1"))) as it:
        yield it
