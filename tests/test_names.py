"""One name means one thing: who has met it in one file of the runtime knows it in every other."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent.parent / "modstar_lsp"
# Conventions: what every program has, and a type that stands for any.
EVERYWHERE = {"main", "make_parser", "log", "T", "__all__", "PROGRAM", "_DESCRIPTION", "_EPILOG", "_USAGE"}


def names(path: Path) -> Iterator[str]:
    """The names that others may meet: public ones, and constants. Private functions stay with their file."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from {
                leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)
            }


def test_a_name_of_the_runtime_means_one_thing() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(RUNTIME.rglob("*.py")):
        for name in set(names(path)) - EVERYWHERE:
            found[name].append(path.relative_to(RUNTIME).as_posix())
    twice = {name: where for name, where in sorted(found.items()) if len(where) > 1}
    assert not twice, "give each its own name, or define it once and import it"
