"""Tests that drive real editors: `scripts/editors.sh` installs these, sets EDITORS, and runs pytest.

Those of Helix need no editor, and run always.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.editors.editor_programs import PROJECT

HERE = Path(__file__).resolve().parent
PROGRAMS = ("nvim", "emacs", "vscode", "vscode/bundled")

SHOP = {
    "src/shop/jsonio.py": '''\
"""Reading and writing JSON documents."""

import json


def parse_json(text):
    """Parse a JSON document, comments allowed."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    return json.loads("\\n".join(lines))


def write_json(value, path):
    """Write a value as an indented JSON document."""
    path.write_text(json.dumps(value, indent=2))
''',
    "src/shop/upload.py": '''\
"""Sending pictures to the warehouse."""

import time

ATTEMPTS = 5


class Uploader:
    """Sends files and remembers those that failed."""

    def __init__(self, session):
        self.session = session
        self.failed = []

    def send(self, picture):
        """Upload one picture."""
        answer = self.session.post("/pictures", data=picture)
        if answer.status != 201:
            self.failed.append(picture)
        return answer

    def retry_failed_uploads(self):
        """Try every failed upload again, waiting longer after each attempt."""
        for attempt in range(ATTEMPTS):
            pending, self.failed = self.failed, []
            for picture in pending:
                self.send(picture)
            if not self.failed:
                break
            time.sleep(2**attempt)
''',
    "src/shop/pool.py": '''\
"""Database connections."""


class ConnectionPool:
    def close_connections(self):
        """Close every idle database connection."""
        while self.idle:
            self.idle.pop().close()
''',
    # A space, an umlaut and characters outside the basic plane before the name: places must still be right.
    "web/schöne preise/client.ts": """\
// Talks to the shop.

/** 🛒🛒 */ export function parseJson(text: string): unknown {
  const lines = text.split("\\n").filter((line) => !line.trimStart().startsWith("//"));
  return JSON.parse(lines.join("\\n"));
}

export async function fetchPrices(url: string): Promise<number[]> {
  const response = await fetch(url);
  return response.json();
}
""",
    "cmd/tax.go": """\
package main\r
\r
// ValueAddedTax computes the tax on a price in cents.\r
func ValueAddedTax(cents int, percent int) int {\r
\treturn cents * percent / 100\r
}\r
""",
    "README.md": "# Shop\n\nSells pictures.\n\n## Taxes\n\nThe value added tax is computed in cents.\n",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and report as deselected, the editors that `scripts/editors.sh` was not asked for."""
    wanted = os.environ.get("EDITORS", "").split()
    unwanted = [HERE / place for place in PROGRAMS if Path(place).name not in wanted]
    left_out = [item for item in items if any(folder in item.path.parents for folder in unwanted)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def make_repository(root: Path, files: Mapping[str, str]) -> Path:
    """A git repository at `root` that holds `files` (path -> text), committed."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    identity = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "All of it"]):
        subprocess.run(["git", *command], cwd=root, check=True, stdin=subprocess.DEVNULL)
    return root


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small repository in three languages that a test may change."""
    return make_repository(tmp_path / "shop", SHOP)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of real code, some seventy files: pytest's own."""
    sources = Path(pytest.__file__).parents[1] / "_pytest"
    files = {
        f"src/_pytest/{p.relative_to(sources).as_posix()}": p.read_text("utf-8")
        for p in sources.rglob("*.py")
    }
    files["README.md"] = "# pytest\n\nRuns tests.\n"
    return make_repository(tmp_path_factory.mktemp("library") / "pytest", files)


@pytest.fixture
def server_command(tmp_path: Path) -> list[str]:
    """What starts the real server, its indexes in a folder of the test's own."""
    return [sys.executable, "-m", "modstar_lsp.server", "--index-dir", str(tmp_path / "indexes")]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user without any configuration."""
    keep = ("PATH", "TERM", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    folder = tmp_path / "home"
    folder.mkdir()
    environment |= {"HOME": str(folder), "PYTHONPATH": str(PROJECT), "LANG": "C.UTF-8"}
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        environment[f"XDG_{name}_HOME"] = str(folder / name.lower())
    return environment
