"""Weights converted one at a time come out as by onnxruntime's own tools, which take a whole graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.checkpoint import load_checkpoint
from export.graphs import export_fp32
from export.quantise import optimised, quantise_embedding_rows, quantised, to_fp16
from export.stored import Weightless, without_inputs
from tests.export.tiny_checkpoint import EXITS, Exported

DEEPEST = EXITS[-1]
IDS = np.array([[5, 40, 41, 7, 300, 12, 9], [6, 8, 250, 31, 0, 0, 0]])
MASK = np.array([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def graph(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Weightless:
    """The deepest exit as it is traced."""
    model = load_checkpoint(exported.checkpoint).model
    loud = [torch.arange(8) for _ in model.blocks]
    return export_fp32(model, DEEPEST, 128, loud, tmp_path_factory.mktemp("traced"))


@pytest.fixture(scope="module")
def whole(graph: Weightless) -> Path:
    """The same in fp32 with its weights inside."""
    model = onnx.load(graph.file)
    for name in graph.weights:
        model.graph.initializer.append(numpy_helper.from_array(graph.values(name), name))
    without_inputs(model.graph, graph.weights)
    path = graph.file.with_name("whole.onnx")
    onnx.save(model, path)
    return path


def vectors(graph: Path) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"input_ids": IDS, "attention_mask": MASK})[0]
    return found


def contents(graph: Path) -> Counter[bytes]:
    return Counter(numpy_helper.to_array(one).tobytes() for one in onnx.load(graph).graph.initializer)


def operators(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_traced_graph_names_the_matrices_of_its_layers_and_holds_none(graph: Weightless) -> None:
    model = onnx.load(graph.file)
    assert len(graph.weights) == 4 * DEEPEST
    assert {one.name for one in model.graph.input} == {"input_ids", "attention_mask", *graph.weights}
    large = [one.name for one in model.graph.initializer if np.prod(one.dims) >= 64 * 64]
    assert large == ["truncated.embed_tokens.weight"]


def test_int8_is_to_the_bit_that_of_onnxruntimes_quantiser(graph: Weightless, whole: Path) -> None:
    model = onnx.load(whole)
    small = {one.name for one in model.graph.initializer if min(one.dims, default=0) < 32}
    left = [node.name for node in model.graph.node if small & set(node.input)]
    theirs = whole.with_name("theirs.onnx")
    quantize_dynamic(
        whole,
        theirs,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[
            *left,
            *(f"{node.name}_MatMul" for node in model.graph.node if node.op_type == "Gemm"),
        ],
        extra_options={"WeightSymmetric": True, "MatMulConstBOnly": True},
    )
    with_rows = onnx.load(theirs)
    quantise_embedding_rows(with_rows)
    onnx.save(with_rows, theirs)
    ours = optimised(quantised(graph))
    theirs = optimised(theirs)
    assert operators(onnx.load(ours))["DynamicQuantizeMatMul"] == 4 * DEEPEST
    assert contents(ours) == contents(theirs)
    assert np.array_equal(vectors(ours), vectors(theirs))


def test_fp16_is_that_of_onnxruntimes_converter(graph: Weightless, whole: Path) -> None:
    theirs = whole.with_name("theirs-fp16.onnx")
    onnx.save(
        convert_float_to_float16(onnx.load(whole), keep_io_types=True, disable_shape_infer=True), theirs
    )
    ours = to_fp16(graph)
    assert contents(ours) == contents(theirs)
    assert operators(onnx.load(ours)) == operators(onnx.load(theirs))
    assert np.array_equal(vectors(ours), vectors(theirs))
