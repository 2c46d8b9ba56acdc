"""Why a file or folder is not part of the workspace: a closed set, to be counted and summed up.

No reason holds a path or a number. `mypy` holds what gives reasons to these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

Reason = Literal[
    # Somebody said so
    "ignored",
    "excluded",
    "not included",
    # What it is, by its name
    "vendored",
    "cache",
    "build output",
    "virtual environment",
    "worktree",
    "version control",
    "secret",
    "binary",
    "data",
    "lock file",
    "legal text",
    "minified",
    "generated",
    "not a source file",
    "Git LFS pointer",
    # What the file system says
    "too large",
    "link",
    "special file",
    "unreadable",
    "permission denied",
    "vanished",
    "outside the workspace",
]

REASONS: tuple[Reason, ...] = get_args(Reason)


def summed_up(reasons: Iterable[str]) -> str:
    """`12: 8 ignored, 4 binary`, the commonest first; "" for none."""
    counts = Counter(reasons)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{number:,} {reason}" for reason, number in ranked)
    return f"{counts.total():,}: {named}" if ranked else ""
