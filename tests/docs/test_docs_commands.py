"""The commands on the pages do what the pages say.

In a block of `sh` every command is run, in the order of the page, in a project like the one that the pages
speak of. In one of `console` what is printed is compared as well, but for numbers with a point. A block that
is not run says so and why, to the reader too: ```sh title="Not run by the tests: it trains". Commands within
a sentence or a table are not run; their options are looked up in the command's own help.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "editors/vscode/README.md",
]
NOT_RUN = "Not run by the tests"
# What a line of an indented block starts with when it is a command.
PROGRAMS = "modstar|pip|pipx|uvx|npm|python|bash|scripts/|cd |git |code "
FENCE = re.compile(r"^```(?P<language>\w*)(?P<title>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT = 300

UPLOAD = '''\
import time


class Uploader:
    def __init__(self, session):
        self.session, self.failed = session, []

    def retry_failed_uploads(self):
        """Try every failed upload again, waiting longer after each attempt."""
        for attempt in range(5):
            pending, self.failed = self.failed, []
            for picture in pending:
                self.session.post(picture)
            time.sleep(2**attempt)
'''
FILES = {
    "src/upload.py": UPLOAD,
    "src/backup.py": UPLOAD.replace("Uploader", "Backup").replace("upload", "backup"),
    "src/jsonio.py": "import json\n\n\ndef parse_json(text):\n    return json.loads(text)\n",
    "src/net.py": 'def connect(host):\n    raise OSError("connection refused")\n',
    "web/client.ts": "export function parseJson(text: string): unknown {\n  return JSON.parse(text);\n}\n",
    "projects.txt": "~/src/a\n~/src/b\n",
}


class Block(NamedTuple):
    """A block of code on a page."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found.groups()) for found in FENCE.finditer(page.read_text("utf-8"))]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def lay_out(folder: Path) -> None:
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def run(script: str, cwd: Path, home: Path) -> str:
    """What a script prints; it fails the test when any of its commands does."""
    environment = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def without_numbers(text: str) -> str:
    return re.sub(r"\d+(\.\d+)+", "N", text).strip()


def with_commands(page: Path) -> bool:
    return any(block.language in ("sh", "console") and NOT_RUN not in block.title for block in blocks(page))


@pytest.mark.parametrize("page", list(filter(with_commands, PAGES)), ids=named)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    shop = tmp_path / "home/src/shop"
    for folder in (shop, shop.parent / "a", shop.parent / "b"):
        lay_out(folder)
    for block in blocks(page):
        if NOT_RUN in block.title:
            continue
        if block.language == "sh":
            run(block.text, shop, tmp_path / "home")
        elif block.language == "console":
            for session in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, told = session.partition("\n")
                printed = run(command, shop, tmp_path / "home")
                assert without_numbers(printed) == without_numbers(told)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_stand_where_they_are_run_or_said_not_to_be(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(rf"^    (?:{PROGRAMS}).*$", FENCE.sub("", text), re.MULTILINE), "use a block of sh"
    others = {block.language for block in blocks(page)} & {"bash", "shell", "zsh"}
    assert not others, "use a block of sh"
    for block in blocks(page):
        if not block.language:
            assert not re.match(rf"\$ |{PROGRAMS}", block.text), "use a block of sh or console"


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The help of every command, by the words that ask for it."""
    folder = tmp_path_factory.mktemp("helps")

    def told(command: str) -> str:
        return run(f"{command} --help", folder, folder)

    words = re.findall(r"^  (\w+) ", told("modstar"), re.MULTILINE)
    programs = ["modstar", "modstar-query", "modstar-index", "modstar-lsp"]
    return {command: told(command) for command in [*programs, *(f"modstar {word}" for word in words)]}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_sentence_or_table_names_exists(page: Path, helps: dict[str, str]) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for code in re.findall(r"(?<!`)`(modstar(?:-query|-index|-lsp)?(?: [^`\n]*)?)`(?!`)", text):
        words = shlex.split(code.replace("\\|", "|"))
        command = " ".join(words[:2]) if words[0] == "modstar" and len(words) > 1 else words[0]
        assert command in helps, f"{code}: no such command"
        options = {word for word in words[1:] if re.match("--?[a-z]", word)} - {"--help"}
        for option in options:
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", helps[command]), f"{code}: it has no {option}"
