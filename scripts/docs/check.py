"""python scripts/docs/check.py SITE: what a built site loads is part of it, and every page can be found."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser fetches by itself, by tag and attribute.
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
#: Links of these kinds only say something.
SAID = {"canonical", "prev", "next"}
#: The page that a server shows in place of one that is missing: its links start at the site's root.
MISSING = "404.html"


class Loaded(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if dict(attrs).get("rel") not in SAID:
            self.addresses += [value for name, value in attrs if value and (tag, name) in LOADED]


def faults(site: Path) -> list[str]:
    """What is wrong with the site, a line each."""
    found = []
    pages = sorted(page for page in site.rglob("*.html") if page.name != MISSING)
    for page in pages:
        name = page.relative_to(site).as_posix()
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        found += [f"{name}: loads {it}" for it in loaded.addresses if not _is_there(page, it)]
    for sheet in site.rglob("*.css"):
        outside = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text("utf-8"))
        found += [f"{sheet.relative_to(site)}: loads {it}" for it in outside]
    entries = json.loads((site / "search/search_index.json").read_text("utf-8"))["docs"]
    searched = {entry["location"].partition("#")[0] or "index.html" for entry in entries}
    return found + [
        f"{name}: cannot be searched"
        for name in (page.relative_to(site).as_posix() for page in pages)
        if name not in searched
    ]


def _is_there(page: Path, address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return parts.scheme == "data"
    return (page.parent / unquote(parts.path)).is_file()


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]))
    print("\n".join(wrong) or "the site is whole, and loads nothing from elsewhere")
    sys.exit(2 if wrong else 0)
