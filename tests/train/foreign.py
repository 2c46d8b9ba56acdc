"""Tiny encoders as others publish them: BERT-like folders, and the layout of ModularStarEncoder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerFast

CORPUS = [
    "def parse_json(path): return json.load(open(path))  # reads a file",
    "class HTTPAdapter: pass; retry the upload, close the window, sort the values and write them",
    "abcdefghijklmnopqrstuvwxyz 0123456789 ( ) [ ] { } = + - . , : ; # _ /",
]
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}


def bert_tokenizer() -> PreTrainedTokenizerFast:
    """Uncased WordPieces with BERT's frame; padding and cutting are left switched on, as some packages do."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(_pieces(specials), unk_token="[UNK]"))  # type: ignore[call-arg]
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=48)
    tokenizer.enable_truncation(48)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _pieces(specials: Sequence[str], size: int = 160) -> dict[str, int]:
    """Letters, alone and within a word, words, and two letters: trained, they are others in each process."""
    words = sorted({word for text in CORPUS for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    letters = sorted(set("".join(words)))
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters)]
    pieces += [word for word in words if len(word) > 1]
    pieces += sorted({f"##{word[at : at + 2]}" for word in words for at in range(1, len(word) - 1)})
    assert len(pieces) >= size
    return {piece: number for number, piece in enumerate(pieces[:size])}


def bpe_tokenizer(specials: list[str], texts: Sequence[str] = CORPUS) -> Tokenizer:
    """Byte-level BPE as StarCoder2 has it, specials first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def spread(model: torch.nn.Module, std: float = 0.25) -> None:
    """Random weights far enough from zero that a missing bias or norm is noticed."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(
                1 + 0.2 * noise if "norm" in name.lower() and name.endswith("weight") else std * noise
            )


def save_bert(folder: Path, model: PreTrainedModel | None = None) -> PreTrainedModel:
    """A small random BertModel (or the given relative of it) with its tokenizer, in transformers' layout."""
    tokenizer = bert_tokenizer()
    if model is None:
        model = BertModel(BertConfig(vocab_size=len(tokenizer), **SHAPE))
    spread(model)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def published_config(**changed: Any) -> dict[str, Any]:
    """The published config.json with small numbers."""
    return {
        "architectures": ["ModularStarEncoder"],
        "model_type": "ModularStarEncoder",
        "auto_map": {"AutoConfig": "config.ModularStarEncoderConfig"},
        "hidden_size": 32,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "gelu_pytorch_tanh",
        "mlp_type": "default",
        "use_bias": True,
        "norm_type": "layer_norm",
        "norm_epsilon": 1e-5,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "rope_theta": 999999.4420358813,
        "initializer_range": 0.018042,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "layer_matryoshka_loss": True,
        "matryoshka_layers": [1, 2, 4],
        "conditional_size": 4,
        "torch_dtype": "bfloat16",
        **changed,
    }


def published_weights(config: dict[str, Any], vocabulary: int) -> dict[str, Tensor]:
    """Random weights by the published names: the backbone, a two-layer head an exit, pre-training's heads."""
    generator = torch.Generator().manual_seed(5)

    def some(*shape: int, mean: float = 0.0, std: float = 0.2) -> Tensor:
        return mean + std * torch.randn(shape, generator=generator)

    width, inner = config["hidden_size"], config["intermediate_size"]
    narrow = width // config["num_attention_heads"] * config["num_key_value_heads"]
    weights = {"starEncoder2.embed_tokens.weight": some(vocabulary, width)}

    def linear(name: str, inward: int, outward: int) -> None:
        weights[f"{name}.weight"] = some(outward, inward)
        weights[f"{name}.bias"] = some(outward)

    def norm(name: str) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = some(width, mean=1.0), some(width)

    for number in range(config["num_hidden_layers"]):
        layer = f"starEncoder2.layers.{number}"
        for part, size in (("q", width), ("k", narrow), ("v", narrow), ("o", width)):
            linear(f"{layer}.self_attn.{part}_proj", width, size)
        linear(f"{layer}.mlp.c_fc", width, inner)
        linear(f"{layer}.mlp.c_proj", inner, width)
        norm(f"{layer}.input_layernorm")
        norm(f"{layer}.post_attention_layernorm")
    norm("starEncoder2.norm")
    for number in range(len(config["matryoshka_layers"])):
        linear(f"starEncoder2.projection_heads.{number}.0", width, width)
        linear(f"starEncoder2.projection_heads.{number}.2", width, width)
    linear("cls.predictions.decoder", width + config["conditional_size"], vocabulary)
    return weights


def save_published(folder: Path, **changed: Any) -> dict[str, Tensor]:
    """A folder as the hub has it: config.json, model.safetensors in bf16, the tokenizer."""
    folder.mkdir(parents=True)
    tokenizer = bpe_tokenizer(["<|endoftext|>", "<sep>", "<cls>", "<mask>"])
    config = published_config(vocab_size=tokenizer.get_vocab_size() + 1, **changed)
    weights = published_weights(config, config["vocab_size"])
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        padding_side="left",
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        sep_token="<sep>",
        cls_token="<cls>",
        mask_token="<mask>",
    ).save_pretrained(folder)
    return {name: tensor.float() for name, tensor in weights.items()}
