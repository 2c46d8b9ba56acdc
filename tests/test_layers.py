"""The house's rules: imports go down, never up and never round, and every folder and file has its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each list from top to bottom: a part may import those on lines below its own. Those on one line stand side
# by side and do not know each other. Imports for types alone count like any other.
Levels = Sequence[Sequence[str]]
PACKAGES: Levels = (
    ("bench",),
    ("train", "export"),
    ("evaluation", "model", "bundle", "modstar"),
    ("modstar_lsp",),
)
RUNTIME: Levels = (
    ("completions",),
    ("__main__",),
    ("cli", "server", "mcp"),
    ("background", "stores"),
    ("workspace",),
    ("search",),
    ("index",),
    ("encoder", "chunking"),
    ("files",),
    ("private_socket", "private_files", "cache_folder"),
    ("startup", "installation", "allowance"),
    ("trusted_path", "errors", "arrays", "printable"),
)
INDEX: Levels = (
    ("index",),
    ("reading",),
    ("writing",),
    ("vectors",),
    ("words",),
    ("store",),
    ("records",),
)
RULES = {"": PACKAGES, "modstar_lsp": RUNTIME, "modstar_lsp.index": INDEX}
# What the project has beside its packages, and what building, training and measuring leave.
NO_PACKAGES = {"tests", "docs", "editors", "scripts", "build", "dist", "data", "runs"}
HEAVY = {"torch", "transformers", "optimum", "onnx", "tokenizers", "huggingface_hub"}
# Makes the graph that a GPU runs, when one first does; it is in the extra `gpu`.
WITH_ONNX = "modstar_lsp.encoder.gpu.half_precision"
# Reads the tokenizers that are of no kind of ours, in somebody's own bundle; it is in the extra `bundles`.
WITH_TOKENIZERS = "modstar_lsp.encoder.tokens"

Arrows = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Every module below `root` by its dotted name; a package by its own."""
    found = {}
    for entry in sorted(root.iterdir()):
        if entry.name in NO_PACKAGES or entry.name.startswith("."):
            continue
        for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] * (entry.suffix == ".py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """What a file imports, also inside functions and for types: `from a import b` is a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(root: Path) -> Arrows:
    """Each module and the modules of this tree that it imports; names inside a module stand for it."""
    known = modules(root)

    def module_of(name: str) -> str:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name

    return {
        module: {there for name in imported(path) if (there := module_of(name)) and there != module}
        for module, path in known.items()
    }


def part_of(module: str, package: str) -> str:
    """The part of `package` that a module is in: `modstar_lsp.index.store.lock` is in `index`, of `index` in
    `store`. "" for the package itself and for what is elsewhere."""
    inside = module if not package else module.removeprefix(f"{package}.") if module != package else ""
    return "" if package and inside == module else inside.split(".")[0]


def strangers(found: Arrows, package: str, levels: Levels) -> set[str]:
    """Parts of `package` that the list does not name, and names in the list that nothing answers to."""
    here = {part_of(module, package) for module in found} - {""}
    return here ^ {name for level in levels for name in level}


def climbs(found: Arrows, package: str, levels: Levels) -> set[tuple[str, str]]:
    """Imports between parts of `package` that do not go down; what is not in the list may import nothing."""
    height = {name: number for number, level in enumerate(levels) for name in level}
    wrong = set()
    for module, targets in found.items():
        here = part_of(module, package)
        for target in targets:
            there = part_of(target, package)
            if here and there and here != there and not height.get(here, 99) < height.get(there, -1):
                wrong.add((module, target))
    return wrong


def circles(found: Arrows) -> list[list[str]]:
    """Modules that import each other, directly or by way of others, in groups."""
    reached: dict[str, set[str]] = {}
    for start in found:
        seen: set[str] = set()
        todo = [*found[start]]
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo.extend(found[module])
        reached[start] = seen
    groups = {
        frozenset({one, *(other for other in reached[one] if one in reached[other])})
        for one in found
        if one in reached[one]
    }
    return sorted(sorted(group) for group in groups)


# -- this project


@pytest.fixture(scope="module")
def ours() -> Arrows:
    return arrows(ROOT)


@pytest.mark.parametrize("package", RULES)
def test_every_part_has_its_place(ours: Arrows, package: str) -> None:
    assert not strangers(ours, package, RULES[package]), "tell its place in tests/test_layers.py"


@pytest.mark.parametrize("package", RULES)
def test_imports_go_down_only(ours: Arrows, package: str) -> None:
    assert not climbs(ours, package, RULES[package])


def test_imports_never_go_round(ours: Arrows) -> None:
    assert not circles(ours)


def test_the_runtime_never_imports_the_training_stack() -> None:
    allowed = {WITH_ONNX: {"onnx"}, WITH_TOKENIZERS: {"tokenizers"}}
    heavy = {
        (module, name)
        for module, path in modules(ROOT).items()
        if module.split(".")[0] in ("modstar", "modstar_lsp")
        for name in imported(path)
        if name.split(".")[0] in HEAVY - allowed.get(module, set())
    }
    assert not heavy


# -- made-up trees, so that the rules are known to bite


def tree(root: Path, files: Mapping[str, str]) -> Arrows:
    """The arrows of a tree of these files: {path without .py: what it imports, by commas}."""
    for name, imports in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"import {one.strip()}\n" for one in imports.split(",") if one))
    return arrows(root)


HOUSE: Levels = (("cli", "server"), ("workspace",), ("index",))


def test_a_folder_that_nobody_placed_is_told_and_may_import_nothing(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        {
            "house/cli/query": "house.workspace",
            "house/server/main": "house.workspace",
            "house/workspace": "house.index",
            "house/index": "",
            "house/mcp/tools": "house.cli.query, house.server.main",
        },
    )
    assert strangers(found, "house", HOUSE) == {"mcp"}
    assert climbs(found, "house", HOUSE) == {
        ("house.mcp.tools", "house.cli.query"),
        ("house.mcp.tools", "house.server.main"),
    }
    placed = (("mcp",), *HOUSE)
    assert not strangers(found, "house", placed) and not climbs(found, "house", placed)


def test_a_place_without_a_folder_is_told(tmp_path: Path) -> None:
    assert strangers(tree(tmp_path, {"house/index": ""}), "house", (("index",), ("attic",))) == {"attic"}


def test_a_package_or_file_beside_them_that_nobody_placed_is_told(tmp_path: Path) -> None:
    found = tree(
        tmp_path, {"bench/run": "", "lab/run": "bench.run", "tool": "bench.run", "tests/test_run": "lab.run"}
    )
    assert strangers(found, "", (("bench",),)) == {"lab", "tool"}


def test_an_import_that_goes_up_or_aside_is_told(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        {
            "house/cli/query": "house.workspace",
            "house/server/main": "house.cli.query",
            "house/workspace": "house.server",
            "house/index": "",
            "house/server/__init__": "",
        },
    )
    assert climbs(found, "house", HOUSE) == {
        ("house.server.main", "house.cli.query"),
        ("house.workspace", "house.server"),
    }


def test_an_import_for_types_or_inside_a_function_goes_up_all_the_same(tmp_path: Path) -> None:
    tree(tmp_path, {"house/cli": "", "house/server": "", "house/workspace": "", "house/index": ""})
    (tmp_path / "house/index.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from house.workspace import Workspace\n"
        "def later():\n    from house import cli\n"
    )
    up = {("house.index", "house.workspace"), ("house.index", "house.cli")}
    assert climbs(arrows(tmp_path), "house", HOUSE) == up


def test_a_circle_inside_a_package_is_told_however_long_it_is(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        {
            "house/index/refresh": "house.index.writer",
            "house/index/writer": "house.index.analysis",
            "house/index/analysis": "house.index.refresh, house.index.terms",
            "house/index/terms": "",
        },
    )
    assert circles(found) == [["house.index.analysis", "house.index.refresh", "house.index.writer"]]
