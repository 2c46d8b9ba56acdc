from __future__ import annotations

from pathlib import Path

import pytest

from tests.encoder.random_bundle import make_bundle


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """A fresh random bundle with exit 0 alone, for a test to use or to damage."""
    return make_bundle(tmp_path / "bundle")
