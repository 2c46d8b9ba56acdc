"""A store asked beside folders, by the command line, agents and editors: what is here counts as it is now,
and of a repository whose label was not named nobody learns anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from modstar_lsp.encoder import Encoder
from modstar_lsp.files import walk
from modstar_lsp.stores.beside import names_of
from modstar_lsp.stores.filling import Filling, Target
from modstar_lsp.stores.opening import open_store
from modstar_lsp.stores.pipeline import fill
from tests.cli.conftest import Shell, make_shell, write_files
from tests.mcp.mcp_process import Client as Agent
from tests.server.lsp_process import Client as Editor

pytest.importorskip("lancedb")

SHOP = {"prices.py": "def parse_prices(text):\n    return text.split()\n"}
CHANGED = {"prices.py": "def parse_prices_in_cents(text):\n    return [int(one) for one in text.split()]\n"}
LIBRARY = {"money/parsing.py": "def parse_prices_of_a_table(rows):\n    return [row.price for row in rows]\n"}
BANK = {"vault/keys.py": "def rotate_the_master_key(vault):\n    return vault.rotate()\n"}
SECRETS = ("vault", "keys.py", "bank", "rotate_the_master_key")
LEADING = "rotate the master key"


class Company(NamedTuple):
    """A store of three repositories, one of them for those who name its label, and a folder of one."""

    url: str
    folder: Path
    shop: Path
    shell: Shell


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Company:
    folder = tmp_path_factory.mktemp("company")
    url = f"lance:{folder / 'store'}"
    store = open_store(url, encoder.bundle.indexed, write=True)
    for name, files, label in (
        ("shop", SHOP, "everyone"),
        ("library", LIBRARY, "everyone"),
        ("bank", BANK, "bank"),
    ):
        tree = write_files(folder / name, files)
        fill(Filling(store, tree, encoder.bundle, walk(tree), Target(name, label, 0)), encoder)
    store.close()
    shop = write_files(folder / "shop", CHANGED)
    return Company(url, folder, shop, make_shell(folder, folder))


def leaks(said: str) -> list[str]:
    return [word for word in SECRETS if word in said.replace(LEADING, "").lower()]


def test_the_command_line_asks_a_folder_as_it_is_and_the_store_for_the_rest(company: Company) -> None:
    asked = ("shop", "--store", company.url, "--min-score", "0")
    found = company.shell.query("parse prices", *asked)
    assert found.status == 0 and "shop/prices.py:1  parse_prices_in_cents" in found.out
    assert "library/money/parsing.py:1  parse_prices_of_a_table" in found.out
    assert "parse_prices  (" not in found.out, "what is in the folder is not found as it was"
    secret = company.shell.query(LEADING, *asked, "--explain")
    assert not leaks(secret.out + secret.err)
    allowed = company.shell.query(LEADING, *asked, "--label", "bank")
    assert "bank/vault/keys.py:1  rotate_the_master_key" in allowed.out


@pytest.fixture
def agents(company: Company, tmp_path: Path) -> Iterator[list[Agent]]:
    """An agent that may see what is for everyone, and one that names the bank's label."""
    begun = []
    for label in ((), ("--label", "bank")):
        agent = Agent(tmp_path / "indexes", company.shop, Path("--store"), *map(Path, (company.url, *label)))
        begun.append(agent)
        agent.begin()
    yield begun
    for agent in begun:
        agent.kill()


def test_an_agent_asks_both(company: Company, agents: list[Agent]) -> None:
    stranger, banker = agents
    found = stranger.call("search", query="parse prices")
    assert "parse_prices_in_cents" in found and "store:library/money/parsing.py" in found
    assert "parse_prices (" not in found
    assert "money/parsing.py" in stranger.call("search", query="parse prices", repository=["library"])
    said = [
        stranger.call("search", query=LEADING, k=50),
        stranger.call("search", query="rotate_the_master_key"),
        stranger.call("status"),
    ]
    assert not [leaks(one.replace("rotate_the_master_key", "")) for one in said if leaks(one)]
    assert "2 repositories; 2 files" in said[-1]
    hidden = stranger.refused("search", query=LEADING, repository=["bank"])
    assert hidden.replace("bank", "none") == stranger.refused("search", query=LEADING, repository=["none"])
    told = banker.call("search", query=LEADING)
    assert told.startswith("in store:bank:\nvault/keys.py\n  lines 1-2 rotate_the_master_key")
    assert "3 repositories; 3 files" in banker.call("status")


def test_an_editor_asks_both_and_what_is_not_saved_counts(company: Company, tmp_path: Path) -> None:
    with Editor(tmp_path / "indexes", "--store", company.url) as editor:
        editor.initialize(company.shop)
        editor.ready()
        editor.open(company.shop / "prices.py", "def parse_prices_unsaved(text):\n    return text\n")
        answer = editor.search("parse prices", minScore=0)
        places = {(hit["symbol"], hit["uri"].split(":")[0]) for hit in answer["hits"]}
        assert places == {("parse_prices_unsaved", "file"), ("parse_prices_of_a_table", "modstar-store")}
        (stored,) = (hit for hit in answer["hits"] if hit["uri"].startswith("modstar-store:"))
        assert stored["uri"] == "modstar-store:library/money/parsing.py"
        assert stored["range"]["start"] == {"line": 0, "character": 0}
        assert not leaks(repr([editor.search(LEADING, minScore=0), editor.request("modstar/status")]))


def test_a_store_that_is_gone_is_a_line_and_the_folder_answers(company: Company, tmp_path: Path) -> None:
    gone = f"lance:{tmp_path / 'gone'}"
    found = company.shell.query("parse prices", "shop", "--store", gone)
    assert found.status == 0 and "parse_prices_in_cents" in found.out
    assert found.err.count("\n") == 1 and gone in found.err
    agent = Agent(tmp_path / "indexes", company.shop, Path("--store"), Path(gone))
    agent.begin()
    answer = agent.call("search", query="parse prices")
    assert "parse_prices_in_cents" in answer and gone in answer
    agent.kill()


def test_a_folder_is_called_as_its_origin_too(tmp_path: Path) -> None:
    config = '[core]\n\tbare = false\n[remote "origin"]\n\turl = git@host:team/shop.git\n\tfetch = x\n'
    folder = write_files(tmp_path / "mine", {".git/config": config})
    assert names_of([folder]) == ("mine", "team/shop")
    assert names_of([tmp_path]) == (tmp_path.name,)
