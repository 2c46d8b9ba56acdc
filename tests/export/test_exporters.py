"""Either of torch's exporters makes a bundle of the same graphs: the older one is being retired."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import reranker
from export.__main__ import main
from export.checkpoint import load_checkpoint
from export.validate import torch_encoder
from model.reranker import Reranker
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.graph import GraphExit
from tests.export.tiny_checkpoint import Exported, make_checkpoint, reranker_config

TEXTS = [
    "def parse_json(path):\n    return json.load(open(path))",
    "retry failed uploads",
    "x",
    "for i in range(10): total += values[i] ** 2\n" * 40,
]
FUSED = ("MultiHeadAttention", "RotaryEmbedding", "Gelu", "FastGelu", "MatMulInteger")
SHAPES = {
    "rotary, fewer keys than heads": {},
    "learned positions, on top of exit 0": {
        "num_key_value_heads": 4,
        "norm": "post",
        "positions": "learned",
        "activation": "gelu",
        "embedding_norm": True,
        "residual": True,
    },
}


def operators(graph: Path) -> dict[str, int]:
    model = onnx.load(graph, load_external_data=False)
    found = Counter(node.op_type for node in model.graph.node)
    return {name: found[name] for name in FUSED}


@pytest.mark.parametrize("shape", SHAPES)
def test_both_exporters_make_the_same_bundle(source_text: str, tmp_path: Path, shape: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", source_text, **SHAPES[shape])
    (tmp_path / "texts.txt").write_text(source_text)
    for exporter in ("torchscript", "dynamo"):
        arguments = [str(checkpoint), str(tmp_path / exporter), "--validate", str(tmp_path / "texts.txt")]
        assert main([*arguments, "--exporter", exporter]) == 0
    assert operators(tmp_path / "dynamo/exit-3.onnx") == operators(tmp_path / "torchscript/exit-3.onnx")
    bundles = {exporter: open_bundle(tmp_path / exporter) for exporter in ("torchscript", "dynamo")}
    for depth in (1, 3):
        expected = torch_encoder(load_checkpoint(checkpoint), depth, max_tokens=128)(TEXTS)
        for exporter, bundle in bundles.items():
            rows = Encoder(bundle).encode(TEXTS, depth)
            assert (rows * expected).sum(axis=1).min() > 0.995, exporter
    gpu = bundles["dynamo"].gpu
    assert gpu is not None
    bags = Encoder(bundles["dynamo"]).encode(TEXTS) if gpu.residual else None
    halves = GraphExit(bundles["dynamo"], gpu).encode(TEXTS, bags=bags)
    assert (halves * expected).sum(axis=1).min() > 0.9999


def test_a_reranker_reads_alike_by_both(exported: Exported, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    size = json.loads((exported.checkpoint / "config.json").read_text())["vocab_size"]
    torch.manual_seed(2)
    config = reranker_config(size, [1, 3], training={"question_tokens": 24, "code_tokens": 64})
    Reranker(config).save_pretrained(checkpoint)
    shutil.copy(exported.checkpoint / "tokenizer.json", checkpoint / "tokenizer.json")
    read = {}
    for exporter in ("torchscript", "dynamo"):
        bundle = tmp_path / exporter
        shutil.copytree(exported.bundle, bundle)
        arguments = [str(checkpoint), str(bundle), "--exits", "1", "3", "--exporter", exporter]
        assert reranker.main(arguments) == 0
        runtime = Encoder(open_bundle(bundle)).reranker()
        assert runtime is not None
        read[exporter] = runtime.token_vectors(list(runtime.tokens(TEXTS[0], 64).ids))
        assert operators(bundle / "reranker-3.onnx")["MultiHeadAttention"] == 2
    for depth, vectors in read["dynamo"].items():
        np.testing.assert_allclose(vectors, read["torchscript"][depth], atol=1e-4)
