"""Where to search: a folder with an index, and what of it. A folder inside a project is a part of that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from modstar_lsp.errors import WorkspaceError
from modstar_lsp.workspace.workspace import is_a_lot, is_project

# Of a path in a message so many letters.
_NAME_LETTERS = 200


class Scope(NamedTuple):
    """root: whose index is asked.  below: files and folders in it that bound the search, none for all."""

    root: Path
    below: tuple[str, ...] = ()


def scope_of(path: Path, index_dir: Path | None = None) -> Scope:
    """What somebody means who names `path`.

    A folder that has an index of its own, or is the top of a repository, is searched as itself. Another, or
    a file, is searched in the index of what it lies in: the nearest folder above with an index, or that is
    the top of a repository. Without such a one, or where that leaves the folder out (ignored, vendored), it
    stands for itself. Raises WorkspaceError for what is not there, and for a file that is in no index.
    """
    try:
        is_there = path.exists()
    except (OSError, ValueError) as error:  # in a folder that may not be entered, or too long a name
        told = error.strerror if isinstance(error, OSError) else error
        raise WorkspaceError(f"{str(path)[:_NAME_LETTERS]!r}: cannot be read ({told})") from None
    if not is_there:
        raise WorkspaceError(f"{path}: no such folder or file")
    from modstar_lsp.index.store.inventory import has_index

    full = path.resolve()
    if full.is_dir() and not os.access(full, os.R_OK | os.X_OK):
        raise WorkspaceError(f"{path}: cannot be read; check its permissions")
    if full.is_dir() and (is_project(full) or has_index(full, index_dir)):
        return Scope(full)
    for above in full.parents:
        if is_a_lot(above):
            break
        if is_project(above) or has_index(above, index_dir):
            below = full.relative_to(above).as_posix()
            if _belongs(above, below, full.is_dir()):
                return Scope(above, (below,))
            break
    if full.is_dir():
        return Scope(full)
    raise WorkspaceError(f"{path} is in no index: ignored, no source file, or outside of any project")


def united(scopes: Iterable[Scope]) -> Sequence[Scope]:
    """Each root once, with all that was named of it; none that lies in another which is searched whole."""
    below: dict[Path, list[str]] = {}
    whole: set[Path] = set()
    for scope in scopes:
        below.setdefault(scope.root, []).extend(scope.below)
        if not scope.below:
            whole.add(scope.root)
    return [
        Scope(root, () if root in whole else tuple(dict.fromkeys(inside)))
        for root, inside in below.items()
        if whole.isdisjoint(root.parents)
    ]


def _belongs(root: Path, path: str, folder: bool) -> bool:
    from modstar_lsp.files.kinds import MOST_BYTES
    from modstar_lsp.files.walk import is_allowed, is_entered

    return is_entered(root, path) if folder else is_allowed(root, path, max_bytes=MOST_BYTES)
