"""Repositories as somebody names them: folders, bare clones, git URLs, one a line in a list.

A folder is read as it stands. Of the others HEAD is read, in a temporary folder.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from modstar_lsp.cache_folder import expanded
from modstar_lsp.errors import QueryError, WorkspaceError, reason
from modstar_lsp.files.lines import decode_names, lines_of
from modstar_lsp.stores.git import (
    PROTOCOLS,
    bare_head,
    clone,
    head_of,
    unpack_commit,
    without_password,
)

if TYPE_CHECKING:
    from modstar_lsp.files import Walk

# A list of a hundred thousand paths is smaller; a device has no end.
_MAX_LIST_BYTES = 16_000_000

_PROTOCOL = r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)"
# git@host:team/shop.git, as git takes it for ssh.
_SHORT_SSH = r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:(?!/?/)(.+)"


class NamedRepository(NamedTuple):
    """name: in the store.  place: a folder or a URL."""

    name: str
    place: str
    kind: Literal["folder", "bare", "url"]

    def __str__(self) -> str:
        return without_password(self.place)


class Checkout(NamedTuple):
    """What is read of a repository. revision: "" for a folder.  scratch: to be removed, if any."""

    root: Path
    walk: Walk
    revision: str
    scratch: Path | None

    def remove(self) -> None:
        """Removes what was written to read it."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


class Unchanged(NamedTuple):
    """The store holds this revision."""

    revision: str


def named(text: str, name: str | None = None) -> NamedRepository:
    """The repository that `text` names: a URL, a bare clone or a folder. name: what it is to be called.

    Nothing is looked for beyond this machine. Raises QueryError for a protocol that is not read.
    """
    if text.startswith("-") or "\0" in text or not text.strip():
        raise QueryError(f"{text[:80]!r} is no repository: name a folder, a bare clone or a URL")
    protocol = re.fullmatch(_PROTOCOL, text)
    short = re.fullmatch(_SHORT_SSH, text)
    if protocol and protocol[1].lower() not in PROTOCOLS:
        known = ", ".join(f"{one}://" for one in PROTOCOLS)
        raise QueryError(
            f"{without_password(text)[:200]}: not read by {protocol[1]}: give {known} or a folder"
        )
    if protocol or short:
        return NamedRepository(name or _name_of_url(protocol, short), text, "url")
    folder = expanded(text).absolute()
    if not (folder / ".git").exists() and all(
        (folder / part).exists() for part in ("HEAD", "objects", "refs")
    ):
        own = folder.name.removesuffix(".git") or folder.parent.name
        return NamedRepository(name or own, str(folder), "bare")
    folder = folder.resolve()
    return NamedRepository(name or folder.name, str(folder), "folder")


def _name_of_url(protocol: re.Match[str] | None, short: re.Match[str] | None) -> str:
    """`team/shop` for https://host/team/shop.git; of a file the last part alone."""
    path = short[1] if short else ""
    if protocol:
        path = (
            protocol[2].partition("/")[2]
            if protocol[1].lower() != "file"
            else protocol[2].rstrip("/").rpartition("/")[2]
        )
    return path.strip("/").removesuffix(".git").strip("/") or "repository"


def all_named(texts: Iterable[str], name: str | None = None) -> list[NamedRepository]:
    """`named` of each, those that are named twice once. Raises QueryError when two would have one name."""
    found: dict[str, NamedRepository] = {}
    for text in texts:
        one = named(text, name)
        if found.setdefault(one.name, one) != one:
            raise QueryError(
                f"{found[one.name]} and {one} would both be {one.name}: fill one with --repository"
            )
    return list(found.values())


def listed(file: Path) -> list[str]:
    """The repositories in a list: one a line, what follows a `#` at its beginning is a remark.

    file: `-` for standard input; may be a pipe.  Raises WorkspaceError when it cannot be read or is no list.
    """
    piped = file == Path("-")
    name = "standard input" if piped else str(file)
    try:
        given = sys.stdin.buffer if sys.stdin else BytesIO()
        with nullcontext(given) if piped else file.open("rb") as stream:
            data = stream.read(_MAX_LIST_BYTES + 1)
    except OSError as error:
        raise WorkspaceError(f"{name}: cannot be read ({reason(error)})") from None
    text = decode_names(data)
    if len(data) > _MAX_LIST_BYTES or "\0" in text:
        raise WorkspaceError(f"{name}: no list of names, one a line")
    lines = [line.strip() for line in lines_of(text)]
    return [line for line in lines if line and not line.startswith("#")]


def check_out(
    repository: NamedRepository, scratch: Path, known: str, bounds: dict[str, Any]
) -> Checkout | Unchanged:
    """What is to be read of a repository.

    scratch: a folder to write below.  known: the revision that the store holds.  bounds: as `walk` takes
    them. Raises WorkspaceError.
    """
    from modstar_lsp.files import walk

    if repository.kind == "folder":
        root = Path(repository.place)
        return Checkout(root, walk(root, **bounds), "", None)
    url = repository.kind == "url"
    commit = head_of(repository.place) if url else bare_head(Path(repository.place))
    if _revision(commit, bounds) == known:
        return Unchanged(known)
    place = Path(tempfile.mkdtemp(prefix="repository-", dir=scratch))
    try:
        root = place / "tree"
        root.mkdir()
        git_folder = Path(repository.place)
        if url:
            git_folder = place / "clone"
            clone(repository.place, git_folder)
            commit = bare_head(git_folder)  # it may have moved on
        unpack_commit(git_folder, commit, root, bounds["max_bytes"])
        if url:
            shutil.rmtree(git_folder, ignore_errors=True)
        return Checkout(root, walk(root, **bounds), _revision(commit, bounds), place)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _revision(commit: str, bounds: dict[str, Any]) -> str:
    """A commit, and within which bounds it is read."""
    told = repr([(key, tuple(value) if isinstance(value, list) else value) for key, value in bounds.items()])
    return f"{commit} {blake2b(told.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}"
