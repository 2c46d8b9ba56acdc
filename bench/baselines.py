"""Encoders to stand beside a bundle's exits: others' as published, and the bundle's own before int8.

A baseline is any folder of `transformers` whose sentence vector is the mean of its last states
(all-MiniLM-L6-v2, all-mpnet-base-v2, the e5 family ..). How much it reads of a text, and the prompts before
it, are as published: `sentence_bert_config.json` and `config_sentence_transformers.json` beside the weights
say so. Both classes need torch and transformers, the extra `train`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluation.record import file_digest
from model.precision import autocast
from model.prompts import Prompts
from modstar_lsp.encoder.words import split_words

if TYPE_CHECKING:
    import torch

    from modstar_lsp.encoder.encoder import Role

Rows = NDArray[np.float32]

# Padding included, of one forward pass; lengths are alike within one.
_TOKENS_AT_ONCE = 4096
# Where nothing says how much of a text is read.
_LONGEST = 512
# What sentence-transformers calls the two sides.
_PROMPT_NAMES = {"query": ("query",), "code": ("document", "passage")}
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


class BaselineError(Exception):
    """A folder is no encoder that can be a baseline; the message is one line for the user."""


class Baseline:
    """A published encoder behind the call of this project's; it has one exit, whatever number is asked.

    split: identifiers are taken apart into their words first. prompts: by role, where the folder names none.
    In bf16 where the processor has units for it, which moves a vector by a cosine of some 0.00003.
    """

    def __init__(self, folder: Path, *, split: bool = False, prompts: dict[str, str] | None = None) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModel
        from transformers.utils import logging

        logging.set_verbosity_error()  # it warns of a pooling layer that is not used here
        self.name = folder.resolve().name + (", split" if split else "")
        self._split = split
        try:
            told = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
            self._longest = int(_json(folder / "sentence_bert_config.json").get("max_seq_length", _LONGEST))
            tokenizer_json = (folder / "tokenizer.json").read_text("utf-8")
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval().to(_device())
            weights = file_digest(folder / "model.safetensors")
        except Exception as error:  # transformers, safetensors and tokenizers each raise classes of their own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise BaselineError(f"{folder}: no encoder with tokenizer.json and weights ({reason})") from None
        self._prompts = {
            role: next((told[name] for name in names if told.get(name)), (prompts or {}).get(role, ""))
            for role, names in _PROMPT_NAMES.items()
        }
        self._tokenizer.enable_truncation(self._longest)
        self._tokenizer.no_padding()
        self._padding = int(self._model.config.pad_token_id or 0)
        settings = json.dumps([self._longest, self._prompts, split])
        self.digest = hashlib.sha256(f"{weights} {tokenizer_json} {settings}".encode()).hexdigest()

    def encode(self, texts: Sequence[str], depth: int = 0, role: Role = "code") -> Rows:
        """Unit rows [len(texts), dimension]."""

        written = [split_identifiers(text) for text in texts] if self._split else texts
        encoded = self._tokenizer.encode_batch([self._prompts[role] + text for text in written])

        def mean_state(ids: torch.Tensor, mask: torch.Tensor, _: list[int]) -> torch.Tensor:
            with autocast(ids.device.type):
                states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            return (states.float() * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

        return _in_batches([entry.ids for entry in encoded], mean_state, self._padding)


class CheckpointEncoder:
    """A checkpoint at full precision: what a bundle that is made of it has before int8.

    Reads what the bundle reads: the whole text at exit 0, `max_tokens` of it at the deeper exits, behind the
    prompt of its role.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        from export.checkpoint import load_checkpoint
        from export.errors import ExportError

        try:
            found = load_checkpoint(folder)
        except (ExportError, OSError) as error:
            raise BaselineError(str(error)) from None
        self._model, self._config = found.model.to(_device()), found.config  # type: ignore[arg-type]
        self._language, self._prompts = "", Prompts.of(found.config.training)
        self._weights = f"{found.digest} {max_tokens}"
        self.depths = found.depths
        self._tokenizer = found.tokenizer(max_tokens)
        self._exit0 = found.exit0
        if self._exit0:
            self._words, self._table = self._exit0.word_tokenizer(), self._exit0.model.fold_exit0().cpu()

    @property
    def digest(self) -> str:
        """Of the weights and of what goes before a text."""
        told = {**self._prompts.told(), "language": self._language}
        return (
            f"{self._weights} {json.dumps(told, sort_keys=True)}" if self._prompts.told() else self._weights
        )

    def reading(self, language: str) -> CheckpointEncoder:
        """The same for code in a language, where its prompt names one, which no bundle's does."""
        other = copy(self)
        other._language = language
        return other

    def encode(self, texts: Sequence[str], depth: int = 0, role: Role = "code") -> Rows:
        """Unit rows [len(texts), dimension] at depth `depth`, float32 throughout."""
        import torch

        from train.bags import make_bags, pool

        if depth not in self.depths:
            raise BaselineError(f"the checkpoint has no exit {depth}; it has {self.depths}")
        if self._exit0 and (depth == 0 or self._config.residual):
            bags = pool(self._table, make_bags(texts, self._words), self._exit0.config.exit0_tf)
            if depth == 0:
                return bags
            ground = torch.from_numpy(bags) * (self._config.query_ground if role == "query" else 1.0)
        module = self._model.truncated(depth)

        def at_exit(ids: torch.Tensor, mask: torch.Tensor, rows: list[int]) -> torch.Tensor:
            return (
                module(ids, mask, ground[rows].to(ids.device)) if self._config.residual else module(ids, mask)
            )

        encoded = self._tokenizer.encode_batch(self._prompts.before(texts, role, self._language))
        return _in_batches([entry.ids for entry in encoded], at_exit, self._config.pad_token_id or 0)


def split_identifiers(text: str) -> str:
    """The text with every identifier taken apart into its words, in lower case."""
    return _IDENTIFIER.sub(lambda found: " ".join(split_words(found[0])), text)


def _in_batches(
    tokens: Sequence[Sequence[int]],
    run: Callable[[torch.Tensor, torch.Tensor, list[int]], torch.Tensor],
    padding: int,
) -> Rows:
    """Unit rows of `run(ids, mask, rows)` over batches of like length."""
    import torch
    from torch.nn import functional as F

    device = _device()

    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    batches: list[list[int]] = []
    for row in order:
        if batches and (len(batches[-1]) + 1) * len(tokens[row]) <= _TOKENS_AT_ONCE:
            batches[-1].append(row)
        else:
            batches.append([row])
    vectors: dict[int, Any] = {}
    for rows in batches:
        width = max(len(tokens[row]) for row in rows) or 1
        ids = torch.full((len(rows), width), padding)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(tokens[row])] = torch.tensor(tokens[row], dtype=torch.long)
            mask[place, : len(tokens[row])] = 1
        with torch.inference_mode():
            found = F.normalize(run(ids.to(device), mask.to(device), rows).float(), dim=-1).cpu().numpy()
            vectors.update(zip(rows, found, strict=True))
    return np.stack([vectors[row] for row in range(len(tokens))]) if tokens else np.zeros((0, 0), np.float32)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _json(path: Path) -> dict[str, Any]:
    """What a small JSON file holds; {} where there is none."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
