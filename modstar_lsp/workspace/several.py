"""Answers of several folders as one list."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple

from modstar_lsp.workspace.description import Description


class Found(NamedTuple):
    """A place that answers, and the folder that it is in.

    has_lines: False in a store, which has none.  is_good: as `Results.good` has it.
    """

    root: PurePath
    it: Description
    has_lines: bool = True
    is_good: bool = True


def together(found: Iterable[Found]) -> list[Found]:
    """The places of all folders, best first: scores are probabilities and so compare.

    Of the same lines at the same path in two folders (worktrees, copies of a repository) the first are kept.
    """
    kept: dict[object, Found] = {}
    for one in sorted(found, key=lambda one: -one.it.hit.score):
        hit = one.it.hit
        known = kept.setdefault(
            (hit.path, hit.name, one.root if not one.has_lines else tuple(one.it.lines) or one.root), one
        )
        if known.root == one.root and known is not one:  # copies within one folder are two places
            kept[one.root, hit.path, hit.start_line] = one
    return list(kept.values())
