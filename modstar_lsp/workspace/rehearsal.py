"""What indexing a folder would take in and leave out, with nothing written: each file is read to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modstar_lsp.errors import StoreError
from modstar_lsp.files import Skipped, SourceFile, Unreadable, Walk, read_source, walk
from modstar_lsp.workspace.workspace import Bounds, Workspace

_NO_UNICODE = "its name is not valid Unicode"


def rehearse(
    root: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_file_bytes: int | None = None,
    index_dir: Path | None = None,
    bundle: Path | None = None,
) -> Walk:
    """The files that an index of `root` would hold, and all others with their reasons.

    What is not given is as the index remembers it, where there is one.  index_dir, bundle: which index.
    Raises WorkspaceError and BundleError.
    """
    try:
        with Workspace.open(root, index_dir=index_dir, bundle=bundle, write=False) as workspace:
            bounds = workspace.remembered_bounds()
    except StoreError:  # none yet
        bounds = Bounds()
    found = walk(root.resolve(), **bounds.given(include, exclude, max_file_bytes).for_walk())
    files, skipped = [], list(found.skipped)
    for file in found.files:
        reason = _reason(root, file)
        if reason:
            skipped.append(Skipped(file.path, reason))
        else:
            files.append(file)
    return found._replace(files=tuple(files), skipped=tuple(skipped))


def _reason(root: Path, file: SourceFile) -> str:
    """Why a file that the walk found is not indexed, "" when it is."""
    try:
        file.path.encode()
        read_source(root, file.path)
    except UnicodeEncodeError:
        return _NO_UNICODE
    except Unreadable as error:
        return error.reason
    return ""
