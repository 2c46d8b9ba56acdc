"""The user's settings, section "modstar": read leniently, wrong ones named and defaulted.

Every one only narrows or tunes: none names a file to run, to load or to write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

SECTION = "modstar"

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings as they are in force, with their defaults."""

    search_limit: int = 20
    search_min_score: float | None = None
    index_include: tuple[str, ...] = ()
    index_exclude: tuple[str, ...] = ()
    index_untrusted: str = "off"
    background_share: float = 0.5
    background_on_battery: str = "pause"
    background_deepen: bool = True
    workspace_symbol_enabled: bool = True
    workspace_symbol_echo_query: bool = False
    code_lens_enabled: bool = False
    duplicates_enabled: bool = False
    duplicates_min_score: float = 0.9

    def wire(self) -> dict[str, Any]:
        """As the client writes them: `{"search": {"limit": 20, ...}, ...}`."""
        found: dict[str, Any] = {}
        for name, (group, key, _, _) in _KNOWN.items():
            value = getattr(self, name)
            found.setdefault(group, {})[key] = list(value) if isinstance(value, tuple) else value
        return found


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


def _share(value: Any) -> bool:
    return _number(0, 1)(value) and value > 0


def _score_or_none(value: Any) -> bool:
    return value is None or _number(0, 1)(value)


# Field -> group, key, check, what is expected in words.
_KNOWN: Mapping[str, tuple[str, str, Check, str]] = {
    "search_limit": ("search", "limit", _limit, "a whole number from 1 to 200"),
    "search_min_score": ("search", "minScore", _score_or_none, "null or a number from 0 to 1"),
    "index_include": ("index", "include", _globs, "a list of globs"),
    "index_exclude": ("index", "exclude", _globs, "a list of globs"),
    "index_untrusted": ("index", "untrusted", _one_of("off", "temporary"), '"off" or "temporary"'),
    "background_share": ("background", "share", _share, "a number above 0, at most 1"),
    "background_on_battery": ("background", "onBattery", _one_of("pause", "run"), '"pause" or "run"'),
    "background_deepen": ("background", "deepen", _flag, "true or false"),
    "workspace_symbol_enabled": ("workspaceSymbol", "enabled", _flag, "true or false"),
    "workspace_symbol_echo_query": ("workspaceSymbol", "echoQuery", _flag, "true or false"),
    "code_lens_enabled": ("codeLens", "enabled", _flag, "true or false"),
    "duplicates_enabled": ("duplicates", "enabled", _flag, "true or false"),
    "duplicates_min_score": ("duplicates", "minScore", _number(0, 1), "a number from 0 to 1"),
}


def parse(raw: Any) -> tuple[Settings, list[str]]:
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
    for name, (group, key, check, expected) in _KNOWN.items():
        dotted = f"{group}.{key}"
        if dotted not in given:
            continue
        value = given.pop(dotted)
        if value is None or (expected.startswith("a list") and value == {}):
            continue
        if check(value):
            values[name] = tuple(value) if isinstance(value, list | tuple) else value
        else:
            default = next(field.default for field in fields(Settings) if field.name == name)
            problems.append(
                f"{SECTION}.{dotted} must be {expected}, not {_shown(value)}: "
                f"using {_shown(list(default) if isinstance(default, tuple) else default)}"
            )
    groups = {group for group, *_ in _KNOWN.values()}
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
