"""A tiny untrained checkpoint with exits 0, 1 and 3, for the tests to export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from model.config import ModularStarConfig
from model.encoder import ModularStarEncoder
from model.reranker import RerankerConfig
from model.tokenizer import SPECIALS
from train.tokenizer import train_tokenizer

EXITS = (0, 1, 3)


@dataclass(frozen=True)
class Exported:
    checkpoint: Path
    bundle: Path
    texts: Path  # what it was validated on


def reranker_config(vocab_size: int, exits: Sequence[int], **shape: Any) -> RerankerConfig:
    """The shape of a tiny reranker, as deep as the last of its exits."""
    return RerankerConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=exits[-1],
        num_attention_heads=4,
        num_key_value_heads=4,
        exit_layers=list(exits),
        dimension=32,
        nested_dimensions=[],
        pooling="mean",
        norm="post",
        positions="learned",
        activation="gelu",
        embedding_norm=True,
        max_position_embeddings=128,
        initializer_range=0.15,
        **shape,
    )


def make_checkpoint(folder: Path, source: str, **shape: object) -> Path:
    """Random weights, wide enough apart that retrieval among them means something."""
    tokenizer = train_tokenizer([source], 600)
    vocabulary = tokenizer.get_vocab()
    torch.manual_seed(1)
    settings = {
        "vocab_size": len(vocabulary),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "exit_layers": EXITS,
        "dimension": 48,
        "nested_dimensions": (),
        "initializer_range": 0.15,
        "max_position_embeddings": 128,
    }
    model = ModularStarEncoder(ModularStarConfig(**{**settings, **shape}))
    for piece, number in vocabulary.items():
        if piece in SPECIALS or not any(letter.isalnum() for letter in piece):
            model.heads["0"].is_word[number] = 0.0
    with torch.no_grad():  # rows of very different length: what breaks a single scale
        model.embed_tokens.weight.mul_(torch.exp(0.7 * torch.randn(len(vocabulary), 1)))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder
