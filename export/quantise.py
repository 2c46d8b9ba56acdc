"""Precisions: int8 for CPUs (matrices by Optimum, embedding rows by ourselves) and fp16 for GPUs."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor
from transformers import PretrainedConfig

from bundle.static import quantise_rows
from export.optimum_onnx import AutoQuantizationConfig, ORTQuantizer
from modstar_lsp.encoder.runtime import onnxruntime as ort

# A Gather from fewer rows than this is no embedding table.
LEAST_TABLE_ROWS = 256
# A product with fewer rows or columns gains nothing by int8.
LEAST_SIDE = 32
# Steps on each side of zero, see `quantised`.
STEPS = 64


def quantised(graph: Path) -> Path:
    """int8 copy of an fp32 graph: constant matrices with a scale a column, embeddings with a scale a row."""
    settings = AutoQuantizationConfig.avx512_vnni(
        is_static=False,
        per_channel=True,
        operators_to_quantize=["MatMul"],
        nodes_to_exclude=_unsuitable_matmuls(graph),
    )
    # Seven bits. Without VNNI an x86 CPU adds pairs of products in 16 bits: eight-bit weights make the sums
    # saturate, at 3 % error a product against 1 % by rounding (simulated on 4 layers of width 256).
    settings.reduce_range = True
    ORTQuantizer(graph, config=PretrainedConfig()).quantize(
        settings, save_dir=graph.parent, file_suffix="int8"
    )
    path = graph.with_name(f"{graph.stem}_int8.onnx")
    model = onnx.load(path)
    quantise_embedding_rows(model)
    onnx.save(model, path)
    return path


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
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return path


def to_fp16(graph: Path) -> Path:
    """fp16 copy of an fp32 graph, with fp32 vectors out, its weights in a file beside it.

    Shapes are inferred from file to file: within memory the graph would pass through one message of
    protobuf, which ends at 2 GiB.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    shaped, path = (graph.with_name(f"{graph.stem}_{what}.onnx") for what in ("shaped", "fp16"))
    onnx.shape_inference.infer_shapes_path(str(graph), str(shaped))
    halved = convert_float_to_float16(onnx.load(shaped), keep_io_types=True, disable_shape_infer=True)
    onnx.save(halved, path, save_as_external_data=True, location=f"{path.name}.data")
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


def _unsuitable_matmuls(graph: Path) -> list[str]:
    """Names of the products that stay in fp32.

    Of two activations, which Optimum would quantise as well; narrow ones; and those of one row a text, the
    heads' (Gemm, which becomes a MatMul before it is quantised): they cost nothing, and all of their error
    would be in the vector.
    """
    model = onnx.load(graph, load_external_data=False)
    side = {tensor.name: min(tensor.dims, default=0) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            side[node.output[0]] = min(node.attribute[0].t.dims, default=0)
        elif node.op_type == "Identity" and node.input[0] in side:
            side[node.output[0]] = side[node.input[0]]
    narrow = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and side.get(node.input[1], 0) < LEAST_SIDE
    ]
    return narrow + [f"{node.name}_MatMul" for node in model.graph.node if node.op_type == "Gemm"]
