"""The exits of a bundle become a checkpoint again, whose vectors are those of the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export.__main__ import main
from export.checkpoint import load_checkpoint
from export.restore import main as restore
from export.validate import torch_encoder
from model.tokenizer import load_tokenizer
from modstar_lsp.encoder import Encoder, open_bundle
from tests.train.foreign import save_bert
from train.pretrained import load_bert

TEXTS = [
    "def parse_json(path):\n    return json.load(open(path))",
    "retry the upload, close the window",
    "class HTTPAdapter: pass  # sort the values",
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT's layers in a bundle, exits that build on exit 0, each with a gain of its own."""
    folder = tmp_path_factory.mktemp("restored")
    save_bert(folder / "bert")
    model = load_bert(folder / "bert", [0, 2, 4], dimension=16, residual=True, query_ground=2.0)
    with torch.no_grad():
        for depth, gain in ((2, 0.7), (4, 1.3)):
            learned = model.exit_head(depth).gain
            assert learned is not None
            learned.fill_(gain)
            model.exit_head(depth).proj.bias.normal_(std=0.1)
    model.save_pretrained(folder / "checkpoint")
    load_tokenizer(folder / "bert").save(str(folder / "checkpoint" / "tokenizer.json"))
    told = [str(folder / "checkpoint"), str(folder / "bundle")]
    assert main([*told, "--fidelity", "foreign", "--indexed", "8", "--no-fp16"]) == 0
    return folder / "bundle"


def test_the_exits_of_a_bundle_are_a_checkpoint_again(bundle: Path, tmp_path: Path) -> None:
    assert restore([str(bundle), str(tmp_path / "again"), "--encoder"]) == 0
    again = load_checkpoint(tmp_path / "again")
    assert again.depths == [0, 2, 4] and again.config.query_ground == 2.0
    encoder = Encoder(open_bundle(bundle), dimension=16)
    for depth in again.depths:
        cosines = (torch_encoder(again, depth, 64)(TEXTS) * encoder.encode(TEXTS, depth)).sum(axis=1)
        assert cosines.min() > 0.99, depth


def test_a_bundle_of_exit_0_alone_has_no_encoder(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore([str(bundle), str(tmp_path / "again"), "--encoder"]) == 0
    alone = tmp_path / "alone"
    told = [str(tmp_path / "again"), str(alone), "--exits", "0", "--fidelity", "foreign"]
    assert main(told) == 0
    capsys.readouterr()
    assert restore([str(alone), str(tmp_path / "none"), "--encoder"]) == 2
    assert "exit 0 alone" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
