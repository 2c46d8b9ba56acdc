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

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from model.config import ModularStarConfig
from model.modules import BagHead, ExitHead, Layer, layer_norm, padding_bias, rotary_table


class Embeds(Protocol):
    """What turns token ids into states. embed_positions: None where positions are rotary."""

    embed_tokens: nn.Embedding
    embed_positions: nn.Embedding | None
    embedding_norm: nn.Module


def input_states(parts: Embeds, input_ids: Tensor) -> Tensor:
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


Saved = TypeVar("Saved", bound=PreTrainedModel)


def load_checkpoint(folder: Path) -> ModularStarEncoder:
    """The encoder saved in a folder; nothing is ever looked for anywhere else."""
    return load_saved(folder, ModularStarEncoder)


def load_saved(folder: Path, kind: type[Saved]) -> Saved:
    """The model of a kind that is registered with transformers, saved in a folder. CheckpointError."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no checkpoint here (no config.json)")
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever transformers makes of a damaged or foreign folder
        raise CheckpointError(
            f"{folder}: not readable as a checkpoint ({str(error).splitlines()[0]})"
        ) from error
    if not isinstance(model, kind):
        raise CheckpointError(f"{folder}: a {type(model).__name__}, not a {kind.__name__}")
    return model


AutoConfig.register(ModularStarConfig.model_type, ModularStarConfig, exist_ok=True)
AutoModel.register(ModularStarConfig, ModularStarEncoder, exist_ok=True)
