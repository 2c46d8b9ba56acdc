"""Between a client's URIs and paths below a folder, whatever is in their names.

The library's own functions cut a name at a semicolon, so these are ours.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

# What may stand in the path of a URI as it is; the editors write the others as %XX.
_PLAIN = "/-._~"
_DRIVE = re.compile(r"/[A-Za-z](?::|%3A)", re.IGNORECASE)


def to_path(uri: str) -> Path | None:
    """The path that a `file:` URI names, None for any other (untitled buffers, git views, remote ones)."""
    try:
        # Not urlsplit alone: an editor may send a bare # or ? in a name.
        scheme, _, rest = uri.partition(":")
        if scheme.lower() != "file":
            return None
        host, name = "", rest
        if rest.startswith("//"):
            host = urlsplit(uri).netloc
            name = rest[2 + len(host) :]
        path = unquote(name, errors="surrogateescape")
    except ValueError:
        return None
    if not path.startswith("/") or "\0" in path:
        return None
    if host and host.lower() != "localhost":
        return Path(f"//{unquote(host)}{path}") if os.name == "nt" else None
    if os.name == "nt" and _DRIVE.match(path):
        path = path[1:]
    return Path(path)


def from_path(path: Path) -> str:
    """The `file:` URI of an absolute path."""
    text = path.as_posix()
    if not text.startswith("/"):
        text = f"/{text[0].lower()}{text[1:]}"
    return "file://" + quote(text.encode("utf-8", "surrogateescape"), safe=_PLAIN)


def relative(folder: Path, uri: str) -> str | None:
    """The path below `folder`, with `/`, of the file that `uri` names; None when it lies elsewhere.

    A folder and a URI that go through different links to the same place count as the same place.
    """
    path = to_path(uri)
    if path is None:
        return None
    below = _below(folder, path)
    if below is None:  # only now: looking for links asks the disk about every folder on the way
        below = _below(folder.resolve(), path.parent.resolve() / path.name)
    return below if below != "." else None


def _below(folder: Path, path: Path) -> str | None:
    try:
        below = path.relative_to(folder).as_posix()
    except ValueError:
        return None
    return None if ".." in below.split("/") else below


def file_uri(folder_uri: str, path: str) -> str:
    """The URI of the file `path` below a folder, beginning as the client writes that folder's."""
    return folder_uri.removesuffix("/") + "/" + quote(path.encode("utf-8", "surrogateescape"), safe=_PLAIN)
