"""What a tool takes: one table of JSON schemas, which the client reads and its arguments are checked by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modstar_lsp.errors import QueryError

#: The JSON schema of one argument, as far as `checked` knows it: type string, integer or array (of strings),
#: description, default, enum, minimum and maximum.
Argument = dict[str, Any]

_TYPE_NAMES = {"string": "a text", "integer": "a whole number", "array": "a list of texts"}


def schema(arguments: Mapping[str, Argument], required: list[str]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments."""
    known = {"type": "object", "properties": dict(arguments), "additionalProperties": False}
    return known | ({"required": required} if required else {})


def checked(tool: str, given: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults for those that are missing; None where there is no default.

    What models write for what they mean is taken: one text for a list of one, 5.0 for 5, null for nothing.
    Raises QueryError, which names the argument and what it should be.
    """
    arguments: Mapping[str, Argument] = expected["properties"]
    for name in given:
        if name not in arguments:
            raise QueryError(f"{tool} takes no {name[:40]!r}; it takes {', '.join(arguments) or 'nothing'}")
    for name in expected.get("required", ()):
        if given.get(name) is None:
            raise QueryError(f"{tool} needs {name}: {arguments[name]['description']}")
    return {
        name: argument.get("default")
        if given.get(name) is None
        else _value(f"{tool}: {name}", given[name], argument)
        for name, argument in arguments.items()
    }


def _value(where: str, value: Any, argument: Argument) -> Any:
    kind = argument["type"]
    if kind == "array" and isinstance(value, str):
        value = [value]
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    fits = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "array": isinstance(value, list) and all(isinstance(one, str) for one in value),
    }[kind]
    if not fits:
        raise QueryError(f"{where} must be {_TYPE_NAMES[kind]}, not {str(value)[:40]!r}")
    if "enum" in argument and value not in argument["enum"]:
        raise QueryError(f"{where} must be one of {', '.join(argument['enum'])}, not {value[:40]!r}")
    low, high = argument.get("minimum"), argument.get("maximum")
    if low is not None and high is not None and not low <= value <= high:
        raise QueryError(f"{where} must lie between {low} and {high}, but is {value}")
    return value
