"""A small project, and servers for it as real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lsp_process import Client

FILES = {
    "app/transfer.py": '''\
def upload(path, attempts=3):
    """Send a file to the server, trying again with a growing delay when the connection fails."""
    for attempt in range(attempts):
        try:
            return post(path)
        except ConnectionError:
            time.sleep(2**attempt)
    raise UploadFailed(path)


def resume_upload(path, offset):
    """Go on with a broken transfer from `offset`."""
    with open(path, "rb") as stream:
        stream.seek(offset)
        return post(stream)
''',
    "app/json_io.py": '''\
import json


def parse_json(text):
    """Parse a JSON document into plain objects."""
    return json.loads(text)


def load_settings(path):
    """Read the settings of the application from a file, and fill in what is missing."""
    with open(path) as stream:
        settings = parse_json(stream.read())
    for key, value in DEFAULTS.items():
        settings.setdefault(key, value)
    return settings
''',
    "app/accounts.py": '''\
class AccountStore:
    """Users and their password hashes."""

    def __init__(self, database):
        self.database = database

    def verify_password(self, user, password):
        """Whether the password matches the stored hash."""
        salt, digest = self.database.lookup(user)
        return compare_digest(scrypt(password, salt), digest)
''',
    "web/cart.ts": """\
export function totalPrice(items: Item[]): number {
  let total = 0;
  for (const item of items) {
    total += item.price * item.quantity;
  }
  return total;
}
""",
    "billing/invoice.go": """\
package billing

// SumOfLines adds up the price times the quantity of every line.
func SumOfLines(lines []Line) float64 {
	total := 0.0
	for _, line := range lines {
		total += line.Price * line.Quantity
	}
	return total
}
""",
    "README.md": "# Shop\n\nParse JSON settings, upload files, keep accounts.\n",
}


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "shop", FILES)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts servers that share one folder of indexes, and ends them with the test."""
    started: list[Client] = []

    def start_one(*arguments: str, **options: Any) -> Client:
        started.append(Client(tmp_path / "indexes", *arguments, **options))
        return started[-1]

    yield start_one
    for client in started:
        client.__exit__()


@pytest.fixture
def client(start: Callable[..., Client], project: Path) -> Client:
    """A server that has indexed the project."""
    client = start()
    client.initialize(project)
    client.ready()
    return client


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A project that takes so long to index, with SLOWLY, that a test can look at it meanwhile."""
    body = "\n\n".join(
        f"def step_{n}(value):\n    total = value * {n}\n    return total + offset_{n}(value)"
        for n in range(60)
    )
    return lay_out(
        tmp_path / "large",
        {f"part{n // 50}/stage{n}.py": body.replace("step", f"stage{n}") for n in range(400)},
    )


#: Indexing rests most of the time.
SLOWLY = {"background": {"share": 0.05}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One server for tests that only ask."""
    base = tmp_path_factory.mktemp("served")
    with Client(base / "indexes") as client:
        client.initialize(lay_out(base / "shop", FILES))
        client.ready()
        yield client
