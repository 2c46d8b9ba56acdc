"""Deeper exits as ONNX: a truncated graph each through Optimum, int8, one file of weights for all.

truncated torch module -> loud neurons apart -> fused fp32 graph
    -> int8 matrices and embedding rows -> optimised -> weights outside
    -> fp16, the deepest exit alone, for GPUs -> weights outside
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from optimum.exporters.onnx import OnnxConfig, export_models
from optimum.utils import DummyTextInputGenerator, NormalizedTextConfig
from torch import Tensor, nn
from torch.nn import functional as F

from export.checkpoint import Checkpoint
from export.outliers import SplitMLP, loud_neurons
from export.quantise import optimised, quantised, to_fp16
from export.weights import SharedWeights
from train.model import (
    Layer,
    ModularStarConfig,
    ModularStarEncoder,
    SelfAttention,
    TruncatedEncoder,
    input_states,
    padding_bias,
    rotary_table,
    rotate,
)

WEIGHTS, WEIGHTS_FP16 = "weights.bin", "weights-fp16.bin"

OPSET = 18

# Shapes for tracing: more than one text and an odd length, so that nothing is mistaken for a constant.
TRACE_SHAPES = {"batch_size": 2, "sequence_length": 17}


def write_graphs(
    checkpoint: Checkpoint, depths: list[int], max_tokens: int, fp16: bool, texts: Sequence[str], folder: Path
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Write the graphs of `depths` and their weights; the manifest's `exits` and `gpu` entries.

    texts: code and prose like that to be encoded, in which the loud neurons are found.
    """
    dimension = checkpoint.config.dimension
    exits: list[dict[str, Any]] = []
    gpu = None
    with tempfile.TemporaryDirectory(prefix=".graphs.", dir=folder.parent) as scratch:
        tokens = [found.ids for found in checkpoint.tokenizer(max_tokens).encode_batch(list(texts))]
        loud = loud_neurons(checkpoint.model, tokens)
        graphs = export_fp32(checkpoint.model, depths, max_tokens, loud, Path(scratch))
        with SharedWeights(folder / WEIGHTS) as weights:
            for depth, graph in graphs.items():
                file = f"exit-{depth}.onnx"
                weights.pack(optimised(quantised(graph)), folder / file)
                exits.append(
                    {
                        "depth": depth,
                        "dimension": dimension,
                        "precision": "int8",
                        "file": file,
                        "data": WEIGHTS,
                        "residual": checkpoint.config.residual,
                        "query_ground": checkpoint.config.query_ground,
                    }
                )
        if fp16:
            deepest = depths[-1]
            file = f"exit-{deepest}-fp16.onnx"
            with SharedWeights(folder / WEIGHTS_FP16) as weights:
                weights.pack(to_fp16(graphs[deepest]), folder / file)
            gpu = {**exits[-1], "precision": "fp16", "file": file, "data": WEIGHTS_FP16}
    return exits, gpu


def export_fp32(
    model: ModularStarEncoder, depths: list[int], max_tokens: int, loud: list[Tensor], folder: Path
) -> dict[int, Path]:
    """One fp32 graph a depth, its attention in onnxruntime's fused operators."""
    modules = {depth: FusedExit(model.truncated(depth), max_tokens, loud).eval() for depth in depths}
    files = [f"exit-{depth}.onnx" for depth in depths]
    # Optimum's higher-level calls refuse model classes from outside transformers.
    export_models(
        {f"exit-{depth}": (module, ExitOnnxConfig(model.config)) for depth, module in modules.items()},
        output_dir=folder,
        opset=OPSET,
        output_names=files,
        input_shapes=TRACE_SHAPES,
        device="cpu",
    )
    return {depth: folder / file for depth, file in zip(depths, files, strict=True)}


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

    def __init__(self, exit: TruncatedEncoder, max_tokens: int, loud: list[Tensor]) -> None:
        super().__init__()
        self.config = cast(ModularStarConfig, exit.config)
        self.exit = exit
        gelu = GELUS[self.config.activation].apply
        layers = cast(Iterable[Layer], exit.layers)
        self.mlps = nn.ModuleList(
            SplitMLP(layer.mlp, apart, gelu) for layer, apart in zip(layers, loud, strict=False)
        )
        self.rotary = None
        rotary = rotary_table(self.config, max_tokens, exit.embed_tokens.weight.device)
        if rotary is not None:
            self.rotary = [table[:, : table.shape[1] // 2].contiguous() for table in rotary]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, bag: Tensor | None = None) -> Tensor:
        n, length = input_ids.shape
        states = input_states(self.exit, input_ids)
        bias = padding_bias(attention_mask, states.dtype).expand(n, 1, length, length)
        for layer, mlp in zip(cast(Iterable[Layer], self.exit.layers), self.mlps, strict=True):
            attended = self.attention(layer.self_attn, layer.input_layernorm(states), bias)
            states = layer.attention_layernorm(states + attended)
            changed = mlp(layer.post_attention_layernorm(states))
            states = layer.output_layernorm(states + changed)
        vectors: Tensor = self.exit.head(self.exit.norm(states), attention_mask, bag)
        return vectors

    def attention(self, layer: SelfAttention, states: Tensor, bias: Tensor) -> Tensor:
        n, length, _ = states.shape
        wide, narrow = layer.heads * layer.width, layer.groups * layer.width
        weight = torch.cat((layer.q_proj.weight, layer.k_proj.weight, layer.v_proj.weight))
        offset = torch.cat((layer.q_proj.bias, layer.k_proj.bias, layer.v_proj.bias))
        q, k, v = F.linear(states, weight, offset).split((wide, narrow, narrow), dim=-1)
        if self.rotary is not None:
            q = FusedRotary.apply(q, *self.rotary, layer.heads)
            k = FusedRotary.apply(k, *self.rotary, layer.groups)
        if layer.groups != layer.heads:  # the fused operator wants a key for each query head
            shape = (n, length, layer.groups, layer.heads // layer.groups, layer.width)
            k, v = (
                part.view(n, length, layer.groups, 1, layer.width).expand(shape).reshape(n, length, wide)
                for part in (k, v)
            )
        return layer.o_proj(FusedAttention.apply(q, k, v, bias, layer.heads))


def _heads_first(states: Tensor, heads: int) -> Tensor:
    n, length, width = states.shape
    return states.view(n, length, heads, width // heads).transpose(1, 2)


class FusedAttention(torch.autograd.Function):
    """softmax(q k^T / sqrt(d) + bias) v on [n, length, heads * width]: com.microsoft::MultiHeadAttention."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, heads: int) -> Tensor:
        q4, k4, v4 = (_heads_first(part, heads) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q4, k4, v4, attn_mask=bias)
        return mixed.transpose(1, 2).reshape(q.shape)

    @staticmethod
    def symbolic(g: Any, q: Any, k: Any, v: Any, bias: Any, heads: int) -> Any:
        absent = g.op("prim::Constant")
        absent.setType(torch._C.OptionalType.ofTensor())
        fused = g.op(
            "com.microsoft::MultiHeadAttention", q, k, v, absent, absent, bias, num_heads_i=heads
        )  # fmt: skip
        return fused.setType(q.type())


class FusedRotary(torch.autograd.Function):
    """Rotary positions over [n, length, heads * width]: com.microsoft::RotaryEmbedding."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
        length = states.shape[1]
        cos, sin = (torch.cat((table[:length], table[:length]), dim=-1) for table in (cos, sin))
        turned = rotate(_heads_first(states, heads), cos, sin)
        return turned.transpose(1, 2).reshape(states.shape)

    @staticmethod
    def symbolic(g: Any, states: Any, cos: Any, sin: Any, heads: int) -> Any:
        first = g.op("Constant", value_t=torch.zeros(1, dtype=torch.int64))
        fused = g.op(
            "com.microsoft::RotaryEmbedding", states, first, cos, sin, interleaved_i=0, num_heads_i=heads,
            rotary_embedding_dim_i=0,
        )  # fmt: skip
        return fused.setType(states.type())


class FusedGelu(torch.autograd.Function):
    """GELU by erf: com.microsoft::Gelu."""

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return F.gelu(states)

    @staticmethod
    def symbolic(g: Any, states: Any) -> Any:
        return g.op("com.microsoft::Gelu", states).setType(states.type())


class FusedGeluTanh(torch.autograd.Function):
    """GELU by tanh: com.microsoft::FastGelu. (onnxruntime's optimiser would fuse it into the erf form.)"""

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return F.gelu(states, approximate="tanh")

    @staticmethod
    def symbolic(g: Any, states: Any) -> Any:
        return g.op("com.microsoft::FastGelu", states).setType(states.type())


GELUS: dict[str, type[torch.autograd.Function]] = {"gelu": FusedGelu, "gelu_tanh": FusedGeluTanh}
