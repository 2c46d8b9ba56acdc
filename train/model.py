"""ModularStarEncoder: one bidirectional encoder whose every exit is an embedding model.

    input_ids -> embed_tokens -> layers[0] .. layers[d-1] -> (norm, if the last) -> heads[str(d)] -> exit d
    input_ids -> bag of rows, one a piece -> heads["0"]                                           -> exit 0

After Gurioli, Pennino, Monteiro, Gabbrielli, "One Model to Train them All" (arXiv 2503.03008): grouped-query
attention, rotary positions, pre-LayerNorm, GELU-tanh MLP, biases, full attention, a projection head an exit.
Added here: exit 0, and one output space that all exits share, so that a query embedded at any exit can be
compared with code embedded at any other.

The same classes are a BERT-family encoder when `config` says norm "post", positions "learned", activation
"gelu", embedding_norm: train/pretrained.py loads one with its weights.

What an exporter needs to know
------------------------------
* `AutoModel.from_pretrained(folder)` works once this module is imported. Nothing but the base classes of
  transformers is used, so none of its attention or mask machinery is traced.
* `forward(input_ids, attention_mask) -> {depth: float [n, config.dimension]}`, rows of unit length.
* Exit d > 0 alone: `model.truncated(d)`, an `nn.Module` that shares the weights and maps
  (input_ids, attention_mask) to the one tensor [n, dimension]. Its parts are `embed_tokens`,
  `embed_positions` and `embedding_norm` (each may be None), which `input_states` puts together, `layers`
  (d of them), `norm` (None but at the last layer, and there too unless `config.final_norm`), `head`.
* No buffers: the rotary table is computed from `config` in `rotary_table` (a graph may hold it as a constant
  of `max_position_embeddings` rows instead). The additive mask is `padding_bias`, finite on purpose.
* Attention is explicit matmuls, `SelfAttention.attend(q, k, v, bias)` on [n, heads, length, head_dim], the
  key/value heads already repeated: the one method to replace when a graph wants a fused operator.
* Exit 0 needs no graph: `fold_exit0()` is float32 [vocab, dimension], T[v] = w_v * W E_v, zero rows for
  specials and punctuation. A text is normalise(sum over its distinct pieces v of g(tf_v) * T[v]) with g named
  by `config.exit0_tf`: "linear" tf, "log1p" log(1 + tf), "sqrt" tf ** 0.5.
* Residual exits (`config.residual`): exit d is normalise(z_0 + gain_d * head_d(...)), where z_0 is exit 0's
  vector of the same text; a graph takes z_0 as a third input, so that the table is in the bundle once. A
  question is embedded with `config.query_ground` times z_0: so it ranks well an index that is deep in part.
* Nested dimensions: the first m values of a row, normalised again, are an embedding too for every m in
  `config.nested_dimensions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

# Finite, so that a row without any token stays finite, and within the range of fp16.
MASKED = -30000.0


class ModularStarConfig(PretrainedConfig):
    """Shape of the encoder, its exits, and how it was made (`training`: free-form record)."""

    model_type = "modstar"

    def __init__(
        self,
        vocab_size: int = 24576,
        hidden_size: int = 256,
        intermediate_size: int = 1024,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 4,
        num_key_value_heads: int = 2,
        max_position_embeddings: int = 2048,
        rope_theta: float = 10000.0,
        norm_epsilon: float = 1e-5,
        exit_layers: tuple[int, ...] | list[int] = (0, 2, 4),
        dimension: int = 256,
        nested_dimensions: tuple[int, ...] | list[int] = (128, 64),
        exit0_tf: str = "sqrt",
        exit0_table: str = "shared",
        residual: bool = False,
        bag_dropout: float = 0.0,
        query_ground: float = 1.0,
        pooling: str = "gated",
        norm: str = "pre",
        positions: str = "rotary",
        activation: str = "gelu_tanh",
        embedding_norm: bool = False,
        final_norm: bool | None = None,
        head: str = "linear",
        head_activation: str = "leaky_relu",
        head_norm: bool | None = None,
        attention_dropout: float = 0.0,
        residual_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        initializer_range: float = 0.02,
        pad_token_id: int = 0,
        training: dict[str, Any] | None = None,
        **others: Any,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.max_position_embeddings = max_position_embeddings
        self.rope_theta = rope_theta
        self.norm_epsilon = norm_epsilon
        self.exit_layers = sorted(exit_layers)
        self.dimension = dimension
        self.nested_dimensions = sorted(nested_dimensions, reverse=True)
        self.exit0_tf = exit0_tf
        self.exit0_table = exit0_table
        self.residual = residual
        self.bag_dropout = bag_dropout
        self.query_ground = query_ground
        self.pooling = pooling
        self.norm = norm
        self.positions = positions
        self.activation = activation
        self.embedding_norm = embedding_norm
        # Gated pooling reads the lengths of states, which a norm hides; post-norm layers end in one anyway.
        plain = pooling != "gated" and norm == "pre"
        self.final_norm = plain if final_norm is None else final_norm
        self.head = head
        self.head_activation = head_activation
        self.head_norm = plain if head_norm is None else head_norm
        self.attention_dropout = attention_dropout
        self.residual_dropout = residual_dropout
        self.embedding_dropout = embedding_dropout
        self.initializer_range = initializer_range
        self.training = training or {}
        super().__init__(pad_token_id=pad_token_id, **others)

    def check(self) -> None:
        """Raise ValueError, in one line, for a shape that cannot exist."""
        for name in SIZES:
            size = getattr(self, name)
            # An encoder of exit 0 alone has no layers.
            if not isinstance(size, int) or size < (0 if name == "num_hidden_layers" else 1):
                raise ValueError(f"{name} {size!r} is no positive whole number")
        for name in ("attention_dropout", "residual_dropout", "embedding_dropout", "bag_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)!r} must lie in 0..1, without 1")
        if len(set(self.exit_layers)) < len(self.exit_layers):
            raise ValueError(f"exit_layers {self.exit_layers} name an exit twice")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is no multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.positions == "rotary" and (self.hidden_size // self.num_attention_heads) % 2:
            raise ValueError("rotary positions need an even head size")
        if (
            not self.exit_layers
            or not 0 <= self.exit_layers[0] <= self.exit_layers[-1] <= self.num_hidden_layers
        ):
            raise ValueError(f"exit_layers {self.exit_layers} must lie in 0..{self.num_hidden_layers}")
        if self.residual and self.exit_layers[0]:
            raise ValueError("residual exits build on exit 0, which exit_layers must name")
        if any(not 0 < width <= self.dimension for width in self.nested_dimensions):
            raise ValueError(f"nested_dimensions {self.nested_dimensions} must lie in 1..{self.dimension}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(choices)}")


# Of the soft count in gated pooling: equal states count one, a cosine of .8 counts .04.
SHARPNESS = 16.0
# g of exit 0: how often a piece counts when it occurs tf times.
TERM_FREQUENCY = {
    "linear": lambda tf: tf,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
    "relu": F.relu,
    "tanh": torch.tanh,
}
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "dimension",
)
# What a named switch of the configuration may be.
CHOICES = {
    # "pre" normalises what a block reads (StarCoder2), "post" what it leaves (BERT).
    "norm": ("pre", "post"),
    "positions": ("rotary", "learned"),
    "activation": ("gelu_tanh", "gelu"),
    "pooling": ("mean", "gated", "first", "last"),
    # "linear", or "mlp": linear, head_activation, linear, of every token before the pooling.
    "head": ("linear", "mlp"),
    "head_activation": tuple(ACTIVATIONS),
    "exit0_tf": tuple(TERM_FREQUENCY),
    # "shared": exit 0 reads the embedding table; "own": it has one of its own, [vocab, dimension].
    "exit0_table": ("shared", "own"),
}


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

    pooling "mean" is the plain mean, "first" and "last" are one token's state. "gated" weighs token i by the
    softmax of
        gate(x_i) - 1/2 log sum_j exp(SHARPNESS (cos(x_i, x_j) - 1)),
    a learned score less a soft count of how often the like of it occurs. What is repeated counts as the root
    of its frequency, as at exit 0: a deeper exit can begin as the bag that exit 0 is, and improve on it.

    residual: the vector is added, times a learned gain, to that of exit 0, and the sum made of unit length.
    So every exit starts where exit 0 stands, and all of them share its space by construction.
    """

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.pooling = config.pooling
        self.norm = layer_norm(config, config.head_norm)
        self.gate = nn.Linear(config.hidden_size, 1) if self.pooling == "gated" else None
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
        if self.gate is not None:
            # A product and a sum rather than a matmul: too small to gain from int8, and it would lose by it.
            scores = (states * self.gate.weight[0]).sum(dim=-1) + self.gate.bias
            unit = F.normalize(states, dim=-1, eps=1e-6)
            alike = ((unit @ unit.transpose(1, 2)).float() - 1.0) * SHARPNESS
            alike = alike.exp() * mask.float()[:, None, :]
            scores = scores.float() - 0.5 * alike.sum(dim=-1).clamp(min=1e-6).log()
            return (scores + (1.0 - mask.float()) * MASKED).softmax(dim=-1).to(states.dtype)
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


def input_states(parts: ModularStarEncoder | TruncatedEncoder, input_ids: Tensor) -> Tensor:
    """What the first layer reads, [n, length, hidden]."""
    states: Tensor = parts.embed_tokens(input_ids)
    if parts.embed_positions is not None:
        states = states + parts.embed_positions.weight[: input_ids.shape[1]]
    normed: Tensor = parts.embedding_norm(states)
    return normed


class TruncatedEncoder(nn.Module):
    """One exit of a `ModularStarEncoder`, weights shared; (input_ids, attention_mask) -> [n, dimension]."""

    def __init__(self, model: ModularStarEncoder, depth: int):
        super().__init__()
        self.config: ModularStarConfig = model.config
        self.depth = depth
        self.embed_tokens = model.embed_tokens
        self.embed_positions = model.embed_positions
        self.embedding_norm = model.embedding_norm
        self.layers = nn.ModuleList(list(model.layers)[:depth])
        self.norm = model.norm if depth == model.config.num_hidden_layers else nn.Identity()
        self.head = model.heads[str(depth)]
        self.bag = model.bag if depth and model.config.residual else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor, bag: Tensor | None = None) -> Tensor:
        """bag: exit 0's vectors of the same texts, for those who have them already."""
        if self.depth == 0:
            return self.head(self.embed_tokens.weight, input_ids, attention_mask)
        if bag is None and self.bag is not None:
            bag = self.bag(self.embed_tokens.weight, input_ids, attention_mask)
        states = input_states(self, input_ids)
        bias = padding_bias(attention_mask, states.dtype)
        rotary = rotary_table(self.config, input_ids.shape[1], input_ids.device)
        for layer in self.layers:
            states = layer(states, bias, rotary)
        return self.head(self.norm(states), attention_mask, bag)


class ModularStarEncoder(PreTrainedModel):
    """The encoder with all its exits."""

    config: ModularStarConfig
    config_class = ModularStarConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def __init__(self, config: ModularStarConfig):
        config.check()
        super().__init__(config)
        # Where the drawing for `bag_dropout` comes from; copies on several threads have one each.
        self.dice: torch.Generator | None = None
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_positions: nn.Embedding | None = None
        if config.positions == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.embedding_norm = layer_norm(config, config.embedding_norm)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = layer_norm(config, config.final_norm)  # as in the paper, at the last layer only
        self.heads = nn.ModuleDict(
            {str(depth): ExitHead(config) if depth else BagHead(config) for depth in config.exit_layers}
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, BagHead):
            nn.init.ones_(module.is_word)
            if module.table is not None:
                nn.init.normal_(module.table, std=std)
            else:
                nn.init.ones_(module.token_weight)

    @property
    def bag(self) -> BagHead:
        """The head of exit 0."""
        return cast(BagHead, self.heads["0"])

    def exit_head(self, depth: int) -> ExitHead:
        """The head of a deeper exit."""
        return cast(ExitHead, self.heads[str(depth)])

    @property
    def blocks(self) -> list[Layer]:
        """The layers, first to last."""
        return [cast(Layer, layer) for layer in self.layers]

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embed_tokens

    @property
    def depths(self) -> list[int]:
        """The exits, shallowest first."""
        return list(self.config.exit_layers)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        exits: list[int] | None = None,
        ground: float = 1.0,
    ) -> dict[int, Tensor]:
        """{depth: unit vectors [n, dimension]} for the asked exits (default: all), no deeper than needed.

        ground: what exit 0's vector counts for in a residual exit; `config.query_ground` for a question.
        """
        wanted = self.depths if exits is None else sorted(exits)
        found = {}
        if 0 in wanted:
            found[0] = self.heads["0"](self.embed_tokens.weight, input_ids, attention_mask)
        residual = self.config.residual and wanted[-1]
        bag = ground * self.ground(input_ids, attention_mask) if residual else None
        for depth, states in self.states(input_ids, attention_mask, upto=wanted[-1]):
            if depth in wanted:
                found[depth] = self.exit_head(depth)(states, attention_mask, bag)
        return found

    def ground(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Exit 0's vectors, on which the deeper exits build; in training some pieces are left out of them,
        since exit 0 knows the pairs it was trained on better than any it will meet."""
        if self.training and self.config.bag_dropout:
            chances = torch.rand(input_ids.shape, generator=self.dice, device=input_ids.device)
            kept = chances >= self.config.bag_dropout
            attention_mask = attention_mask * kept
        bag: Tensor = self.bag(self.embed_tokens.weight, input_ids, attention_mask)
        return bag

    def states(self, input_ids: Tensor, attention_mask: Tensor, upto: int) -> Iterator[tuple[int, Tensor]]:
        """(1, states), (2, states) .. (upto, states): each layer's output, final norm at the last only."""
        if not upto:
            return
        if self.embed_positions is not None and input_ids.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"a text of {input_ids.shape[1]} tokens; this encoder has learned "
                f"{self.config.max_position_embeddings} positions"
            )
        states = self.embedding_dropout(input_states(self, input_ids))
        bias = padding_bias(attention_mask, states.dtype)
        rotary = rotary_table(self.config, input_ids.shape[1], input_ids.device)
        for index in range(upto):
            states = self.layers[index](states, bias, rotary)
            yield index + 1, self.norm(states) if index + 1 == self.config.num_hidden_layers else states

    def truncated(self, depth: int) -> TruncatedEncoder:
        """Exit `depth` as a module of its own."""
        if depth not in self.depths:
            raise ValueError(f"no exit at depth {depth}; there are {self.depths}")
        return TruncatedEncoder(self, depth)

    @torch.no_grad()
    def fold_exit0(self) -> Tensor:
        """T [vocab, dimension], float32: all there is to exit 0."""
        return self.bag.fold(self.embed_tokens.weight).float()


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message is one line for the user."""


def load_checkpoint(folder: Path) -> ModularStarEncoder:
    """The encoder saved in a folder; nothing is ever looked for anywhere else."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no checkpoint here (no config.json)")
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever transformers makes of a damaged or foreign folder
        raise CheckpointError(
            f"{folder}: not readable as a checkpoint ({str(error).splitlines()[0]})"
        ) from error
    if not isinstance(model, ModularStarEncoder):
        raise CheckpointError(f"{folder}: a {type(model).__name__}, not a ModularStarEncoder")
    return model


AutoConfig.register(ModularStarConfig.model_type, ModularStarConfig, exist_ok=True)
AutoModel.register(ModularStarConfig, ModularStarEncoder, exist_ok=True)
