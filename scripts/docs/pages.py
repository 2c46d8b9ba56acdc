"""A hook of mkdocs: pages that stand elsewhere in the repository, and links that lead out of docs/.

A page has one source. What strangers look for at the top of a repository (SECURITY.md, CHANGELOG.md) stays
there and is a page of the site too. A link to such a page leads to it; one to any other file names that file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

#: A page of the repository, and its place in the site.
ELSEWHERE = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "MODEL_CARD.md": "model.md",
    "SECURITY.md": "security.md",
    "editors/vscode/README.md": "editors/vscode.md",
}
SOURCES = {place: source for source, place in ELSEWHERE.items()}

LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand elsewhere."""
    for source, place in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's text with its links as the site needs them."""
    place = page.file.src_uri
    source = SOURCES.get(place, f"docs/{place}")
    return LINK.sub(lambda link: _resolved(link, source, place), markdown)


def _resolved(link: re.Match[str], source: str, place: str) -> str:
    """One link of the page at `place`; as it was when it leads to nothing, which mkdocs then reports."""
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))
    there = ELSEWHERE.get(wanted) or (wanted.removeprefix("docs/") if wanted.startswith("docs/") else "")
    if there:
        relative = posixpath.relpath(there, posixpath.dirname(place) or ".")
        return f"[{link['text']}]({relative}{link['anchor'] or ''})"
    if (ROOT / wanted).exists():
        return f"{link['text']} (`{wanted}`)"
    return link[0]
