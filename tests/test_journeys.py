"""The page on the three journeys names files that exist, each by its path."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def test_every_file_that_the_journeys_pass_exists() -> None:
    page = (REPOSITORY / "docs" / "journeys.md").read_text("utf-8")
    named = set(re.findall(r"`([\w/.]+\.py)`", page))
    known = [path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("*/**/*.py")]
    assert len(named) > 30
    assert [name for name in sorted(named) if name not in known and f"modstar_lsp/{name}" not in known] == []
