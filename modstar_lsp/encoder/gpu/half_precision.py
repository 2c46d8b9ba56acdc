"""The fp16 graph that a GPU runs, made out of a bundle's int8 graph with the `onnx` package (extra `gpu`).

The int8 graph multiplies by int8 matrices with operators that the CPU alone has. Each becomes a product with
the matrix that it stands for, and all floats are halved. Embedding rows stay int8: looking them up and
scaling them runs anywhere. The weights are no more exact than int8 made them; the activations are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modstar_lsp.encoder.runtime import onnxruntime as _  # noqa: F401  (its reports are forbidden there)

# The inputs of a product that hold its matrix, the scales and zero points of that, and the bias.
_PRODUCTS = {"DynamicQuantizeMatMul": (1, 2, 3, 4), "MatMulIntegerToFloat": (1, 3, 5, 6)}
# What a GPU has no kernel for: when one of them is left, the graph was quantised in a way unknown here.
_CPU_ONLY = {*_PRODUCTS, "DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul", "QAttention"}


def half_precision(graph: Path) -> bytes:
    """The fp16 graph with its weights; float32 in and out, as before.

    Raises ImportError without `onnx`, and ValueError for a graph that is quantised otherwise or has more than
    the 2 GiB that fit into one file: such a bundle brings its own, by `python -m export --fp16`.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(graph)
    _dequantise(model.graph)
    left = sorted({node.op_type for node in model.graph.node} & _CPU_ONLY)
    if left:
        raise ValueError(f"{graph.name} holds {', '.join(left)}, which no GPU runs")
    halved = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
    content: bytes = halved.SerializeToString()
    return content


def _dequantise(graph: Any) -> None:
    """Put float products in the place of all int8 ones."""
    from onnx import helper, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    floats = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DynamicQuantizeLinear"}
    nodes = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            continue  # its reader takes the floats that it read
        if node.op_type not in _PRODUCTS:
            nodes.append(node)
            continue
        inputs = [*node.input, *[""] * 7]
        matrix, scales, zeros, bias = (inputs[place] for place in _PRODUCTS[node.op_type])
        weights = numpy_helper.to_array(tensors[matrix]).astype(np.float32)
        if zeros:
            weights -= numpy_helper.to_array(tensors[zeros]).astype(np.float32)
        weights *= numpy_helper.to_array(tensors[scales])
        graph.initializer.append(numpy_helper.from_array(weights, f"{node.output[0]}.weights"))
        product = f"{node.output[0]}.product" if bias else node.output[0]
        factors = [floats.get(inputs[0], inputs[0]), f"{node.output[0]}.weights"]
        nodes.append(helper.make_node("MatMul", factors, [product], name=product))
        if bias:
            nodes.append(helper.make_node("Add", [product, bias], [node.output[0]], name=node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    used = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(used)
