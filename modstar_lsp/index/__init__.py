"""What is known about a workspace on disk. Refreshing it reads only what changed.

Index.open(folder, root, bundle)   one database per workspace, made, checked or rebuilt
index.refresh(encoder, walk)       one writer at a time
with index.snapshot() as snapshot  any number of readers, each in its own generation

Opening an index and finding nothing to refresh needs no numpy, whose import takes longer than both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modstar_lsp.index.index import Index, IndexStatus
from modstar_lsp.index.records import Progress, RefreshReport, StoredChunk
from modstar_lsp.index.store.database import DamagedIndex
from modstar_lsp.index.store.location import index_folder
from modstar_lsp.index.words.terms import chunk_terms

if TYPE_CHECKING:
    from modstar_lsp.index.reading.snapshot import Snapshot as Snapshot
    from modstar_lsp.index.reading.view import View as View
    from modstar_lsp.index.vectors.exchange import VectorFile as VectorFile
    from modstar_lsp.index.writing.adopt import Adoption as Adoption

__all__ = [
    "DamagedIndex",
    "Index",
    "IndexStatus",
    "Progress",
    "RefreshReport",
    "Snapshot",
    "StoredChunk",
    "chunk_terms",
    "index_folder",
]


def __getattr__(name: str) -> object:
    if name != "Snapshot":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modstar_lsp.index.reading.snapshot import Snapshot

    return Snapshot
