"""Which files belong to a workspace, and their text.

`walk` looks at names and stat only, so that a query pays little for it; what only the content can tell
(binary, minified, generated) `read_source` finds out when a file is read anyway.
"""

from __future__ import annotations

from modstar_lsp.files.languages import language_of
from modstar_lsp.files.source import Unreadable, read_source
from modstar_lsp.files.walk import (
    Skipped,
    SourceFile,
    Walk,
    checked_folder,
    is_allowed,
    left_out,
    walk,
    walk_again,
)

__all__ = [
    "Skipped",
    "SourceFile",
    "Unreadable",
    "Walk",
    "checked_folder",
    "is_allowed",
    "language_of",
    "left_out",
    "read_source",
    "walk",
    "walk_again",
]
