"""What rounded weights shift is taken off the biases, and `rounded` is what the quantiser does."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from export.bias import corrected_biases
from export.fused import FusedLayers
from export.outliers import loud_neurons
from export.quantise import quantised, rounded
from export.stored import StoredLinear, Weightless
from model.reranker import Reranker
from tests.export.tiny_checkpoint import reranker_config

TEXTS = [[(7 * at + step) % 300 for at in range(20 + step)] for step in range(30)]


def _model() -> Reranker:
    """A reranker one of whose channels is large in every text, as published encoders have them."""
    torch.manual_seed(3)
    config = reranker_config(300, [2])
    model = Reranker(config).eval()
    with torch.no_grad():
        for layer in model.blocks:
            layer.attention_layernorm.bias[5] = 30.0
            layer.output_layernorm.bias[5] = 30.0
    return model


def _rounded_states(fused: FusedLayers, given: Tensor) -> Tensor:
    """What `fused` makes of states once its weights are those of int8."""
    again = copy.deepcopy(fused)
    with torch.inference_mode():
        for product in again.modules():
            if isinstance(product, StoredLinear):
                stored = product.stored
                weight = rounded(stored.make())
                product.stored = replace(stored, make=lambda weight=weight: weight)
        states: Tensor = again(given, torch.ones(given.shape[:2]))
        return states


def test_states_are_nearer_with_corrected_biases() -> None:
    model = _model()
    loud = loud_neurons(model, TEXTS)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    row = torch.tensor([TEXTS[4]])
    with torch.inference_mode():
        begin = model.embedding_norm(model.embed_tokens(row) + model.embed_positions.weight[: row.shape[1]])
        *_, (_, wanted) = model.states(row, torch.ones_like(row), 2)
    plain = FusedLayers(model.config, copy.deepcopy(model).blocks, 64, loud)
    off = (_rounded_states(plain, begin) - wanted).norm()
    with corrected_biases(model, TEXTS, loud):
        less = (_rounded_states(FusedLayers(model.config, model.blocks, 64, loud), begin) - wanted).norm()
    assert less < 0.7 * off
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_a_rounded_matrix_is_what_the_quantiser_leaves(tmp_path: Path) -> None:
    weight = (
        torch.randn(48, 40, generator=torch.Generator().manual_seed(1)) * torch.linspace(0.1, 9, 48)[:, None]
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"], name="product")],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 48])],
        [numpy_helper.from_array(np.ascontiguousarray(weight.T.numpy()), "weight")],
    )
    file = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    made = onnx.load(quantised(Weightless(file, {})))
    stored = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    zero = stored["weight_zero_point"].astype(np.float32)
    left = (stored["weight_quantized"].astype(np.float32) - zero) * stored["weight_scale"]
    assert np.allclose(left.T, rounded(weight).numpy(), atol=1e-5)
