"""A small shop in four languages, and the two commands run on it as processes, the way a user runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT = 60

FILES = {
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
    "web/client.ts": """\
// Talks to the shop.

/** Parse a JSON document, comments allowed. */
export function parseJson(text: string): unknown {
  const lines = text.split("\\n").filter((line) => !line.trimStart().startsWith("//"));
  return JSON.parse(lines.join("\\n"));
}

export async function fetchPrices(url: string): Promise<number[]> {
  const response = await fetch(url);
  return response.json();
}
""",
    "web/Basket.tsx": """\
export function Basket({ items }: { items: string[] }) {
  return <ul>{items.map((item) => <li key={item}>{item}</li>)}</ul>;
}
""",
    "cmd/tax.go": """\
package main

// ValueAddedTax computes the tax on a price in cents.
func ValueAddedTax(cents int, percent int) int {
	return cents * percent / 100
}
""",
    "README.md": "# Shop\n\nSells pictures.\n\n## Taxes\n\nThe value added tax is computed in cents.\n",
    ".gitignore": "build/\n",
    "build/generated.py": "def built_by_nobody():\n    pass\n",
    ".env": "PASSWORD=hunter2\n",
    "logo.png": "\x89PNG\r\n\x1a\n\0\0\0\0",
}


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write `files` (path -> text) below `root`."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    return root


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def headers(self) -> list[str]:
        """The first line of every hit of the human output."""
        return [block.split("\n")[0] for block in self.out.split("\n\n") if block]

    @property
    def places(self) -> list[str]:
        """`path:line` of every hit."""
        return [header.split("  ")[0] for header in self.headers]


@dataclass(frozen=True)
class Shell:
    """Runs the commands with a cache and a home of their own."""

    cwd: Path
    environment: Mapping[str, str]

    def start(self, module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command as a process; `program` is run before, by the same Python."""
        program = options.pop("program", "")
        run = ["-c", f"{program}\nfrom modstar_lsp.cli.{module} import main\nmain()"]
        how = run if program else ["-m", f"modstar_lsp.cli.{module}"]
        command = [*options.pop("prefix", ()), sys.executable, *how, *arguments]
        options.setdefault("cwd", self.cwd)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options["env"] = {**self.environment, **options.pop("env", {})}
        return subprocess.Popen(command, **options)

    def run(self, module: str, *arguments: str, stdin: bytes | None = None, **options: Any) -> Answer:
        """Run a command to its end."""
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(module, *arguments, **options) as process:
            out, err = process.communicate(stdin, timeout=TIMEOUT)
        return Answer(process.returncode, (out or b"").decode("utf-8", "replace"), (err or b"").decode())

    def query(self, *arguments: str, **options: Any) -> Answer:
        return self.run("query", *arguments, **options)

    def index(self, *arguments: str, **options: Any) -> Answer:
        return self.run("index", *arguments, **options)


def make_shell(folder: Path, cwd: Path) -> Shell:
    """A shell in `cwd` whose home and cache lie in `folder`."""
    keep = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_CONFIG")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment |= {
        "HOME": str(folder / "home"),
        "USERPROFILE": str(folder / "home"),
        "LOCALAPPDATA": str(folder / "cache"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "error::RuntimeWarning",
        "TERM": "xterm-256color",
    }
    (folder / "home").mkdir(parents=True, exist_ok=True)
    return Shell(cwd, environment)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The shop's sources, not indexed yet."""
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    return write_files(tmp_path / "shop", FILES)


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Shell:
    """A shell in the shop's root."""
    return make_shell(tmp_path, project)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in the root of an indexed shop that the tests leave as it is."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "shop" / ".git").mkdir(parents=True)
    shell = make_shell(folder, write_files(folder / "shop", FILES))
    assert shell.index().status == 0
    return shell


@pytest.fixture
def bundle_copy(tmp_path: Path) -> Path:
    """A copy of the built-in model, to be damaged."""
    return Path(shutil.copytree(REPOSITORY / "modstar_lsp/bundles/default", tmp_path / "bundle"))


@pytest.fixture
def database() -> Callable[[Shell], Path]:
    """Finds the one database below a shell's cache."""

    def find(shell: Shell) -> Path:
        cache = Path(shell.environment["XDG_CACHE_HOME"])
        found = [path for path in cache.rglob("*") if path.is_file() and path.open("rb").read(6) == b"SQLite"]
        assert len(found) == 1, found
        return found[0]

    return find
