"""The server beside the interpreter that is selected in the Python extension, in the real window."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tests.editors.vscode.vscode_window import QUICK_INPUT, QUICK_ROWS, STATUS, CodeServer, Window

PYTHON_EXTENSION = Path(__file__).resolve().parent / "python_extension"


@pytest.fixture
def python_extension(base: Path) -> Path:
    """A package with what stands in for the Python extension."""
    package = base / "python.vsix"
    with zipfile.ZipFile(package, "w") as archive:
        for file in PYTHON_EXTENSION.iterdir():
            archive.write(file, f"extension/{file.name}")
    return package


def select(window: Window, interpreter: Path) -> None:
    window.command("Python: Select Interpreter")
    window.see(f"{QUICK_INPUT}[placeholder='Select Interpreter']")
    window.do("type", str(interpreter))
    window.see(f"{QUICK_ROWS}.focused", str(interpreter))
    window.press("Enter")


def test_the_selected_interpreter_is_used_in_a_trusted_folder(
    shop: Path,
    base: Path,
    bare_environment: dict[str, str],
    vsix: Path,
    python_extension: Path,
    window: Window,
) -> None:
    installed = Path(sys.executable)
    bare = base / "bare" / "bin" / "python"
    bare.parent.mkdir(parents=True)
    bare.symlink_to(installed.resolve())  # the same Python without the packages of the environment
    environment = {**bare_environment, "MODSTAR_INTERPRETERS": f"{installed}:{bare}"}
    server = CodeServer(base / "interpreter", environment, trusted=False)
    server.install(vsix)
    server.install(python_extension)
    with server:
        window.do("open", server.url(shop))
        # An interpreter may lie in the folder: it is not run before the folder is trusted.
        window.see(STATUS, "the server is not installed")
        window.command("Workspaces: Manage Workspace Trust")
        window.trust()
        window.see(STATUS, "shop, 6 files indexed")
        window.command("modstar: Print debug information")
        window.see(
            ".editor-group-container.active .view-lines", r"the\s+interpreter\s+of\s+the\s+Python\s+extension"
        )
        select(window, bare)
        window.see(STATUS, "the server is not installed")
        select(window, installed)
        window.see(STATUS, "shop, 6 files indexed")
