"""A reranker goes from a checkpoint into a bundle, and reads there as it does in torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from export.reranker import main, remove_reranker
from export.restore import main as restore
from model.reranker import Reading, Reranker
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.bundle import MANIFEST
from modstar_lsp.encoder.tokens import Tokens
from modstar_lsp.errors import BundleError
from tests.export.tiny_checkpoint import Exported, reranker_config

QUESTION = "which function reads a bundle's manifest from a file?"
CODE = "def read_manifest(path):\n    return json.loads(path.read_text())\n"
OTHER = "class Lock:\n    def release(self):\n        self.held = False\n"


@pytest.fixture(scope="module")
def checkpoint(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reranker of random weights over the tiny checkpoint's vocabulary."""
    folder = tmp_path_factory.mktemp("reranker") / "checkpoint"
    size = json.loads((exported.checkpoint / "config.json").read_text())["vocab_size"]
    torch.manual_seed(2)
    config = reranker_config(size, [1, 3], training={"question_tokens": 24, "code_tokens": 64})
    Reranker(config).save_pretrained(folder)
    shutil.copy(exported.checkpoint / "tokenizer.json", folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="module")
def bundle(exported: Exported, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-reranker") / "bundle"
    shutil.copytree(exported.bundle, folder)
    assert main([str(checkpoint), str(folder), "--exits", "1", "3"]) == 0
    return folder


def test_a_token_reads_as_in_torch_at_every_exit(bundle: Path, checkpoint: Path) -> None:
    reranker = Encoder(open_bundle(bundle)).reranker()
    assert reranker is not None and reranker.depths == [1, 3]
    ids = list(reranker.tokens(CODE, 64).ids)
    model = Reranker.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        wanted = model(torch.tensor([ids]), torch.ones(1, len(ids)))
    for depth, vectors in reranker.token_vectors(ids).items():
        cosines = (wanted[depth].vectors[0].numpy() * vectors).sum(axis=1)
        assert cosines.mean() > 0.98, depth


def test_a_score_is_that_of_the_checkpoint(bundle: Path, checkpoint: Path) -> None:
    reranker = Encoder(open_bundle(bundle)).reranker()
    assert reranker is not None
    model = Reranker.from_pretrained(checkpoint).eval()
    asked = reranker.read_question(QUESTION)

    def in_torch(found: Tokens) -> tuple[Reading, torch.Tensor]:
        part = torch.tensor([[float(any(map(str.isalnum, token))) for token in found.tokens]])
        part *= 1 - torch.tensor([found.special_tokens_mask])
        with torch.inference_mode():
            return model(torch.tensor([found.ids]), torch.ones(1, len(found.ids)))[3], part

    question, asks = in_torch(reranker.tokens(QUESTION, 24))
    for code in (CODE, OTHER):
        answer, meets = in_torch(reranker.tokens(code, 64))
        with torch.inference_mode():
            wanted = float(model.scores(3, question, asks, answer, meets)[0, 0])
        assert abs(reranker.score(asked, reranker.read(code)) - wanted) < 0.05 * abs(wanted) + 0.3


@pytest.mark.parametrize("exits", [("1", "3"), ("3",)])
def test_the_reranker_of_a_bundle_is_a_checkpoint_again(
    exits: tuple[str, ...], checkpoint: Path, exported: Exported, tmp_path: Path
) -> None:
    bundle, again = tmp_path / "bundle", tmp_path / "again"
    shutil.copytree(exported.bundle, bundle)
    assert main([str(checkpoint), str(bundle), "--exits", *exits]) == 0
    assert restore([str(bundle), str(again)]) == 0
    reranker = Encoder(open_bundle(bundle)).reranker()
    assert reranker is not None
    ids = list(reranker.tokens(CODE, 64).ids)
    models = [Reranker.from_pretrained(folder).eval() for folder in (checkpoint, again)]
    assert models[1].depths == [int(depth) for depth in exits]
    with torch.inference_mode():
        before, after = (model(torch.tensor([ids]), torch.ones(1, len(ids)))[3] for model in models)
    assert (before.vectors * after.vectors).sum(dim=-1).mean() > 0.98
    assert torch.allclose(before.weights, after.weights, rtol=0.1)
    assert Tokenizer.from_file(str(again / "tokenizer.json")).encode(CODE).ids
    assert main([str(again), str(bundle)]) == 0  # and can be exported once more


def test_a_bundle_without_a_reranker_has_none_to_restore(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore([str(exported.bundle), str(tmp_path / "again")]) == 2
    assert "this bundle has no reranker" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_one_graph_reads_as_several_do(
    bundle: Path, checkpoint: Path, exported: Exported, tmp_path: Path
) -> None:
    shutil.copytree(exported.bundle, tmp_path / "bundle")
    assert main([str(checkpoint), str(tmp_path / "bundle")]) == 0
    several, one = (
        Encoder(open_bundle(bundle)).reranker(),
        Encoder(open_bundle(tmp_path / "bundle")).reranker(),
    )
    assert several is not None and one is not None and one.depths == [3]
    cosines = (several.read(CODE).vectors * one.read(CODE).vectors).sum(axis=1)
    assert cosines.mean() > 0.98


def test_what_surrounds_a_text_does_not_change_its_reading(bundle: Path) -> None:
    reranker = Encoder(open_bundle(bundle)).reranker()
    assert reranker is not None
    alone = reranker.read(CODE)
    reranker.read(OTHER * 20)
    assert np.array_equal(reranker.read(CODE).vectors, alone.vectors)


@pytest.mark.parametrize("text", ["", " \n", "(((", "\ud800", "x" * 100_000, "{}" * 5_000])
def test_any_text_can_be_read(bundle: Path, text: str) -> None:
    reranker = Encoder(open_bundle(bundle)).reranker()
    assert reranker is not None
    reading = reranker.read(text)
    score = reranker.score(reranker.read_question(text), reading)
    assert np.isfinite(score) and np.isfinite(reading.mean).all()


def test_a_damaged_reranker_is_one_line_and_the_rest_answers(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    weights = tmp_path / "bundle" / "reranker.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    encoder = Encoder(open_bundle(tmp_path / "bundle"))
    assert encoder.encode(["read a file"]).any()
    with pytest.raises(BundleError, match=r"reranker\.bin was altered"):
        encoder.reranker()


def test_a_wrong_section_is_one_line(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / MANIFEST).read_text())
    manifest["reranker"]["exits"] = []
    (tmp_path / "bundle" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="reranker is not as it should be"):
        Encoder(open_bundle(tmp_path / "bundle")).reranker()


def test_it_is_taken_out_with_its_files(bundle: Path, exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    remove_reranker(tmp_path / "bundle")
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {
        path.name for path in exported.bundle.iterdir()
    }
    assert Encoder(open_bundle(tmp_path / "bundle")).reranker() is None


def test_an_exit_that_is_not_there_is_one_line(
    bundle: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), str(bundle), "--exits", "2"]) == 2
    assert "has no exit 2; it has 1, 3" in capsys.readouterr().err


def test_a_folder_that_is_none_is_one_line(
    bundle: Path, exported: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (bundle / MANIFEST).read_bytes()
    assert main([str(exported.checkpoint), str(bundle)]) == 2
    assert "not a Reranker" in capsys.readouterr().err
    assert (bundle / MANIFEST).read_bytes() == before
