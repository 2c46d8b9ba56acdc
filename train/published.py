"""The published ModularStarEncoder checkpoints in our classes.

`modularStarEncoder/ModularStarEncoder-finetuned` (36 layers, exits 4/9/18/27/36) and its size-specific
siblings (-finetuned-4, -9, -18, -27: `till_layer` names the one exit). Names of weights, tokenizer and
prompts are as published; what no source states is a named switch of `Unknown`, set to what is most likely.
Each exit has a space of its own there, so an index is built with one of them; or see `one_space.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, processors

from model.config import ModularStarConfig
from model.encoder import CheckpointError, ModularStarEncoder
from model.prompts import Prompts
from train.pretrained import PretrainedError, load_fast_tokenizer, read_config_json
from train.tensors import Tensors

MODEL_TYPE = "ModularStarEncoder"
CODE_PROMPT = "Represent this {language} code snippet for retrieval:"
QUERY_PROMPT = "Represent this code description for retrieving supporting snippets of code:"
# By its card, mean MRR of CodeSearchNet's six languages at each exit: the deepest is not the best.
CARD_MRR = {4: 73.2, 9: 77.3, 18: 81.0, 27: 80.3, 36: 79.6}
# Of the pre-training, no part of an embedding.
NOT_NEEDED = re.compile(r"(^|\.)(predictions|seq_relationship|conditional_embeddings|cls|pooler)\.")
HEAD = re.compile(r"(?:^|\.)projection_heads\.(\d+)\.(.+)\.(weight|bias)$")
EMBEDDING = "embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the published sources leave open."""

    pooling: str = "mean"  # of the tokens' projections: "mean", or "last" as in the ancestor of the code
    head_activation: str = "leaky_relu"  # between the two layers of a head, if it has two, as in the ancestor
    final_norm: bool = True  # whether the encoder's last norm comes before the last head
    norm_of_cut: bool = False  # whether it also ends an encoder that was cut at `till_layer`


def best_exit(depths: Sequence[int]) -> int | None:
    """The exit that the card scores best; None where these are not the card's exits."""
    return max(CARD_MRR, key=CARD_MRR.__getitem__) if list(depths) == list(CARD_MRR) else None


def load_published(folder: Path, unknown: Unknown | None = None) -> tuple[ModularStarEncoder, Tokenizer]:
    """(encoder, tokenizer) of a folder in the published layout; PretrainedError in one line if it is none.

    A text and its instruction are read as a pair: <sep> instruction <sep> text <cls>. The weights are read a
    tensor at a time: the peak is the encoder in float32, 4 bytes a parameter, and its largest matrix.
    """
    unknown = unknown or Unknown()
    told = read_config_json(folder)
    if told.get("model_type") != MODEL_TYPE:
        raise PretrainedError(f"{folder}: a {told.get('model_type')!r}, not a {MODEL_TYPE!r}")
    try:
        weights = Tensors(folder)
    except CheckpointError as error:
        raise PretrainedError(str(error)) from error
    prefix = next((name[: -len(EMBEDDING)] for name in weights if name.endswith(EMBEDDING)), None)
    if prefix is None:
        raise PretrainedError(f"{folder}: the weights hold no {EMBEDDING}")
    try:
        heads = _heads(told, weights)
        config = _config(told, heads, unknown)
        config.check()
        model = ModularStarEncoder(config)
    except (KeyError, ValueError, TypeError) as error:
        reason = f"config.json lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PretrainedError(f"{folder}: {reason}") from error
    _fill(model, weights, _renamed(weights, prefix, heads, config))
    return model.eval(), _tokenizer(folder)


def _heads(told: dict[str, Any], weights: Tensors) -> dict[int, list[str]]:
    """{depth of an exit: the names of its head's linear layers, first to last}.

    Raises KeyError for what config.json must say, ValueError for what does not fit together.
    """
    layers: dict[int, list[str]] = {}
    for name in weights:
        part = HEAD.search(name)
        if part and part[3] == "weight" and len(weights.shape(name)) == 2:
            layers.setdefault(int(part[1]), []).append(name.removesuffix(".weight"))
    numbers = sorted(layers)
    if not numbers:
        raise ValueError("no projection heads; only the fine-tuned checkpoints have them")
    if {len(names) for names in layers.values()} not in ({1}, {2}):
        raise ValueError("projection heads of an unknown make: neither one linear layer nor two")
    exits, cut = list(told["matryoshka_layers"]), told.get("till_layer")
    if cut is not None:
        if cut not in exits:
            raise ValueError(f"till_layer {cut} is none of the exits {exits}")
        numbers = [numbers[exits.index(cut)]] if len(numbers) == len(exits) else numbers
        exits = [cut]
    if len(numbers) != len(exits):
        raise ValueError(f"{len(numbers)} projection heads for the exits {exits}")
    return {depth: sorted(layers[number]) for depth, number in zip(exits, numbers, strict=True)}


def _config(told: dict[str, Any], heads: dict[int, list[str]], unknown: Unknown) -> ModularStarConfig:
    """Raises KeyError for what config.json must say, ValueError for what our classes do not express."""
    if told.get("hidden_act") != "gelu_pytorch_tanh" or told.get("mlp_type", "default") != "default":
        raise ValueError(
            f"an MLP of type {told.get('mlp_type')!r} with {told.get('hidden_act')!r} is unknown"
        )
    cut, best = told.get("till_layer"), best_exit(list(heads))
    return ModularStarConfig(
        vocab_size=told["vocab_size"],
        hidden_size=told["hidden_size"],
        intermediate_size=told["intermediate_size"],
        num_hidden_layers=told["num_hidden_layers"] if cut is None else cut,
        num_attention_heads=told["num_attention_heads"],
        num_key_value_heads=told["num_key_value_heads"],
        max_position_embeddings=told["max_position_embeddings"],
        rope_theta=told["rope_theta"],
        norm_epsilon=told["norm_epsilon"],
        initializer_range=told.get("initializer_range", 0.02),
        exit_layers=list(heads),
        dimension=told["hidden_size"],
        nested_dimensions=[],
        pooling=unknown.pooling,
        head="mlp" if len(next(iter(heads.values()))) == 2 else "linear",
        head_activation=unknown.head_activation,
        head_norm=False,
        final_norm=unknown.final_norm and (cut is None or unknown.norm_of_cut),
        training={
            **Prompts(QUERY_PROMPT, CODE_PROMPT).told(),
            "shared_space": False,
            **({"best_exit": best} if best else {}),
        },
    )


def _renamed(
    weights: Tensors, prefix: str, heads: dict[int, list[str]], config: ModularStarConfig
) -> dict[str, str]:
    """{our name: theirs} of the weights; layers and heads beyond the deepest exit are left out."""
    found: dict[str, str] = {}
    for name in weights:
        if HEAD.search(name) or NOT_NEEDED.search(name):
            continue
        ours = name.removeprefix(prefix)
        layer = re.match(r"layers\.(\d+)\.", ours)
        beyond = layer is not None and int(layer[1]) >= config.num_hidden_layers
        if not beyond and (config.final_norm or not ours.startswith("norm.")):
            found[ours] = name
    for depth, names in heads.items():
        for ours, theirs in zip(("mix", "proj")[-len(names) :], names, strict=True):
            for kind in ("weight", "bias"):
                if f"{theirs}.{kind}" in weights:
                    found[f"heads.{depth}.{ours}.{kind}"] = f"{theirs}.{kind}"
    return found


@torch.no_grad()
def _fill(model: ModularStarEncoder, weights: Tensors, theirs: dict[str, str]) -> None:
    """theirs: {our name: theirs}. A head may come without biases."""
    ours = model.state_dict()
    without = {name for name in ours if name.startswith("heads.") and name.endswith(".bias")} - theirs.keys()
    shared = ours.keys() & theirs.keys()
    for problem, names in (
        ("lack", ours.keys() - theirs.keys() - without),
        ("hold an unknown", theirs.keys() - ours.keys()),
        ("disagree with config.json about", {n for n in shared if weights.shape(theirs[n]) != ours[n].shape}),
    ):
        if names:
            raise PretrainedError(f"{weights.folder}: the weights {problem} {min(names)}")
    for name, parameter in ours.items():
        parameter.copy_(torch.zeros(()) if name in without else weights[theirs[name]])


def _tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer with its frame: <sep> text <cls>, and <sep> instruction <sep> text <cls>."""
    tokenizer = load_fast_tokenizer(folder).backend_tokenizer
    specials = [(name, tokenizer.token_to_id(name)) for name in ("<sep>", "<cls>")]
    if any(number is None for _, number in specials):
        raise PretrainedError(f"{folder}: the tokenizer has no <sep> and <cls>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<sep> $A <cls>", pair="<sep> $A <sep> $B <cls>", special_tokens=specials
    )
    return tokenizer
