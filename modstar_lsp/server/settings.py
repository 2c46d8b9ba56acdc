"""The user's settings, section "modstar": read leniently, wrong ones named and defaulted.

Every one only narrows or tunes: none names a file to run, to load or to write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from modstar_lsp.files.kinds import MAX_BYTES, MOST_BYTES

SECTION = "modstar"

# Nobody waits longer for a better order.
MAX_BUDGET = 60_000

Check = Callable[[Any], bool]


def _number(low: float, high: float) -> Check:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    )


def _one_of(*choices: str) -> Check:
    return lambda value: isinstance(value, str) and value in choices


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _globs(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(glob, str) and glob.strip() and "\0" not in glob for glob in value
    )


def _limit(value: Any) -> bool:
    return isinstance(value, int) and _number(1, 200)(value)


def _milliseconds(value: Any) -> bool:
    return isinstance(value, int) and _number(0, MAX_BUDGET)(value)


def _bytes(value: Any) -> bool:
    return isinstance(value, int) and _number(1, MOST_BYTES)(value)


def _share(value: Any) -> bool:
    return _number(0, 1)(value) and value > 0


def _score_or_none(value: Any) -> bool:
    return value is None or _number(0, 1)(value)


def _setting(key: str, default: Any, check: Check, expected: str) -> Any:
    """A field of `Settings`: what the client calls it, what it may be, and that in words."""
    return field(default=default, metadata={"key": key, "check": check, "expected": expected})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings as they are in force. A new one is a field here and a line in docs/protocol.md."""

    search_limit: int = _setting("search.limit", 20, _limit, "a whole number from 1 to 200")
    search_min_score: float | None = _setting(
        "search.minScore", None, _score_or_none, "null or a number from 0 to 1"
    )
    search_budget: int = _setting(
        "search.budget", 300, _milliseconds, "a whole number of milliseconds from 0 to 60000"
    )
    index_include: tuple[str, ...] = _setting("index.include", (), _globs, "a list of globs")
    index_exclude: tuple[str, ...] = _setting("index.exclude", (), _globs, "a list of globs")
    index_max_file_bytes: int = _setting(
        "index.maxFileBytes", MAX_BYTES, _bytes, f"a whole number from 1 to {MOST_BYTES}"
    )
    index_untrusted: str = _setting(
        "index.untrusted", "off", _one_of("off", "temporary"), '"off" or "temporary"'
    )
    background_share: float = _setting("background.share", 0.5, _share, "a number above 0, at most 1")
    background_on_battery: str = _setting(
        "background.onBattery", "pause", _one_of("pause", "run"), '"pause" or "run"'
    )
    # Off: once the best hits are read, a deeper index adds nothing that could be measured (benchmarks.md).
    background_deepen: bool = _setting("background.deepen", False, _flag, "true or false")
    workspace_symbol_enabled: bool = _setting("workspaceSymbol.enabled", True, _flag, "true or false")
    workspace_symbol_echo_query: bool = _setting("workspaceSymbol.echoQuery", False, _flag, "true or false")
    code_lens_enabled: bool = _setting("codeLens.enabled", False, _flag, "true or false")
    duplicates_enabled: bool = _setting("duplicates.enabled", False, _flag, "true or false")
    duplicates_min_score: float = _setting("duplicates.minScore", 0.9, _number(0, 1), "a number from 0 to 1")

    def wire(self) -> dict[str, Any]:
        """As the client writes them: `{"search": {"limit": 20, ...}, ...}`."""
        found: dict[str, Any] = {}
        for one in fields(self):
            group, _, key = one.metadata["key"].partition(".")
            value = getattr(self, one.name)
            found.setdefault(group, {})[key] = list(value) if isinstance(value, tuple) else value
        return found


def parse_settings(raw: Any) -> tuple[Settings, list[str]]:
    """(settings, a line for each that is wrong and therefore has its default).

    raw: the section's value, nested (`{"search": {"limit": 5}}`) or dotted (`{"search.limit": 5}`). Nothing,
    null and an empty list (an empty table of Lua) stand for no settings.
    """
    problems: list[str] = []
    if raw is None or (isinstance(raw, list) and not raw):
        return Settings(), problems
    if not isinstance(raw, Mapping):
        return Settings(), [f"{SECTION}: expected an object, not {_shown(raw)}"]
    given = _flattened(raw)
    values: dict[str, Any] = {}
    for one in fields(Settings):
        dotted, expected = one.metadata["key"], one.metadata["expected"]
        if dotted not in given:
            continue
        value = given.pop(dotted)
        if value is None or (expected.startswith("a list") and value == {}):
            continue
        if one.metadata["check"](value):
            values[one.name] = tuple(value) if isinstance(value, list | tuple) else value
        else:
            default = list(one.default) if isinstance(one.default, tuple) else one.default
            problems.append(
                f"{SECTION}.{dotted} must be {expected}, not {_shown(value)}: using {_shown(default)}"
            )
    groups = {one.metadata["key"].split(".")[0] for one in fields(Settings)}
    problems.extend(
        f"{SECTION}.{dotted} is no setting of modstar"
        for dotted in given
        if dotted.split(".")[0] in groups  # others may be the client's own
    )
    return Settings(**values), problems


def _flattened(raw: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping) and value:
            found.update({f"{key}.{inner}": content for inner, content in value.items()})
        elif not (isinstance(value, Mapping | list) and not value and "." not in str(key)):
            found[str(key)] = value
    return found


def _shown(value: Any) -> str:
    import json

    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
