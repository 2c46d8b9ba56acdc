"""How an encoder begins: from nothing, a trained exit 0, another run, or a BERT-family encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from train.align import align_heads
from train.bags import words_of
from train.data import Pair
from train.exit0 import start_from
from train.model import CheckpointError, ModularStarEncoder, load_checkpoint
from train.pretrained import load_bert
from train.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from train.config import TrainConfig

# What of a configuration's model section is not the encoder's shape, and so applies to one that is given.
SWITCHES = ("residual", "bag_dropout", "query_ground", "nested_dimensions", "exit0_tf")


@dataclass(frozen=True, slots=True)
class StartSettings:
    """How the heads of a given encoder are laid into exit 0's space."""

    aligned: int = 10_000  # texts looked at
    gains: tuple[float, ...] = ()  # of the deeper exits, shallowest first, where they build on exit 0


def start_model(
    config: TrainConfig,
    pairs: Sequence[Pair],
    init: Path | None,
    backbone: Path | None = None,
    tokenizer: Path | None = None,
    record: dict[str, Any] | None = None,
) -> tuple[ModularStarEncoder, Tokenizer]:
    """The encoder of a configuration before training, and its tokenizer.

    backbone: a BERT-family folder of transformers, whose layers it has. init: a checkpoint, of exit 0 alone
    or of a whole encoder to go on with. CheckpointError when they do not fit the configuration.
    """
    place = init or tokenizer
    if place is None:
        raise CheckpointError("give a checkpoint to start from (--init) or a tokenizer (--tokenizer)")
    words = load_tokenizer(place)
    given = load_checkpoint(init) if init else None
    torch.manual_seed(config.fit.seed)
    exits = list(config.model.get("exit_layers", ()))
    if backbone:
        switches = {name: config.model[name] for name in SWITCHES if name in config.model}
        nested = switches.pop("nested_dimensions", ())
        exit0 = init if 0 in exits else None
        dimension = config.model.get("dimension") if exit0 is None else None
        model = load_bert(backbone, exits, words, exit0, dimension, nested, **switches)
        model.config.training = record or {}
        if 0 in exits:
            _align(model, words, pairs, config.start)
        return model, words
    if given and given.config.num_hidden_layers:
        if given.depths != exits:
            raise CheckpointError(f"{init} has the exits {given.depths}, the configuration {exits}")
        given.config.training = record or {}
        return given, words
    model = ModularStarEncoder(config.model_config(vocab_size=words.get_vocab_size(), training=record))
    if given and 0 in exits:
        try:
            start_from(model, given)
        except ValueError as error:
            raise CheckpointError(f"{init}: {error}") from error
    elif 0 in exits:
        model.bag.is_word.copy_(torch.from_numpy(words_of(words)))
    return model, words


def _align(
    model: ModularStarEncoder, tokenizer: Tokenizer, pairs: Sequence[Pair], how: StartSettings
) -> None:
    rng = random.Random(0)
    some = [pairs[row] for row in rng.sample(range(len(pairs)), min(len(pairs), how.aligned // 2))]
    align_heads(model, tokenizer, [text for pair in some for text in (pair.query, pair.code)])
    deeper = [depth for depth in model.depths if depth]
    if how.gains:
        if len(how.gains) != len(deeper):
            raise CheckpointError(f"{len(how.gains)} gains for the exits {deeper}")
        for depth, gain in zip(deeper, how.gains, strict=True):
            learned = model.exit_head(depth).gain
            if learned is not None:
                learned.data.fill_(gain)
