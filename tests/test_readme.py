"""What the README has one type works as it stands there, from a fresh clone on, and shows what it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests.bare import ROOT, Bare
from tests.cli.conftest import FILES, write_files

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
TEXT = re.sub(r"```.*?```", "", README, flags=re.DOTALL)

# Where the README's commands are typed: the shop of its first example, and what the others ask for.
SHOP = {
    **FILES,
    "src/upload.py": "\n" * 39 + FILES["src/shop/pool.py"] * 3,
    "src/shop/adapter.py": "class HTTPAdapter:\n    def send(self, request):\n        return post(request)\n",
    "src/shop/connect.py": '''\
def connect(host):
    """Retry when the answer is "connection refused"."""
    return retry(host, on="connection refused")
''',
    "web/sum.ts": """\
/** The sum of all prices. */
export function sumOfPrices(prices: number[]): number {
  return prices.reduce((sum, price) => sum + price, 0);
}
""",
    "old.py": FILES["src/shop/jsonio.py"],
}
OTHERS = {
    "src/a/limits.py": 'class RateLimiter:\n    """A rate limiter for each client."""\n    rate = 5\n',
    "src/b/limits.py": 'class RateLimiter:\n    """A rate limiter for each address."""\n    rate = 9\n',
}
# Stands for the editor: shows what it was given to read.
VIM = '#!/bin/sh\n[ "$1" = -q ] && cat "$2"\n'

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its commands are written for a shell of POSIX")


def commands() -> list[str]:
    """The lines of all blocks for a shell, without comments; those that need torch are run by tests/train."""
    blocks = [block for language, block in BLOCKS if language == "sh" and "torch" not in block]
    return [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines() if line.strip()]


INSTALL, CHECK, *ASKED = commands()


@pytest.fixture(scope="module")
def bare(bare_machine: Bare) -> Bare:
    """After what the README says first, with a project to search."""
    bare = bare_machine
    installed = bare.run(INSTALL, bare.clone)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    checked = bare.run(CHECK)
    assert checked.returncode == 0 and "ready" in checked.stdout, checked.stderr
    write_files(bare.home, OTHERS)
    shop = write_files(bare.home / "shop", SHOP)
    for command in ("init -q", "add .", "-c user.name=A -c user.email=a@example.org commit -qm All"):
        subprocess.run(["git", *command.split()], cwd=shop, check=True)
    (bare.programs / "vim").write_text(VIM)
    (bare.programs / "vim").chmod(0o755)
    return bare


@pytest.mark.parametrize("command", ASKED)
def test_a_command_of_the_readme_finds_something(bare: Bare, command: str) -> None:
    found = bare.run(command, bare.home / "shop")
    assert found.returncode == 0 and found.stdout.strip(), (command, found.stdout, found.stderr)
    if "--json" in command:
        assert json.loads(found.stdout)


def test_the_first_answer_is_the_one_that_the_readme_shows(bare: Bare) -> None:
    asked, shown = next(
        re.fullmatch(r"\$ (.*?)\n(.*)", block, re.DOTALL).groups()  # type: ignore[union-attr]
        for language, block in BLOCKS
        if not language and block.startswith("$ ")
    )
    found = bare.run(asked, bare.home / "shop").stdout
    assert without_score(found.strip()) == without_score(shown.strip())


def test_every_command_and_option_that_the_text_names_exists(bare: Bare) -> None:
    named = set(re.findall(r"`(modstar(?:-lsp|-index|-query| \w+)[^`]*)`", TEXT))
    assert len(named) > 2
    for command in sorted(named):
        program = re.match(r"modstar(?:-\w+| \w+)", command)
        assert program
        told = bare.run(f"{program[0]} --help")
        assert told.returncode == 0, (command, told.stderr)
        assert [flag for flag in re.findall(r"--[\w-]+", command) if flag not in told.stdout] == []


def test_every_picture_and_page_that_is_linked_is_there() -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(linked) > 10
    assert [name for name in linked if not (ROOT / name).exists()] == []


def without_score(text: str) -> str:
    """The answer without what a change of the model may change by a hundredth."""
    return re.sub(r"  [01]\.\d\d$", "", text, flags=re.MULTILINE)
