"""A small application in several languages, indexed with the bundle that ships."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.workspace import Workspace

FILES = {
    "app/transfer/uploads.py": '''
def upload(path, attempts=3):
    """Send a file to the server, trying again with a growing delay when the connection fails."""
    for attempt in range(attempts):
        try:
            return post(path)
        except ConnectionError:
            time.sleep(2 ** attempt)
    raise UploadFailed(path)


def resume_upload(path, offset):
    """Go on with a broken transfer from `offset`."""
    with open(path, "rb") as stream:
        stream.seek(offset)
        return post(stream)
''',
    "app/json_io.py": '''
import json


def parse_json(text):
    """Parse a JSON document into plain objects."""
    return json.loads(text)


def load_settings(path):
    with open(path) as stream:
        return parse_json(stream.read())
''',
    "app/accounts.py": '''
class AccountStore:
    """Users and their password hashes."""

    def __init__(self, database):
        self.database = database

    def verify_password(self, user, password):
        """Whether the password matches the stored hash."""
        salt, digest = self.database.lookup(user)
        return compare_digest(scrypt(password, salt), digest)

    def send(self, user, message):
        """Mail a message to a user."""
        self.database.outbox.append((user, message))
''',
    "app/mailer.py": '''
class Mailer:
    def send(self, message):
        """Deliver one message over SMTP."""
        self.connection.sendmail(self.sender, message.to, message.as_string())
''',
    "tests/test_json_io.py": """
from app.json_io import parse_json


def test_parse_json():
    assert parse_json("{}") == {}
""",
    "web/src/cart.ts": """
export function totalPrice(items: Item[]): number {
  let total = 0;
  for (const item of items) {
    total += item.price * item.quantity;
  }
  return total;
}

export function renderCart(items: Item[]): string {
  return `<p>${totalPrice(items)}</p>`;
}
""",
    "billing/invoice.go": """
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
    "README.md": "# Shop\n\nParse JSON settings, upload files, send mail.\n",
}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    for path, text in FILES.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip("\n"), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def workspace(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace.open(project, index_dir=tmp_path_factory.mktemp("indexes")) as opened:
        opened.refresh()
        yield opened


@pytest.fixture(scope="module")
def shipped() -> Encoder:
    """The model that ships, its reranker included, loaded once."""
    return Encoder(open_bundle())


@pytest.fixture
def shop(shipped: Encoder, tmp_path: Path, project: Path) -> Workspace:
    """A copy of the project, which a test may change, indexed with the model that ships."""
    root = shutil.copytree(project, tmp_path / "shop")
    space = Workspace.open(root, index_dir=tmp_path / "index", encoder=shipped)
    space.refresh()
    return space
