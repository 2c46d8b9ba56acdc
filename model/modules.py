"""The parts of the encoder: attention, layers, and the heads of its exits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ACTIVATIONS, TERM_FREQUENCY, ModularStarConfig

# Finite, so that a row without any token stays finite, and within the range of fp16.
MASKED = -30000.0


def rotary_table(
    config: ModularStarConfig, length: int, device: torch.device
) -> tuple[Tensor, Tensor] | None:
    """Cosines and sines [length, head_dim], the two halves of a row alike (the rotate-half convention).

    None when positions are learned.
    """
    if config.positions != "rotary":
        return None
    width = config.hidden_size // config.num_attention_heads
    steps = torch.arange(0, width, 2, dtype=torch.float32, device=device) / width
    positions = torch.arange(length, dtype=torch.float32, device=device)
    angles = positions[:, None] * (config.rope_theta**-steps)[None, :]
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn [n, heads, length, head_dim] by the angles of its positions."""
    cos, sin = cos.to(states.dtype), sin.to(states.dtype)
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


def padding_bias(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores, [n, 1, 1, length]: zero at tokens, MASKED at padding."""
    return (1.0 - attention_mask[:, None, None, :].to(dtype)) * MASKED


def layer_norm(config: ModularStarConfig, there: bool) -> nn.Module:
    """A LayerNorm of the encoder's width, or nothing at all where the configuration has none."""
    return nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon) if there else nn.Identity()


class SelfAttention(nn.Module):
    """Grouped-query attention in both directions."""

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.heads = config.num_attention_heads
        self.groups = config.num_key_value_heads
        self.width = config.hidden_size // config.num_attention_heads
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.width)
        self.k_proj = nn.Linear(config.hidden_size, self.groups * self.width)
        self.v_proj = nn.Linear(config.hidden_size, self.groups * self.width)
        self.o_proj = nn.Linear(self.heads * self.width, config.hidden_size)

    def forward(self, states: Tensor, bias: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        n, length, _ = states.shape
        q = self.split(self.q_proj(states), self.heads)
        k = self.split(self.k_proj(states), self.groups)
        v = self.split(self.v_proj(states), self.groups)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        attended = self.attend(q, self.repeat(k), self.repeat(v), bias)
        return self.o_proj(attended.transpose(1, 2).reshape(n, length, self.heads * self.width))

    def split(self, states: Tensor, heads: int) -> Tensor:
        n, length, _ = states.shape
        return states.view(n, length, heads, self.width).transpose(1, 2)

    def repeat(self, states: Tensor) -> Tensor:
        if self.groups == self.heads:
            return states
        n, groups, length, width = states.shape
        states = states[:, :, None].expand(n, groups, self.heads // groups, length, width)
        return states.reshape(n, self.heads, length, width)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        if q.is_cuda:  # fused, where nothing of the size length x length is kept for the way back
            dropout = self.dropout if self.training else 0.0
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), dropout_p=dropout)
        # Plain matmuls: in bf16 on a CPU they beat the fused kernel (its softmax is not vectorised for bf16).
        scores = (q * self.width**-0.5) @ k.transpose(2, 3) + bias
        weights = scores.softmax(dim=-1)
        if self.dropout and self.training:
            weights = F.dropout(weights, self.dropout)
        return weights.to(v.dtype) @ v


class MLP(nn.Module):
    """c_proj(activation(c_fc(x))), not gated."""

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.hidden_size, config.intermediate_size)
        self.c_proj = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, states: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(states)))


class Layer(nn.Module):
    """norm "pre":  x += attention(norm(x)); x += mlp(norm(x))
    norm "post": x = norm(x + attention(x)); x = norm(x + mlp(x))
    """

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        pre, post = config.norm == "pre", config.norm == "post"
        self.input_layernorm = layer_norm(config, pre)
        self.self_attn = SelfAttention(config)
        self.attention_layernorm = layer_norm(config, post)
        self.post_attention_layernorm = layer_norm(config, pre)
        self.mlp = MLP(config)
        self.output_layernorm = layer_norm(config, post)
        self.dropout = nn.Dropout(config.residual_dropout)

    def forward(self, states: Tensor, bias: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        attended = self.self_attn(self.input_layernorm(states), bias, rotary)
        states = self.attention_layernorm(states + self.dropout(attended))
        changed = self.mlp(self.post_attention_layernorm(states))
        return self.output_layernorm(states + self.dropout(changed))


class ExitHead(nn.Module):
    """Token states of one depth -> unit vectors: norm, project, pool over the tokens, normalise.

    pooling "mean" is the plain mean, "first" and "last" are one token's state.

    residual: the vector is added, times a learned gain, to that of exit 0, and the sum made of unit length.
    So every exit starts where exit 0 stands, and all of them share its space by construction.
    """

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.pooling = config.pooling
        self.norm = layer_norm(config, config.head_norm)
        width = config.hidden_size
        self.mix = nn.Linear(width, width) if config.head == "mlp" else None
        self.activation = ACTIVATIONS[config.head_activation]
        self.proj = nn.Linear(width, config.dimension)
        self.gain = nn.Parameter(torch.ones(())) if config.residual else None

    def forward(self, states: Tensor, attention_mask: Tensor, bag: Tensor | None = None) -> Tensor:
        # The projection is linear and the shares sum to one: after the pooling it is the same, and cheaper.
        vector = F.normalize(self.proj(self.pooled(states, attention_mask)).float(), dim=-1, eps=1e-6)
        if self.gain is None:
            return vector
        assert bag is not None
        return F.normalize(bag + self.gain.float() * vector, dim=-1, eps=1e-6)

    def pooled(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """One state a text, [n, hidden]."""
        states = self.norm(states)
        shares = self.shares(states, attention_mask)
        if self.mix is not None:
            states = self.activation(self.mix(states))
        return (states * shares[:, :, None]).sum(dim=1)

    def shares(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """What each token counts for in the pooled state, [n, length], rows summing to one."""
        mask = attention_mask.to(states.dtype)
        if self.pooling == "first":
            mask = mask * (attention_mask.cumsum(dim=1) == 1)
        elif self.pooling == "last":
            mask = mask * (attention_mask.flip(1).cumsum(dim=1).flip(1) == 1)
        return mask / mask.sum(dim=1, keepdim=True).clamp(min=1.0)


class BagHead(nn.Module):
    """Exit 0: every piece has a row; no norm and no bias, so that all folds into one table.

    The rows are the shared embedding's, weighted and projected, or those of `table`.
    """

    is_word: Tensor

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.tf = config.exit0_tf
        self.table: nn.Parameter | None = None
        if config.exit0_table == "own":
            self.table = nn.Parameter(torch.empty(config.vocab_size, config.dimension))
        else:
            self.token_weight = nn.Parameter(torch.ones(config.vocab_size))
            self.proj = nn.Linear(config.hidden_size, config.dimension, bias=False)
        # 1 for pieces of words and numbers, 0 for specials and punctuation, which exit 0 ignores.
        self.register_buffer("is_word", torch.ones(config.vocab_size))

    def forward(self, embedding: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        same = (input_ids[:, :, None] == input_ids[:, None, :]) & attention_mask[:, None, :].bool()
        tf = same.sum(dim=-1).clamp(min=1).float()
        share = TERM_FREQUENCY[self.tf](tf) / tf * attention_mask  # each of the tf places carries g(tf) / tf
        share = share * self.weight()[input_ids]
        rows = embedding if self.table is None else self.table
        bag = (share[:, None, :] @ rows[input_ids].float()).squeeze(1)
        if self.table is None:
            bag = self.proj(bag)
        return F.normalize(bag.float(), dim=-1, eps=1e-6)

    def weight(self) -> Tensor:
        """What a row counts for, [vocab]."""
        return self.is_word if self.table is not None else self.token_weight * self.is_word

    def fold(self, embedding: Tensor) -> Tensor:
        return self.weight()[:, None] * (self.proj(embedding) if self.table is None else self.table)
