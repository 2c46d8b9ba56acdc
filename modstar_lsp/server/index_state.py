"""How much of a folder is known, or of several state_of_all, as the client is told it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from modstar_lsp.server.protocol import IndexState
from modstar_lsp.server.reader import Look

# Of several folders the one counts that has furthest to go.
_ORDER = ("starting", "indexing", "paused", "deepening", "ready", "failed", "off")


class Work(NamedTuple):
    """What the child is doing: `done` of `total`, the last was `path`."""

    job: str
    done: int
    total: int
    path: str


def state_of(state: str, look: Look, work: Work | None, *, indexed_once: bool, target: int) -> IndexState:
    """How much of one folder is known.

    look: what the index was last seen to hold.  work: what is being done.  indexed_once: whether all files
    were read since the server started.  target: the exit that all chunks will have in the end.
    """
    if state == "ready" and work is not None and work.job == "deepen":
        state = "deepening"
    files, share = _extent(look, work, indexed_once)
    at_target = sum(chunks for depth, chunks in look.exits if depth == target)
    return IndexState(
        state=state,
        files=max(files, look.indexed),
        indexed=look.indexed,
        share=1.0 if state == "ready" else share,
        chunks=look.chunks,
        exit=max((depth for depth, _ in look.exits), default=0),
        deepened=at_target / look.chunks if look.chunks else 0.0,
    )


def _extent(look: Look, work: Work | None, indexed_once: bool) -> tuple[int, float]:
    """(how many files there are, the share of them that is known), as far as anybody can say."""
    left = work.total - work.done if work is not None and work.job == "refresh" else 0
    if not indexed_once and not look.chunks:
        return look.indexed + left, 0.0
    if look.share < 1:
        return round(look.indexed / look.share) if look.share else left, look.share
    return look.indexed, look.share


def state_of_all(parts: Sequence[IndexState]) -> IndexState:
    """How much is known of all these folders."""
    if not parts:
        return IndexState()
    if len(parts) == 1:
        return parts[0]
    files, chunks = sum(part.files for part in parts), sum(part.chunks for part in parts)
    indexed = sum(part.indexed for part in parts)
    return IndexState(
        state=min((part.state for part in parts), key=_ORDER.index),
        files=files,
        indexed=indexed,
        share=indexed / files if files else min(part.share for part in parts),
        chunks=chunks,
        exit=max(part.exit for part in parts),
        deepened=sum(part.deepened * part.chunks for part in parts) / chunks if chunks else 0.0,
    )
