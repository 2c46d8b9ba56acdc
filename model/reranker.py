"""The last stage of a search: late interaction over token states, at several exits of one encoder.

    input_ids -> embed_tokens -> layers[0] .. layers[d-1] -> heads[str(d)] -> a vector for every token: exit d

A question and a piece of code are read apart, each once; then every token of the question meets its nearest
token of the code (Khattab and Zaharia, "ColBERT", arXiv 2004.12832). A learned weight says what a token of
the question counts for, and the cosine of the two mean states is added. The shallow exits learn from the
deepest one, as in "One Model to Train them All" (arXiv 2503.03008), so that a smaller
machine can read at any of them.

The encoder is the `ModularStarEncoder` of this package (its layers, its embedding), with these heads in
place of those that pool; so whatever encoder that can be, this can read with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PreTrainedModel

from model.config import ModularStarConfig
from model.encoder import input_states, load_saved
from model.modules import Layer, layer_norm, padding_bias, rotary_table

# Where training begins: a temperature of the mean greatest cosine, and one of the cosine of mean states.
LATE_SCALE, MEAN_SCALE = 25.0, 10.0


class RerankerConfig(ModularStarConfig):
    """An encoder's shape; `dimension` is that of a token's vector, `exit_layers` the exits, all above 0."""

    model_type = "modstar-reranker"

    def __init__(self, **shape: Any):
        # Transformers 5 makes one for a class without, which sets nothing.
        super().__init__(**shape)

    def check(self) -> None:
        """Raise ValueError, in one line, for a shape that cannot exist."""
        super().check()
        if not self.exit_layers[0]:
            raise ValueError("a reranker reads with its layers: exit_layers begin above 0")
        if self.residual:
            raise ValueError("a reranker has no exit 0 to build on: residual must be false")


class Reading(NamedTuple):
    """What one exit makes of n texts of `length` tokens.

    vectors: [n, length, dimension], unit length.  weights: [n, length], what a token counts for in a
    question, above 0.  mean: [n, hidden], the mean state, unit length.
    """

    vectors: Tensor
    weights: Tensor
    mean: Tensor


class TokenHead(nn.Module):
    """Token states of one depth -> `Reading`."""

    def __init__(self, config: ModularStarConfig):
        super().__init__()
        self.proj = nn.Linear(config.hidden_size, config.dimension, bias=False)
        self.weigh = nn.Linear(config.hidden_size, 1)
        self.late_scale = nn.Parameter(torch.tensor(math.log(LATE_SCALE)))
        self.mean_scale = nn.Parameter(torch.tensor(math.log(MEAN_SCALE)))

    def forward(self, states: Tensor, attention_mask: Tensor) -> Reading:
        mask = attention_mask.to(states.dtype)
        mean = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1.0)
        # A product and a sum rather than a matmul: too small to gain from int8, and it would lose by it.
        weights = F.softplus((states * self.weigh.weight[0]).sum(dim=-1) + self.weigh.bias)
        return Reading(
            F.normalize(self.proj(states), dim=-1, eps=1e-6), weights, F.normalize(mean, dim=-1, eps=1e-6)
        )


class Reranker(PreTrainedModel):
    """An encoder that reads for late interaction, at every exit of its configuration."""

    config: RerankerConfig
    config_class = RerankerConfig
    base_model_prefix = "model"

    def __init__(self, config: RerankerConfig):
        config.check()
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_positions: nn.Embedding | None = None
        if config.positions == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.embedding_norm = layer_norm(config, config.embedding_norm)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = layer_norm(config, config.final_norm)
        self.heads = nn.ModuleDict({str(depth): TokenHead(config) for depth in config.exit_layers})
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

    @property
    def depths(self) -> list[int]:
        """The exits, shallowest first."""
        return list(self.config.exit_layers)

    @property
    def blocks(self) -> list[Layer]:
        """The layers, first to last."""
        return [cast(Layer, layer) for layer in self.layers]

    def head(self, depth: int) -> TokenHead:
        """The head of an exit."""
        return cast(TokenHead, self.heads[str(depth)])

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embed_tokens

    def states(self, input_ids: Tensor, attention_mask: Tensor, upto: int) -> Iterator[tuple[int, Tensor]]:
        """(1, states), (2, states) .. (upto, states): each layer's output, final norm at the last only."""
        states = input_states(self, input_ids)
        bias = padding_bias(attention_mask, states.dtype)
        rotary = rotary_table(self.config, input_ids.shape[1], input_ids.device)
        for number, layer in enumerate(self.blocks[:upto], 1):
            states = layer(states, bias, rotary)
            yield number, self.norm(states) if number == self.config.num_hidden_layers else states

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[int, Reading]:
        """{depth: what that exit makes of the texts}."""
        found = {}
        for number, states in self.states(input_ids, attention_mask, self.depths[-1]):
            if number in self.depths:
                found[number] = self.head(number)(states, attention_mask)
        return found

    def scores(self, depth: int, questions: Reading, asks: Tensor, codes: Reading, meets: Tensor) -> Tensor:
        """How well each code answers each question at an exit, as logits [questions, codes].

        asks [questions, length], meets [codes, length]: 1 for tokens that take part, words and numbers.
        """
        head = self.head(depth)
        late = late_interaction(questions, asks, codes.vectors, meets)
        return late * head.late_scale.exp() + questions.mean @ codes.mean.T * head.mean_scale.exp()


def late_interaction(questions: Reading, asks: Tensor, codes: Tensor, meets: Tensor) -> Tensor:
    """The mean, by weight, of each question token's greatest cosine to a code's: [questions, codes]."""
    m, size, width = codes.shape
    of = asks > 0  # the others, padding most of them, would take two thirds of the time
    rows = questions.vectors[of].to(codes.dtype)
    cosines = (rows @ codes.reshape(m * size, width).T).view(len(rows), m, size)
    nearest = (cosines + (meets[None] - 1.0).to(codes.dtype) * 2.0).max(dim=-1).values.float()
    weights = questions.weights * asks
    shares = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
    found = nearest.new_zeros(len(asks), m)
    return found.index_add(0, of.nonzero()[:, 0], nearest * shares[of][:, None])


def load_reranker(folder: Path) -> Reranker:
    """The reranker saved in a folder; CheckpointError, in one line, when it holds none."""
    return load_saved(folder, Reranker)


AutoConfig.register(RerankerConfig.model_type, RerankerConfig, exist_ok=True)
AutoModel.register(RerankerConfig, Reranker, exist_ok=True)
