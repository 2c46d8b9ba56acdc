"""Deeper vectors from one person's index to another's: a file is written, a file is taken over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modstar_lsp.cli import indexing
from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.errors import StoreError

if TYPE_CHECKING:
    from modstar_lsp.index import Adoption, VectorFile
    from modstar_lsp.workspace import Workspace


def take_over(workspace: Workspace, file: VectorFile, *, quiet: bool) -> Adoption:
    """Take over what `file` has for the lines of code here, with a progress bar."""
    with ProgressBar(quiet=quiet) as bar:
        return workspace.adopt(file, bar)


def told(workspace: Workspace, adoption: Adoption) -> str:
    """`12,345 vectors taken over; 67 places are at exit 0`: what an import brought and what it did not."""
    parts = [f"{indexing.count(adoption.taken, 'vector')} taken over"]
    if adoption.refused:
        parts.append(f"{adoption.refused:,} left out that are not those of their text")
    shallow = workspace.status().depths.get(0, 0)
    if shallow:
        parts.append(f"{indexing.count(shallow, 'place')} at exit 0 (--exit embeds them here)")
    return "; ".join(parts)


def export(workspace: Workspace, file: Path) -> int:
    """Write the deeper vectors to `file`; how many. Raises StoreError when there are none to write."""
    count = workspace.export_vectors(file)
    if not count:
        raise StoreError(
            f"nothing to write to {file}: all of {workspace.root} is at exit 0, which every index makes in "
            "moments by itself; embed it deeper with --exit first"
        )
    return count
