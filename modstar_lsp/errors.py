"""The errors a user can meet. Each carries one line: what happened, where, and what to do."""

from __future__ import annotations


class ModstarError(Exception):
    """Base of the errors that a face prints as one line before it exits with status 2."""


class WorkspaceError(ModstarError):
    """The folder asked for is missing, is no folder, or cannot be read."""


class BundleError(ModstarError):
    """A model bundle is missing, incomplete, altered or of an unknown format."""


class StoreError(ModstarError):
    """The index cannot be written or read: full disk, read-only folder, held by another writer."""


class QueryError(ModstarError):
    """The question or one of its options makes no sense."""
