"""What stops an export, said in one line."""

from __future__ import annotations


class ExportError(Exception):
    """The checkpoint cannot be exported, or the result is not faithful to it."""
