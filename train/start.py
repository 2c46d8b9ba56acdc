"""How an encoder begins: from nothing, a trained exit 0, another run, or a BERT-family encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer

from model.config import ModularStarConfig
from model.encoder import CheckpointError, ModularStarEncoder, load_checkpoint
from model.tokenizer import load_tokenizer
from train.align import affine, align_heads, lay_exits, pooled_states
from train.bags import words_of
from train.data import Pair
from train.exit0 import start_from
from train.loop import FitSettings
from train.pretrained import load_bert

# What of a configuration's model section is not the encoder's shape, and so applies to one that is given.
SWITCHES = ("residual", "bag_dropout", "query_ground", "nested_dimensions", "exit0_tf")

# Tokens of a text that heads are laid by.
LONGEST = 128


@dataclass(frozen=True, slots=True)
class StartSettings:
    """How the heads of a given encoder are laid into exit 0's space."""

    aligned: int = 10_000  # texts looked at
    # Of the deeper exits that are new, shallowest first, where they build on exit 0.
    gains: tuple[float, ...] = ()


class Configuration(Protocol):
    """What of a configuration decides how the encoder begins: of `train.config.TrainConfig`, which is one."""

    @property
    def model(self) -> dict[str, Any]: ...

    @property
    def start(self) -> StartSettings: ...

    @property
    def fit(self) -> FitSettings: ...

    def model_config(self, **changed: Any) -> ModularStarConfig: ...


def start_model(
    config: Configuration,
    pairs: Sequence[Pair],
    init: Path | None,
    backbone: Path | None = None,
    tokenizer: Path | None = None,
    record: dict[str, Any] | None = None,
    exit0: Path | None = None,
) -> tuple[ModularStarEncoder, Tokenizer]:
    """The encoder of a configuration before training, and its tokenizer.

    backbone: a BERT-family folder of transformers, whose layers it has. init: a checkpoint, of exit 0 alone
    or of a whole encoder to go on with, which is given the configuration's exits, and the exit 0 of another
    checkpoint where `exit0` names one. CheckpointError when they do not fit the configuration.
    """
    place = init or tokenizer
    if place is None:
        raise CheckpointError("give a checkpoint to start from (--init) or a tokenizer (--tokenizer)")
    words = load_tokenizer(place)
    given = load_checkpoint(init) if init else None
    if exit0 and not (given and given.config.num_hidden_layers):
        raise CheckpointError(f"{exit0} takes the place of an exit 0: give the encoder that has one (--init)")
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
            given = with_exits(given, exits, words, pairs, config.start)
        if exit0:
            given = with_exit0(given, load_checkpoint(exit0), words, pairs, config.start)
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


def with_exits(
    given: ModularStarEncoder,
    exits: Sequence[int],
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    how: StartSettings,
) -> ModularStarEncoder:
    """A trained encoder with other exits: its own as they are, new ones laid where its deepest puts the texts
    of pairs, layers above the deepest of `exits` cut off. `how.gains` are those of the new exits.

    CheckpointError when there can be no such exits.
    """
    layers = given.config.num_hidden_layers
    if not exits or max(exits) > layers or (0 in exits and 0 not in given.depths):
        raise CheckpointError(
            f"no exits {list(exits)} in an encoder of {layers} layers, exits {given.depths}"
        )
    new = [depth for depth in exits if depth not in given.depths]
    if new:
        given = _rebuilt(given, sorted({*given.depths, *new}))
        lay_exits(given, pooled_states(given, tokenizer, _texts(pairs, how), LONGEST), new)
        _set_gains(given, new, how.gains)
    return _rebuilt(given, exits)


@torch.no_grad()
def with_exit0(
    given: ModularStarEncoder,
    exit0: ModularStarEncoder,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    how: StartSettings,
) -> ModularStarEncoder:
    """A trained encoder on another exit 0 of the same pieces, as wide as its own or wider.

    The deeper exits keep their first values; those that are new are laid where exit 0 puts the texts of
    pairs. CheckpointError when the two do not fit.
    """
    old, new = given.config, exit0.config
    width = old.dimension
    if 0 not in given.depths or given.bag.table is None:
        raise CheckpointError("only an exit 0 with a table of its own can be replaced")
    if new.vocab_size != old.vocab_size or new.dimension < width:
        raise CheckpointError(
            f"an exit 0 of {new.vocab_size} pieces and {new.dimension} values in an encoder of "
            f"{old.vocab_size} and {width}"
        )
    made = _rebuilt(given, given.depths, dimension=new.dimension, nested_dimensions=new.nested_dimensions)
    table = exit0.fold_exit0()
    bag = made.bag
    assert bag.table is not None
    # Of the length that the old one had: the optimiser's steps are measured by it.
    bag.table.copy_(table * (given.bag.table.norm() / table.norm()))
    bag.is_word.copy_(exit0.bag.is_word)
    pooled = pooled_states(made, tokenizer, _texts(pairs, how), LONGEST)
    ground = pooled.pop(0)
    added = ground[:, width:] / ground[:, :width].norm(dim=1).mean()
    for depth, states in pooled.items():
        head, before = made.exit_head(depth).proj, given.exit_head(depth).proj
        weight, bias = affine(states, added * before(states).norm(dim=1).mean())
        head.weight.copy_(torch.cat((before.weight, weight)))
        head.bias.copy_(torch.cat((before.bias, bias)))
    return made


def _rebuilt(model: ModularStarEncoder, exits: Sequence[int], **shape: Any) -> ModularStarEncoder:
    """The same weights with these exits and this shape; what it has not, or not so large, is as new."""
    layers = model.config.num_hidden_layers
    deepest = max(layers if set(model.depths) <= set(exits) else 0, *exits)
    config = model.config.to_dict() | {"exit_layers": list(exits), "num_hidden_layers": deepest} | shape
    if deepest < layers:
        config["final_norm"] = False  # that of the last layer
    try:
        made = ModularStarEncoder(ModularStarConfig(**config))
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    own = made.state_dict()
    fitting = {
        name: w for name, w in model.state_dict().items() if name in own and w.shape == own[name].shape
    }
    made.load_state_dict(own | fitting)
    return made


def _align(
    model: ModularStarEncoder, tokenizer: Tokenizer, pairs: Sequence[Pair], how: StartSettings
) -> None:
    align_heads(model, tokenizer, _texts(pairs, how), LONGEST)
    _set_gains(model, [depth for depth in model.depths if depth], how.gains)


def _texts(pairs: Sequence[Pair], how: StartSettings) -> list[str]:
    rows = random.Random(0).sample(range(len(pairs)), min(len(pairs), how.aligned // 2))
    return [text for row in rows for text in (pairs[row].query, pairs[row].code)]


def _set_gains(model: ModularStarEncoder, depths: Sequence[int], gains: Sequence[float]) -> None:
    if not gains:
        return
    if len(gains) != len(depths):
        raise CheckpointError(f"{len(gains)} gains for the exits {list(depths)}")
    for depth, gain in zip(depths, gains, strict=True):
        learned = model.exit_head(depth).gain
        if learned is not None:
            learned.data.fill_(gain)
