"""Layers told in operators that onnxruntime has kernels for; same weights, same states.

Each operator is told twice, once for each of torch's exporters: by `symbolic` where TorchScript traces, in
the graph itself where `torch.export` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.outliers import SplitMLP
from export.stored import StoredLinear
from model.config import ModularStarConfig
from model.modules import Layer, SelfAttention, padding_bias, rotary_table, rotate


class FusedLayers(nn.Module):
    """Some consecutive layers of an encoder, their loud neurons apart: [n, length, hidden] to the same."""

    def __init__(
        self, config: ModularStarConfig, layers: Iterable[Layer], max_tokens: int, loud: Sequence[Tensor]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        gelu = GELUS[config.activation]
        self.mlps = nn.ModuleList(
            SplitMLP(layer.mlp, apart, gelu, f"{number}.mlp")
            for number, (layer, apart) in enumerate(zip(self.blocks(), loud, strict=False))
        )
        self.qkv = nn.ModuleList(
            _together(layer.self_attn, f"{number}.qkv") for number, layer in enumerate(self.blocks())
        )
        self.o_proj = nn.ModuleList(
            _stored(layer.self_attn.o_proj, f"{number}.o_proj") for number, layer in enumerate(self.blocks())
        )
        self.rotary: tuple[Tensor, Tensor] | None = None
        rotary = rotary_table(config, max_tokens, torch.device("cpu"))
        if rotary is not None:
            cos, sin = (table[:, : table.shape[1] // 2].contiguous() for table in rotary)
            self.rotary = cos, sin

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        n, length, _ = states.shape
        bias = padding_bias(attention_mask, states.dtype).expand(n, 1, length, length)
        for number, (layer, mlp) in enumerate(zip(self.blocks(), self.mlps, strict=True)):
            attended = self.attention(number, layer.self_attn, layer.input_layernorm(states), bias)
            states = layer.attention_layernorm(states + attended)
            changed = mlp(layer.post_attention_layernorm(states))
            states = layer.output_layernorm(states + changed)
        return states

    def blocks(self) -> Iterable[Layer]:
        """The layers, of which the norms are used; what they multiply by is stored."""
        return cast(Iterable[Layer], self.layers)

    def attention(self, number: int, layer: SelfAttention, states: Tensor, bias: Tensor) -> Tensor:
        n, length, _ = states.shape
        wide, narrow = layer.heads * layer.width, layer.groups * layer.width
        q, k, v = self.qkv[number](states).split((wide, narrow, narrow), dim=-1)
        if self.rotary is not None:
            q = fused_rotary(q, *self.rotary, layer.heads)
            k = fused_rotary(k, *self.rotary, layer.groups)
        if layer.groups != layer.heads:  # the fused operator wants a key for each query head
            shape = (n, length, layer.groups, layer.heads // layer.groups, layer.width)
            k, v = (
                part.view(n, length, layer.groups, 1, layer.width).expand(shape).reshape(n, length, wide)
                for part in (k, v)
            )
        attended: Tensor = self.o_proj[number](fused_attention(q, k, v, bias, layer.heads))
        return attended


def _stored(product: nn.Linear, name: str) -> StoredLinear:
    return StoredLinear(name, lambda: product.weight, product.in_features, product.bias)


def _together(layer: SelfAttention, name: str) -> StoredLinear:
    """Queries, keys and values by one product."""
    parts = (layer.q_proj, layer.k_proj, layer.v_proj)
    bias = torch.cat([part.bias for part in parts])
    return StoredLinear(name, lambda: torch.cat([part.weight for part in parts]), parts[0].in_features, bias)


def _operator(name: str, like: Tensor, inputs: Sequence[Tensor | None], **attributes: int) -> Tensor:
    """A node com.microsoft::`name` in a graph of `torch.export`, whose output is of the shape of `like`."""
    symbolic = torch.onnx.ops.symbolic
    operator = f"com.microsoft::{name}"
    return symbolic(operator, inputs, {**attributes}, dtype=like.dtype, shape=like.shape, version=1)


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v on [n, length, heads * width]: com.microsoft::MultiHeadAttention."""
    if torch.compiler.is_exporting():
        return _operator("MultiHeadAttention", q, (q, k, v, None, None, bias), num_heads=heads)
    mixed: Tensor = FusedAttention.apply(q, k, v, bias, heads)
    return mixed


def fused_rotary(states: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """Rotary positions over [n, length, heads * width]: com.microsoft::RotaryEmbedding."""
    if torch.compiler.is_exporting():
        first = torch.zeros(1, dtype=torch.int64)
        attributes = {"interleaved": 0, "num_heads": heads, "rotary_embedding_dim": 0}
        return _operator("RotaryEmbedding", states, (states, first, cos, sin), **attributes)
    turned: Tensor = FusedRotary.apply(states, cos, sin, heads)
    return turned


def fused_gelu(states: Tensor) -> Tensor:
    """GELU by erf: com.microsoft::Gelu."""
    if torch.compiler.is_exporting():
        return _operator("Gelu", states, (states,))
    activated: Tensor = FusedGelu.apply(states)
    return activated


def fused_gelu_tanh(states: Tensor) -> Tensor:
    """GELU by tanh: com.microsoft::FastGelu. (onnxruntime's optimiser would fuse it into the erf form.)"""
    if torch.compiler.is_exporting():
        return _operator("FastGelu", states, (states,))
    activated: Tensor = FusedGeluTanh.apply(states)
    return activated


GELUS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": fused_gelu, "gelu_tanh": fused_gelu_tanh}


def _heads_first(states: Tensor, heads: int) -> Tensor:
    n, length, width = states.shape
    return states.view(n, length, heads, width // heads).transpose(1, 2)


class FusedAttention(torch.autograd.Function):
    """`fused_attention` for TorchScript."""

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
    """`fused_rotary` for TorchScript."""

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
    """`fused_gelu` for TorchScript."""

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return F.gelu(states)

    @staticmethod
    def symbolic(g: Any, states: Any) -> Any:
        return g.op("com.microsoft::Gelu", states).setType(states.type())


class FusedGeluTanh(torch.autograd.Function):
    """`fused_gelu_tanh` for TorchScript."""

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return F.gelu(states, approximate="tanh")

    @staticmethod
    def symbolic(g: Any, states: Any) -> Any:
        return g.op("com.microsoft::FastGelu", states).setType(states.type())
