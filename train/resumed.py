"""What a run that goes on from a state was told differently from the run that saved it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Of the settings, those that change when a run stops and what it tells, and not what is learnt.
NO_MATTER = (
    "workers",
    "minutes",
    "checkpoint_minutes",
    "snapshot_minutes",
    "evaluate_steps",
)
# Values that are longer are named, not shown.
LONGEST = 40  # characters


def as_saved(told: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a state keeps them: as JSON, without those that change nothing that is learnt."""
    kept = {name: value for name, value in told.items() if name not in NO_MATTER}
    found: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that are not as they were, "lr 0.1, was 0.2", those within sections by both names."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{name}.{one}" for one in differences(old, new)]
        elif old != new:
            texts = json.dumps(new), json.dumps(old)
            long = max(map(len, texts)) > LONGEST
            found.append(f"other {name}" if long else f"{name} {texts[0]}, was {texts[1]}")
    return found
