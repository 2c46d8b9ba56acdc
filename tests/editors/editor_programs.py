"""Where the editors are that scripts/editors.sh has installed."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def program(name: str) -> str:
    """The path of the editor `name`; an editor that is missing fails the test, it skips nothing."""
    variable = f"MODSTAR_{name.upper()}"
    assert os.environ.get(variable), (
        f"{variable} is not set: run scripts/editors.sh python -m pytest tests/editors"
    )
    return os.environ[variable]
