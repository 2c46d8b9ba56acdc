"""Deeper exits as ONNX: a truncated graph each through Optimum, int8, one file of weights for all.

truncated torch module -> loud neurons apart -> biases for int8 -> fused fp32 graph that names its weights
    -> int8 matrices and embedding rows -> optimised -> weights outside
    -> fp16, the deepest exit alone, for GPUs -> weights outside

Weights are converted one at a time: beside the checkpoint's model little memory is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from export.bias import corrected_biases
from export.checkpoint import Checkpoint
from export.fused import FusedLayers
from export.optimum_onnx import DummyTextInputGenerator, NormalizedTextConfig, OnnxConfig, export_models
from export.outliers import loud_neurons
from export.quantise import optimised, quantised, to_fp16
from export.stored import Weightless, weightless
from export.weights import SharedWeights
from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder, TruncatedEncoder, input_states
from model.modules import Layer

WEIGHTS, WEIGHTS_FP16 = "weights.bin", "weights-fp16.bin"

OPSET = 18

# Shapes for tracing: more than one text and an odd length, so that nothing is mistaken for a constant.
TRACE_SHAPES = {"batch_size": 2, "sequence_length": 17}


class Traced(NamedTuple):
    """Graphs with weights outside: one an exit in int8, and the deepest in fp16."""

    exits: dict[int, Path]
    half: Path | None


def trace(
    checkpoint: Checkpoint, depths: list[int], max_tokens: int, fp16: bool, texts: Sequence[str], folder: Path
) -> Traced:
    """Write the graphs of `depths` with their weights to `folder`, the last step that needs the checkpoint.

    texts: code and prose like that to be encoded, in which the loud neurons are found.
    """
    tokens = [found.ids for found in checkpoint.tokenizer(max_tokens).encode_batch(list(texts))]
    loud = loud_neurons(checkpoint.model, tokens)
    for_int8, for_fp16 = folder / "int8", folder / "fp16"
    for_int8.mkdir()
    for_fp16.mkdir()
    with corrected_biases(checkpoint.model, tokens, loud):
        exits = {
            depth: quantised(export_fp32(checkpoint.model, depth, max_tokens, loud, for_int8))
            for depth in depths
        }
    half = to_fp16(export_fp32(checkpoint.model, depths[-1], max_tokens, loud, for_fp16)) if fp16 else None
    return Traced(exits, half)


def write_graphs(
    traced: Traced, config: ModularStarConfig, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Write the bundle's graphs and their weights; the manifest's `exits` and `gpu` entries."""
    exits: list[dict[str, Any]] = []
    with SharedWeights(folder / WEIGHTS) as weights:
        for depth, graph in traced.exits.items():
            file = f"exit-{depth}.onnx"
            weights.pack(optimised(graph), folder / file)
            exits.append(
                {
                    "depth": depth,
                    "dimension": config.dimension,
                    "precision": "int8",
                    "file": file,
                    "data": WEIGHTS,
                    "residual": config.residual,
                    "query_ground": config.query_ground,
                }
            )
    if traced.half is None:
        return exits, None
    file = f"exit-{exits[-1]['depth']}-fp16.onnx"
    with SharedWeights(folder / WEIGHTS_FP16) as weights:
        weights.pack(traced.half, folder / file)
    return exits, {**exits[-1], "precision": "fp16", "file": file, "data": WEIGHTS_FP16}


def export_fp32(
    model: ModularStarEncoder, depth: int, max_tokens: int, loud: list[Tensor], folder: Path
) -> Weightless:
    """The fp32 graph of an exit, its attention in onnxruntime's fused operators."""
    module = FusedExit(model.truncated(depth), max_tokens, loud).eval()
    return export_graph(module, ExitOnnxConfig(model.config), folder / f"exit-{depth}.onnx")


def export_graph(module: nn.Module, config: OnnxConfig, file: Path) -> Weightless:
    """The graph of a module, written to `file` by Optimum. config: what it must know of the module."""
    # Optimum's higher-level calls refuse model classes from outside transformers.
    export_models(
        {file.stem: (module, config)},
        output_dir=file.parent,
        opset=OPSET,
        output_names=[file.name],
        input_shapes=TRACE_SHAPES,
        device="cpu",
        disable_dynamic_axes_fix=True,  # it would run the graph, which has no weights yet
    )
    return weightless(file, module)


class RaggedInputs(DummyTextInputGenerator):
    """Example inputs with a padded text among them, so that tracing meets the mask."""

    SUPPORTED_INPUT_NAMES = ("input_ids", "attention_mask", "bag")

    def generate(self, input_name: str, framework: str = "pt", *dtypes: str, **kinds: str) -> Any:
        if input_name == "bag":
            return torch.ones(self.batch_size, self.normalized_config.dimension)
        if input_name != "attention_mask":
            return super().generate(input_name, framework, *dtypes, **kinds)
        mask = torch.ones(self.batch_size, self.sequence_length, dtype=torch.int64)
        mask[-1, self.sequence_length // 2 :] = 0
        return mask if framework == "pt" else mask.numpy()


class ExitOnnxConfig(OnnxConfig):
    """What Optimum must know about one exit: ids, mask (and exit 0's vector) in, one vector a text out."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (RaggedInputs,)
    DEFAULT_ONNX_OPSET = OPSET

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        axes = {0: "batch_size", 1: "sequence_length"}
        inputs = {"input_ids": dict(axes), "attention_mask": dict(axes)}
        return inputs | ({"bag": {0: "batch_size"}} if self._config.residual else {})

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"sentence_embedding": {0: "batch_size"}}


class FusedExit(nn.Module):
    """A `TruncatedEncoder` told in operators that onnxruntime has kernels for; same weights, same vectors."""

    def __init__(self, truncated: TruncatedEncoder, max_tokens: int, loud: list[Tensor]) -> None:
        super().__init__()
        self.config = cast(ModularStarConfig, truncated.config)
        self.truncated = truncated
        self.layers = FusedLayers(self.config, cast(Iterable[Layer], truncated.layers), max_tokens, loud)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, bag: Tensor | None = None) -> Tensor:
        states = self.layers(input_states(self.truncated, input_ids), attention_mask)
        vectors: Tensor = self.truncated.head(self.truncated.norm(states), attention_mask, bag)
        return vectors
