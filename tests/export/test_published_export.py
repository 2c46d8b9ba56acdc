"""A published checkpoint with all its exits in one space is a bundle that answers at exit 0 and deepens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main
from export.checkpoint import load_checkpoint
from export.validate import torch_encoder
from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace
from tests.train.trained import in_other_words, save_trained
from train.wrap import wrap


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(checkpoint, its bundle, sources)."""
    folder = tmp_path_factory.mktemp("laid")
    hub, trained_on = save_trained(folder)
    sources = in_other_words(trained_on, folder / "other")
    wrap(hub, folder / "checkpoint", sources=sources, one_space=True)
    texts = folder / "texts.txt"
    texts.write_text("\n\n".join(file.read_text() for file in sorted(sources.rglob("*.py"))))
    command = [str(folder / "checkpoint"), str(folder / "bundle"), "--validate", str(texts), "--no-fp16"]
    assert main([*command, "--fidelity", "foreign"]) == 0
    return folder / "checkpoint", folder / "bundle", sources


def test_the_bundle_has_the_published_exits_and_exit_0_with_the_vectors_of_torch(
    laid: tuple[Path, Path, Path],
) -> None:
    bundle = open_bundle(laid[1])
    assert [one.depth for one in bundle.exits] == [0, 1, 2, 4]
    texts = ["def weigh_apple(self, limit, pears):", "every plum that is ripe"]
    expected = torch_encoder(load_checkpoint(laid[0]), 0, max_tokens=64)(texts)
    assert (expected * Encoder(bundle).encode(texts)).sum(axis=1).min() > 0.99
    camel, plain = Encoder(bundle).encode(["appleCrate", "apple crate"])
    assert camel.any() and np.array_equal(camel, plain)


def test_a_tree_is_searched_at_exit_0_and_after_each_deepening(
    laid: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    workspace = Workspace.open(laid[2], index_dir=tmp_path / "index", bundle=laid[1])
    try:
        workspace.refresh()
        question = "goes through every apple that is ripe"
        assert workspace.search(question, Options(depth=0)).hits[0].path == "apple/apple.py"
        for depth in (1, 2, 4):
            assert workspace.deepen(depth) > 0
            assert workspace.search(question, Options(depth=depth)).hits[0].path == "apple/apple.py"
    finally:
        workspace.close()


def test_an_exit_0_of_another_dimension_is_refused_in_one_line(
    laid: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Path(shutil.copytree(laid[0], tmp_path / "checkpoint"))
    config = ModularStarConfig(
        8, 16, 64, num_hidden_layers=0, exit_layers=[0], dimension=16, nested_dimensions=[]
    )
    ModularStarEncoder(config).save_pretrained(checkpoint / "exit0")
    assert main([str(checkpoint), str(tmp_path / "bundle")]) == 2
    error = capsys.readouterr().err
    assert "of dimension 16, where 0 of dimension 32 is needed" in error and error.count("\n") == 1
