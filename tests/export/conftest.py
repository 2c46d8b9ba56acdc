from __future__ import annotations

from pathlib import Path

import pytest

from export.__main__ import main
from tests.export.tiny_checkpoint import Exported, make_checkpoint


@pytest.fixture(scope="session")
def source_text() -> str:
    """Some code to train a tokenizer on and to validate with: the product's own."""
    package = Path(__file__).resolve().parents[2] / "modstar_lsp" / "encoder"
    return "\n\n".join(path.read_text("utf-8") for path in sorted(package.glob("*.py")))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, source_text: str) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    checkpoint = make_checkpoint(folder / "checkpoint", source_text)
    texts = folder / "texts.txt"
    texts.write_text(source_text, "utf-8")
    bundle = folder / "bundle"
    assert main([str(checkpoint), str(bundle), "--validate", str(texts), "--name", "tiny"]) == 0
    return Exported(checkpoint, bundle, texts)
