"""The type of the fixture that writes small trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

Plant = Callable[[Mapping[str, "str | bytes"]], Path]
