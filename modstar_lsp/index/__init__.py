"""What is known about a workspace on disk. Refreshing it reads only what changed.

Index.open(folder, root, bundle)   one database per workspace, made, checked or rebuilt
index.refresh(encoder, walk)       one writer at a time
with index.snapshot() as snapshot  any number of readers, each in its own generation
"""

from __future__ import annotations

from modstar_lsp.index.database import DamagedIndex
from modstar_lsp.index.index import Index, IndexStatus
from modstar_lsp.index.location import index_folder
from modstar_lsp.index.refresh import Progress, RefreshReport
from modstar_lsp.index.snapshot import Snapshot, StoredChunk
from modstar_lsp.index.terms import chunk_terms

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
