"""The encoder's configuration: its shape, its exits, and what each switch may be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PretrainedConfig
from transformers.utils.logging import disable_progress_bar

# Transformers 5 draws a bar for every file it loads or saves, over whatever a program says itself.
disable_progress_bar()

# In a checkpoint's folder: one of exit 0 alone, for an encoder whose tokenizer has no words.
EXIT0_FOLDER = "exit0"


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
        pooling: str = "mean",
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
        # Exit 0 pools nothing; older checkpoints of it alone name a pooling that there is no more.
        self.pooling = pooling if num_hidden_layers else "mean"
        self.norm = norm
        self.positions = positions
        self.activation = activation
        self.embedding_norm = embedding_norm
        # Post-norm layers end in a norm anyway.
        self.final_norm = norm == "pre" if final_norm is None else final_norm
        self.head = head
        self.head_activation = head_activation
        self.head_norm = norm == "pre" if head_norm is None else head_norm
        self.attention_dropout = attention_dropout
        self.residual_dropout = residual_dropout
        self.embedding_dropout = embedding_dropout
        self.initializer_range = initializer_range
        self.training = training or {}
        # Transformers 5 compares some of them at once, and takes four lines to refuse one that is no number.
        self._check_sizes()
        super().__init__(pad_token_id=pad_token_id, **others)

    def _check_sizes(self) -> None:
        for name in SIZES:
            size = getattr(self, name)
            # An encoder of exit 0 alone has no layers.
            if not isinstance(size, int) or size < (0 if name == "num_hidden_layers" else 1):
                raise ValueError(f"{name} {size!r} is no positive whole number")

    def check(self) -> None:
        """Raise ValueError, in one line, for a shape that cannot exist."""
        self._check_sizes()
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
    "pooling": ("mean", "first", "last"),
    # "linear", or "mlp": linear, head_activation, linear, of every token before the pooling.
    "head": ("linear", "mlp"),
    "head_activation": tuple(ACTIVATIONS),
    "exit0_tf": tuple(TERM_FREQUENCY),
    # "shared": exit 0 reads the embedding table; "own": it has one of its own, [vocab, dimension].
    "exit0_table": ("shared", "own"),
}
