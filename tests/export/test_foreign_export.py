"""Wrapped and published encoders leave as bundles, and the runtime gives the vectors they always gave."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig, BertModel

from export.__main__ import main
from export.bundle import check_bundle
from export.checkpoint import load_checkpoint
from export.validate import torch_encoder
from model.tokenizer import as_transformers
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.errors import BundleError
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace
from tests.train.foreign import SHAPE, bpe_tokenizer, save_bert, save_published
from train.pretrained import load_bert
from train.published import QUERY_PROMPT, load_published
from train.tokenizer import train_tokenizer
from train.wrap import wrap

FOREIGN = ("--fidelity", "foreign")
TEXTS = [
    "def parse_json(path):\n    return json.load(open(path))",
    "class HTTPAdapter: pass",
    "retry failed uploads",
    "for i in range(10): total += values[i] ** 2\n" * 20,  # longer than the window
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few functions: the early exits' texts and, in one file, the validation's."""
    folder = tmp_path_factory.mktemp("sources")
    verbs = "parse read write close retry sort upload open".split()
    nouns = "json file window values adapter path class them".split()
    for number, verb in enumerate(verbs):
        functions = [
            f"def {verb}_{noun}(path, n={number}):\n    return {noun}.{verb}(path) + n\n" for noun in nouns
        ]
        (folder / f"{verb}.py").write_text("\n\n".join(functions))
    return folder


@pytest.fixture(scope="module")
def texts(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "texts.txt"
    file.write_text("\n\n".join(path.read_text() for path in sorted(sources.glob("*.py"))))
    return file


@pytest.fixture(scope="module")
def wrapped(sources: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(checkpoint, bundle) of a BERT with its own WordPieces."""
    folder = tmp_path_factory.mktemp("wrapped")
    save_bert(folder / "bert")
    wrap(folder / "bert", folder / "checkpoint", (0, 2, 4), sources)
    assert main([str(folder / "checkpoint"), str(folder / "bundle"), "--validate", str(texts), *FOREIGN]) == 0
    return folder / "checkpoint", folder / "bundle"


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_a_wrapped_bert_gives_the_vectors_of_torch(wrapped: tuple[Path, Path], depth: int) -> None:
    checkpoint, bundle = wrapped
    expected = torch_encoder(load_checkpoint(checkpoint), depth, max_tokens=64)(TEXTS)
    found = Encoder(open_bundle(bundle)).encode(TEXTS, depth)
    assert (expected * found).sum(axis=1).min() > 0.99
    assert "every digest right" in check_bundle(bundle)


def test_a_bert_in_lower_case_needs_no_package_for_its_tokenizer(
    wrapped: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert Encoder(open_bundle(wrapped[1])).encode(TEXTS, 4).any()


def test_its_graphs_are_fused_too(wrapped: tuple[Path, Path]) -> None:
    graph = onnx.load(wrapped[1] / "exit-4.onnx", load_external_data=False)
    used = [node.op_type for node in graph.graph.node]
    assert used.count("MultiHeadAttention") == 4 and used.count("RotaryEmbedding") == 0
    assert used.count("DynamicQuantizeMatMul") == 4 * 4
    assert used.count("Gelu") + used.count("BiasGelu") == 2 * 4 and "Erf" not in used


def test_exit_0_of_a_foreign_tokenizer_hears_the_words_of_the_index(wrapped: tuple[Path, Path]) -> None:
    encoder = Encoder(open_bundle(wrapped[1]))
    camel, plain = encoder.encode(["closeWindow", "close window"])
    assert camel.any() and np.array_equal(camel, plain)


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_an_exit_that_builds_on_exit_0_is_fed_its_vector(tmp_path: Path, texts: Path, depth: int) -> None:
    """As trained here: our own words, an own table at exit 0, and the whole text in it."""
    save_bert(tmp_path / "bert")
    tokenizer = train_tokenizer([texts.read_text()], 220)
    model = load_bert(tmp_path / "bert", (0, 2, 4), tokenizer, dimension=16, residual=True)
    model.save_pretrained(tmp_path / "checkpoint")
    as_transformers(tokenizer, 64).save_pretrained(tmp_path / "checkpoint")
    assert (
        main([str(tmp_path / "checkpoint"), str(tmp_path / "bundle"), "--validate", str(texts), *FOREIGN])
        == 0
    )
    bundle = open_bundle(tmp_path / "bundle")
    assert [one.residual for one in bundle.exits] == [False, True, True]
    assert bundle.gpu is not None and bundle.gpu.residual
    with torch.no_grad():
        rows = Encoder(bundle).encode(TEXTS, depth)
        for text, row in zip(TEXTS, rows, strict=True):
            whole = torch.tensor([tokenizer.encode(text).ids])
            bag = model.ground(whole, torch.ones_like(whole))
            ids = whole[:, :64]
            ids[:, -1] = whole[:, -1]
            expected = model.truncated(depth)(ids, torch.ones_like(ids), bag)[0] if depth else bag[0]
            assert float(torch.from_numpy(row) @ expected) > 0.99


# ---- without an exit 0 -------------------------------------------------------------------------------


def test_an_encoder_with_other_pieces_than_wordpieces_is_served_from_its_exits(
    tmp_path: Path, sources: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bert(tmp_path / "bert", BertModel(BertConfig(vocab_size=400, **SHAPE)))
    bpe_tokenizer(["<s>", "</s>", "<pad>", "<unk>"]).save(str(tmp_path / "bert" / "tokenizer.json"))
    assert "exits 1, 3, 4" in wrap(tmp_path / "bert", tmp_path / "checkpoint", sources=sources)
    assert (
        main([str(tmp_path / "checkpoint"), str(tmp_path / "bundle"), "--validate", str(texts), *FOREIGN])
        == 0
    )
    encoder = Encoder(open_bundle(tmp_path / "bundle"))
    assert not encoder.encode(TEXTS, 0).any()
    expected = torch_encoder(load_checkpoint(tmp_path / "checkpoint"), 4, 64)(TEXTS)
    assert (expected * encoder.encode(TEXTS, 4)).sum(axis=1).min() > 0.99
    assert "every digest right" in check_bundle(tmp_path / "bundle")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BundleError, match=r'does not read by itself: pip install "tokenizers'):
        Encoder(open_bundle(tmp_path / "bundle")).encode(TEXTS, 4)


@pytest.fixture(scope="module")
def published(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(folder in the published layout, bundle of its exit 2)."""
    folder = tmp_path_factory.mktemp("published")
    save_published(folder / "hub")
    wrap(folder / "hub", folder / "checkpoint")
    command = [
        str(folder / "checkpoint"),
        str(folder / "bundle"),
        "--exits",
        "2",
        "--validate",
        str(texts),
        *FOREIGN,
    ]
    assert main(command) == 0
    return folder / "hub", folder / "bundle"


def test_the_published_checkpoint_is_served_with_its_prompts(published: tuple[Path, Path]) -> None:
    model, tokenizer = load_published(published[0])
    encoder = Encoder(open_bundle(published[1]))
    for role, prompt in (("query", QUERY_PROMPT), ("code", "Represent this code snippet for retrieval:")):
        rows = encoder.encode(TEXTS, 2, role)  # type: ignore[arg-type]
        for text, row in zip(TEXTS, rows, strict=True):
            ids = torch.tensor([tokenizer.encode(prompt, text).ids])
            with torch.no_grad():
                expected = model(ids, torch.ones_like(ids), [2])[2][0]
            assert float(torch.from_numpy(row) @ expected) > 0.99


def test_a_workspace_is_indexed_and_searched_with_it(
    published: tuple[Path, Path], sources: Path, tmp_path: Path
) -> None:
    workspace = Workspace.open(sources, index_dir=tmp_path / "index", bundle=published[1])
    try:
        workspace.refresh()
        assert workspace.search("close window").hits[0].path == "close.py"  # by its words alone
        assert workspace.deepen(2) > 0
        assert workspace.search("close window", Options(depth=2)).hits
    finally:
        workspace.close()


def test_exits_with_spaces_of_their_own_do_not_share_a_bundle(
    published: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = published[0].parent / "checkpoint"
    assert main([str(checkpoint), str(tmp_path / "bundle")]) == 2
    error = capsys.readouterr().err
    assert "choose one, e.g. --exits 4" in error and error.count("\n") == 1
