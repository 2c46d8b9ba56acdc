"""The house's one rule: imports go down, never up, and the runtime stays free of the training stack."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "modstar_lsp"

# From top to bottom: a layer may import those after it. `errors` is open to all.
LAYERS = ["cli", "server", "workspace", "search", "index", "encoder", "chunking", "files"]
HEAVY = {"torch", "transformers", "optimum", "onnx", "train", "export", "bench"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def layer(module: str) -> str:
    return module.split(".")[1] if module.startswith("modstar_lsp.") else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        there = layer(module)
        if here in LAYERS and there in LAYERS:
            assert LAYERS.index(there) >= LAYERS.index(here), f"{here} imports {module}, which lies above it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_runtime_never_imports_the_training_stack(path: Path) -> None:
    assert not {module.split(".")[0] for module in imports(path)} & HEAVY
