"""The languages of files, as people and agents name them."""

from __future__ import annotations

from modstar_lsp.errors import QueryError

# What people type for a language that is neither its name nor an ending of its files.
_SPOKEN = {"c#": "csharp", "golang": "go", "node": "javascript", "objc": "objective-c", "python3": "python"}
_SPOKEN |= {"shell": "bash", "f#": "fsharp"}
# Who asks for the first means all of them.
_FAMILIES = {"typescript": ("typescript", "tsx")}


def languages_named(text: str) -> frozenset[str]:
    """The languages that somebody means by a name, a nickname or a file ending. Raises QueryError."""
    from modstar_lsp.files.languages import EXTENSIONS

    asked = text.strip().lower().lstrip(".")
    name = _SPOKEN.get(asked, asked)
    if name not in EXTENSIONS.values():
        name = EXTENSIONS.get(name, "")
    if not name:
        raise QueryError(f"must name a language such as python or ts, not {text[:40]!r}")
    return frozenset(_FAMILIES.get(name, (name,)))
