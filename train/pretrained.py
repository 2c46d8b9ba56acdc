"""Encoders that others trained, in our classes: any BERT-family folder of `transformers`.

`load_bert` maps the weights by name into `ModularStarEncoder`, which is numerically the same encoder, gives
it exits, and if asked a new vocabulary: the row of a piece is its old row, or the mean of the rows of the old
pieces that spell it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder, load_checkpoint
from model.tokenizer import is_word
from train.tensors import read_json


class PretrainedError(Exception):
    """A foreign encoder cannot be used; the message is one line for the user."""


class Family(NamedTuple):
    """How one BERT-like architecture names its parts; {} is the number of a layer."""

    layers: str
    positions_from: int  # the first row of the position table that a text uses
    names: dict[str, str]  # ours within a layer -> theirs


_BERT = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.o_proj": "attention.output.dense",
    "attention_layernorm": "attention.output.LayerNorm",
    "mlp.c_fc": "intermediate.dense",
    "mlp.c_proj": "output.dense",
    "output_layernorm": "output.LayerNorm",
}
_DISTILBERT = {
    "self_attn.q_proj": "attention.q_lin",
    "self_attn.k_proj": "attention.k_lin",
    "self_attn.v_proj": "attention.v_lin",
    "self_attn.o_proj": "attention.out_lin",
    "attention_layernorm": "sa_layer_norm",
    "mlp.c_fc": "ffn.lin1",
    "mlp.c_proj": "ffn.lin2",
    "output_layernorm": "output_layer_norm",
}
# RoBERTa counts positions from behind the padding's id, 1.
FAMILIES = {
    "bert": Family("encoder.layer.{}.", 0, _BERT),
    "electra": Family("encoder.layer.{}.", 0, _BERT),
    "roberta": Family("encoder.layer.{}.", 2, _BERT),
    "xlm-roberta": Family("encoder.layer.{}.", 2, _BERT),
    "camembert": Family("encoder.layer.{}.", 2, _BERT),
    "distilbert": Family("transformer.layer.{}.", 0, _DISTILBERT),
}
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}


def load_bert(
    folder: Path,
    exits: Sequence[int],
    tokenizer: Tokenizer | None = None,
    exit0: Path | None = None,
    dimension: int | None = None,
    nested: Sequence[int] = (),
    **switches: Any,
) -> ModularStarEncoder:
    """The encoder in `folder` with `exits`, its layers' states equal to those it has in transformers.

    tokenizer: the vocabulary to change to (None: its own). exit0: a checkpoint of exit 0 alone over that
    vocabulary, which becomes exit 0's own table and gives the dimension of the common space. dimension: of
    the exits' vectors (None: exit 0's, or the encoder's width, where every head starts as the identity, so
    that the deepest exit answers as the encoder always did). switches: of the configuration, such as
    residual=True.
    PretrainedError in one line for another architecture, a damaged folder, or impossible exits.
    """
    old, family = _open(folder)
    given = None if exit0 is None else load_checkpoint(exit0)
    weights = old.state_dict()
    words = weights["embeddings.word_embeddings.weight"]
    if tokenizer is not None:
        words = transplanted(words, load_fast_tokenizer(folder).backend_tokenizer, tokenizer)
    positions = weights["embeddings.position_embeddings.weight"][family.positions_from :]
    types = weights.get("embeddings.token_type_embeddings.weight")
    if types is not None:  # every text of ours is of the first type
        positions = positions + types[0]
    if dimension is None:
        dimension = words.shape[1] if given is None else given.config.dimension
    switches = {"pooling": _pooling(folder), "nested_dimensions": nested or _halves(dimension)} | switches
    if given is not None:
        switches = {"exit0_tf": given.config.exit0_tf} | switches
    try:
        config = _config(old.config, exits, words, positions, dimension, switches)
        config.check()
    except ValueError as error:
        raise PretrainedError(f"{folder}: {error}") from error
    model = ModularStarEncoder(config)
    mapped = {
        "embed_tokens.weight": words,
        "embed_positions.weight": positions,
        "embedding_norm.weight": weights["embeddings.LayerNorm.weight"],
        "embedding_norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    for number in range(config.num_hidden_layers):
        for ours, theirs in family.names.items():
            for kind in ("weight", "bias"):
                name = f"{family.layers.format(number)}{theirs}.{kind}"
                mapped[f"layers.{number}.{ours}.{kind}"] = weights[name]
    missing, unexpected = model.load_state_dict(mapped, strict=False)
    assert not unexpected and all(name.startswith("heads.") for name in missing), (missing, unexpected)
    _start_heads(model)
    if 0 in model.depths:
        _start_exit0(model, tokenizer or load_fast_tokenizer(folder).backend_tokenizer, given)
    return model.eval()


def transplanted(rows: Tensor, old: Tokenizer, new: Tokenizer) -> Tensor:
    """The embedding of vocabulary `new` out of the rows of vocabulary `old`.

    The same string keeps its row; another gets the mean of the rows of the old pieces that spell it. Specials
    pass by their place: what opens or closes a text in one vocabulary becomes what does so in the other.
    """
    known = old.get_vocab()
    inside = _continuations(known)
    specials = _specials(old, new)
    spelt: list[list[int]] = []
    for piece, index in sorted(new.get_vocab().items(), key=lambda item: item[1]):
        if index in specials:
            spelt.append([specials[index]])
        elif piece in known:
            spelt.append([known[piece]])
        elif inside is not None and piece.startswith("##"):
            spelt.append(inside.encode(piece[2:], add_special_tokens=False).ids)
        else:
            spelt.append(old.encode(piece.removeprefix("##"), add_special_tokens=False).ids)
    ids = torch.tensor([one for some in spelt for one in some])
    starts = torch.tensor([0, *(len(some) for some in spelt)])[:-1].cumsum(dim=0)
    found = F.embedding_bag(ids, rows, starts, mode="mean")
    empty = torch.tensor([not some for some in spelt])
    return torch.where(empty[:, None], rows.mean(dim=0), found)


def _continuations(known: dict[str, int]) -> Tokenizer | None:
    """A reader of the insides of words by the '##' pieces of a WordPiece vocabulary; None without any."""
    inside = {piece[2:]: index for piece, index in known.items() if piece.startswith("##") and len(piece) > 2}
    if not inside:
        return None
    inside["[UNK]"] = known.get("[UNK]", 0)
    return Tokenizer(models.WordPiece(vocab=inside, unk_token="[UNK]", continuing_subword_prefix=""))  # type: ignore[call-arg]


def _specials(old: Tokenizer, new: Tokenizer) -> dict[int, int]:
    """Ids of the new specials -> ids of the old ones that play their part."""
    before, after = old.get_vocab(), new.get_vocab()
    found = dict(zip(new.encode("").ids, old.encode("").ids, strict=False))
    for role in ("pad", "unk", "mask"):
        theirs = [before[name] for name in (f"[{role.upper()}]", f"<{role}>") if name in before]
        ours = [after[name] for name in (f"[{role.upper()}]", f"<{role}>") if name in after]
        if theirs and ours:
            found[ours[0]] = theirs[0]
    return found


def load_fast_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a transformers folder, without the padding and cutting that it may have stored."""
    # Asked for the class by name, transformers reads no further files, some of which would have it run code.
    kind = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    try:
        found = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend = found.backend_tokenizer
    except Exception as error:  # whatever transformers makes of a damaged or missing tokenizer
        raise PretrainedError(f"{folder}: no usable tokenizer ({_first_line(error)})") from error
    backend.no_padding()
    backend.no_truncation()
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0][:200]


def read_config_json(folder: Path) -> dict[str, Any]:
    """config.json of a model's folder; PretrainedError when there is none."""
    return read_json(folder, "config.json", PretrainedError)


def _open(folder: Path) -> tuple[nn.Module, Family]:
    """The encoder as transformers reads it, all of its weights found."""
    told = read_config_json(folder)
    kind, positions = told.get("model_type"), told.get("position_embedding_type", "absolute")
    if kind not in FAMILIES:
        raise PretrainedError(f"{folder}: a {kind!r}; what can be wrapped is one of {', '.join(FAMILIES)}")
    if positions != "absolute":
        raise PretrainedError(f"{folder}: positions of type {positions!r}; only absolute ones are known")
    try:
        model, notes = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # whatever transformers makes of a damaged folder
        raise PretrainedError(f"{folder}: not readable ({_first_line(error)})") from error
    lost = [name for name in notes["missing_keys"] if not name.startswith("pooler.")]
    if lost or notes["mismatched_keys"]:
        first = lost[0] if lost else notes["mismatched_keys"][0][0]
        raise PretrainedError(f"{folder}: the weights do not fit config.json ({first} missing or misshapen)")
    return model.float(), FAMILIES[kind]


def _config(
    old: Any,
    exits: Sequence[int],
    words: Tensor,
    positions: Tensor,
    dimension: int,
    switches: dict[str, Any],
) -> ModularStarConfig:
    """ValueError for what our classes do not express."""
    activation = getattr(old, "hidden_act", None) or old.activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r} is none of {', '.join(ACTIVATIONS)}")
    if getattr(old, "embedding_size", old.hidden_size) != old.hidden_size:
        raise ValueError("an embedding narrower than the layers is not known")
    heads = old.num_attention_heads
    return ModularStarConfig(
        vocab_size=len(words),
        hidden_size=old.hidden_size,
        intermediate_size=getattr(old, "intermediate_size", None) or old.hidden_dim,
        num_hidden_layers=old.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=len(positions),
        norm_epsilon=getattr(old, "layer_norm_eps", 1e-12),
        exit_layers=list(exits),
        dimension=dimension,
        exit0_table="own",
        norm="post",
        positions="learned",
        activation=ACTIVATIONS[activation],
        embedding_norm=True,
        initializer_range=old.initializer_range,
        **switches,
    )


def _pooling(folder: Path) -> str:
    """What sentence-transformers notes beside the weights, else the mean."""
    try:
        noted = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "mean"
    if noted.get("pooling_mode_cls_token"):
        return "first"
    return "last" if noted.get("pooling_mode_lasttoken") else "mean"


def _halves(dimension: int) -> list[int]:
    return [dimension // 2, dimension // 4] if dimension % 4 == 0 else []


def _first_projection(config: ModularStarConfig) -> Tensor:
    """[dimension, hidden]: rows at right angles, the identity when there are as many as columns."""
    if config.dimension == config.hidden_size:
        return torch.eye(config.hidden_size)
    start = torch.empty(config.dimension, config.hidden_size)
    return nn.init.orthogonal_(start, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def _start_heads(model: ModularStarEncoder) -> None:
    """One projection for all exits, so that they begin in one space."""
    for depth in model.depths:
        if depth:
            head = model.exit_head(depth)
            head.proj.weight.copy_(_first_projection(model.config))
            head.proj.bias.zero_()


@torch.no_grad()
def _start_exit0(model: ModularStarEncoder, tokenizer: Tokenizer, given: ModularStarEncoder | None) -> None:
    """Exit 0's table from its own checkpoint, else the word vectors projected as the states of every exit."""
    bag = model.bag
    assert bag.table is not None
    if type(tokenizer.model).__name__ != "WordPiece":
        raise PretrainedError("exit 0 needs a tokenizer of WordPieces: leave 0 out of the exits")
    specials = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    for piece, index in tokenizer.get_vocab().items():
        bag.is_word[index] = is_word(piece) and piece not in specials
    if given is not None:
        if given.config.vocab_size != model.config.vocab_size:
            raise PretrainedError(
                f"exit 0 has {given.config.vocab_size} pieces, the tokenizer {model.config.vocab_size}"
            )
        if given.config.dimension != model.config.dimension:
            raise PretrainedError(
                f"exit 0 has {given.config.dimension} dimensions, {model.config.dimension} were asked for"
            )
        bag.is_word.copy_(given.bag.is_word)
        bag.table.copy_(given.fold_exit0())
        return
    bag.table.copy_(model.embed_tokens.weight @ _first_projection(model.config).T)
