"""Precisions: int8 for CPUs and fp16 for GPUs, a weight at a time.

The matrices in int8 are to the bit what onnxruntime's quantiser makes of them, which needs memory for the
whole model several times over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from bundle.static import quantise_rows
from export.stored import Weightless, without_inputs
from export.weights import SharedWeights
from modstar_lsp.encoder.runtime import onnxruntime as ort

# A Gather from fewer rows than this is no embedding table.
LEAST_TABLE_ROWS = 256
# A product with fewer rows or columns gains nothing by int8.
LEAST_SIDE = 32
# Steps on each side of zero: seven bits. Without VNNI an x86 CPU adds pairs of products in 16 bits: eight-bit
# weights make the sums saturate, at 3 % error a product against 1 % by rounding (simulated on 4 layers of
# width 256).
STEPS = 64
# Of what onnxruntime does to a graph. An Add and a norm in one operator took a fifth more of a processor: 60
# texts at six layers of width 384 .435 s for .356 s.
SLOWER = ["SkipLayerNormFusion"]


def quantised(graph: Weightless) -> Path:
    """int8 copy of an fp32 graph: constant matrices with a scale a column, embeddings with a scale a row."""
    model = onnx.load(graph.file)
    path = graph.file.with_name(f"{graph.file.stem}_int8.onnx")
    with SharedWeights(path.with_suffix(".data")) as weights:
        _quantise_products(model.graph, graph, weights)
    _turn_heads(model.graph)
    quantise_embedding_rows(model)
    onnx.save(model, path)
    return path


class _Product(NamedTuple):
    """A MatMul by a constant matrix, and the Add of a bias to it if there is one that alone reads it.

    weight: the matrix's name. bias: the bias's, or "".
    """

    node: NodeProto
    weight: str
    add: NodeProto | None
    bias: str


def _quantise_products(graph: GraphProto, stored: Weightless, weights: SharedWeights) -> None:
    """Put onnxruntime's operator for int8 in the place of all products that are worth it."""
    inside = {tensor.name: tensor for tensor in graph.initializer}
    done: set[str] = set()
    for product in _products(graph, stored):
        name = product.weight
        parts = [f"{name}_{part}" for part in ("quantized", "scale", "zero_point")]
        _replace(graph, product, parts)
        if name in done:
            continue
        done.add(name)
        values = stored.values(name) if name in stored.weights else numpy_helper.to_array(inside[name])
        rows, scales = quantised_columns(values)
        contents: list[NDArray[Any]] = [rows, scales, np.zeros(len(scales), np.int8)]
        for part, content in zip(parts, contents, strict=True):
            weights.keep(graph.initializer.add(name=part), content)
    without_inputs(graph, stored.weights)
    for name in stored.weights.keys() - done:
        weights.keep(graph.initializer.add(name=name), stored.values(name))
    read = {name for node in graph.node for name in node.input}
    for name in done & inside.keys() - read:
        graph.initializer.remove(inside[name])


def _turn_heads(graph: GraphProto) -> None:
    """Have the products of one row a text hold their weights as all others do, [in, out]."""
    for node in graph.node:
        turned = [one for one in node.attribute if one.name == "transB" and one.i]
        weight = next((one for one in graph.initializer if one.name in node.input[1:2]), None)
        if node.op_type == "Gemm" and turned and weight is not None:
            values = np.ascontiguousarray(numpy_helper.to_array(weight).T)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
            turned[0].i = 0


def _products(graph: GraphProto, stored: Weightless) -> list[_Product]:
    """The products that are worth int8: by wide enough weights, of each token.

    Left in fp32 are those of two activations; narrow ones; and those of one row a text, the heads' (Gemm):
    they cost nothing, and all of their error would be in the vector.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes |= {name: weight.shape for name, weight in stored.weights.items()}
    # An exporter has equal weights once, under the name of one of them.
    same = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in shapes
    }
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        weight = same.get(node.input[1], node.input[1]) if node.op_type == "MatMul" else ""
        shape = shapes.get(weight, ())
        if len(shape) != 2 or min(shape) < LEAST_SIDE:
            continue
        after = readers.get(node.output[0], [])
        add = after[0] if len(after) == 1 and after[0].op_type == "Add" else None
        biases = [
            name for name in (add.input if add else ()) if shapes.get(same.get(name, name)) == shape[1:]
        ]
        found.append(_Product(node, weight, add, biases[0]) if biases else _Product(node, weight, None, ""))
    return found


def _replace(graph: GraphProto, product: _Product, parts: Sequence[str]) -> None:
    """One operator for a product and its bias. parts: names of the weight in int8, scales, zero points."""
    node, last = product.node, product.add or product.node
    integer = helper.make_node(
        "DynamicQuantizeMatMul",
        [node.input[0], *parts, *([product.bias] if product.bias else [])],
        list(last.output),
        name=f"{node.name}_quant",
        domain="com.microsoft",
    )
    graph.node.insert(list(graph.node).index(last), integer)
    graph.node.remove(node)
    if product.add:
        graph.node.remove(product.add)


def quantised_columns(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(int8, scales [out]) of a weight [in, out]: to the bit what onnxruntime's quantiser makes of it."""
    scales = (np.abs(weight).max(axis=0) / np.float32(STEPS)).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    return np.rint(weight / scales).astype(np.int8), scales


def rounded(weight: Tensor) -> Tensor:
    """The values that `quantised` leaves of a matrix [out, in]: seven bits and a sign, a scale a row."""
    scales = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / STEPS
    return (weight / scales).round() * scales


def optimised(graph: Path) -> Path:
    """The graph as onnxruntime would rewrite it at load, so that the runtime can skip that."""
    path = graph.with_name(f"{graph.stem}_optimised.onnx")
    options = ort.SessionOptions()
    # The level above bakes in the layouts of this very CPU.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER)
    return path


def to_fp16(graph: Weightless) -> Path:
    """fp16 copy of an fp32 graph, with fp32 vectors out, its weights in a file beside it."""
    from onnxruntime.transformers.float16 import convert_float_to_float16, convert_np_to_float16

    path = graph.file.with_name(f"{graph.file.stem}_fp16.onnx")
    model = onnx.load(graph.file)
    outside = [one.name for one in (*model.graph.input, *model.graph.output) if one.name not in graph.weights]
    model = convert_float_to_float16(model, keep_io_types=outside, disable_shape_infer=True)
    without_inputs(model.graph, graph.weights)
    with SharedWeights(path.with_suffix(".data")) as weights:
        for name in graph.weights:
            values = convert_np_to_float16(graph.values(name))
            weights.keep(model.graph.initializer.add(name=name), values)
    onnx.save(model, path)
    return path


def quantise_embedding_rows(model: ModelProto) -> int:
    """Replace each fp32 embedding lookup by int8 rows times a scale per row; the number replaced.

    onnxruntime's own quantiser has one scale for the whole table, which ruins it when rows differ in length.
    """
    graph = model.graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    replaced = 0
    for node in list(graph.node):
        table = initializers.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != TensorProto.FLOAT or len(table.dims) != 2:
            continue
        if table.dims[0] < LEAST_TABLE_ROWS:
            continue
        rows, scales = quantise_rows(numpy_helper.to_array(table))
        name, ids, out = table.name, node.input[1], node.output[0]
        lookup = [
            helper.make_node("Gather", [f"{name}.rows", ids], [f"{out}.rows"], name=f"{node.name}.rows"),
            helper.make_node(
                "Gather", [f"{name}.scales", ids], [f"{out}.scales"], name=f"{node.name}.scales"
            ),
            helper.make_node(
                "Cast", [f"{out}.rows"], [f"{out}.cast"], name=f"{node.name}.cast", to=TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{out}.cast", f"{out}.scales"], [out], name=f"{node.name}.scaled"),
        ]
        graph.initializer.remove(table)
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}.rows"))
        graph.initializer.append(numpy_helper.from_array(scales[:, None], f"{name}.scales"))
        position = list(graph.node).index(node)
        graph.node.remove(node)
        for offset, new in enumerate(lookup):
            graph.node.insert(position + offset, new)
        replaced += 1
    return replaced
