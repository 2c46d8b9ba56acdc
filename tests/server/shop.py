"""A small project to search in."""

from __future__ import annotations

from pathlib import Path

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


#: Indexing rests most of the time.
SLOWLY = {"background": {"share": 0.05}}
