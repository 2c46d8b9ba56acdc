"""Texts -> token ids -> slices of like length -> vectors at every exit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.encoder import ModularStarEncoder
from model.precision import autocast
from model.prompts import Text
from train.logs import Progress
from train.workers import Copies

# Tokens, padding included, of one forward pass when nothing else is said. On a CPU 2,000 to 8,000 are alike.
SLICE_TOKENS = 4096
# Texts tokenised at a time when scoring: bounds the memory of token lists and vectors.
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Slice:
    """Some texts of about one length: their places in the list they come from, ids and mask."""

    places: Tensor
    input_ids: Tensor
    attention_mask: Tensor


def tokenize(tokenizer: Tokenizer, texts: Sequence[Text], longest: int) -> list[list[int]]:
    """Token ids of the texts, cut to `longest`; the last of them is always the closing special."""
    lists = [entry.ids for entry in tokenizer.encode_batch_fast(list(texts))]
    return [ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in lists]


def slices(lists: Sequence[Sequence[int]], tokens: int, number: int = 0) -> list[Slice]:
    """All texts, sorted by length, up to `tokens` at a time with padding; or in exactly `number` slices."""
    order = sorted(range(len(lists)), key=lambda index: len(lists[index]))
    if number:
        return [_slice(lists, rows.tolist()) for rows in np.array_split(np.asarray(order), number)]
    found = []
    at = 0
    while at < len(order):
        end = at + 1
        while end < len(order) and (end + 1 - at) * len(lists[order[end]]) <= tokens:
            end += 1
        found.append(_slice(lists, order[at:end]))
        at = end
    return found


def _slice(lists: Sequence[Sequence[int]], rows: list[int]) -> Slice:
    width = max((len(lists[row]) for row in rows), default=1)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        length = len(lists[row])
        ids[place, :length] = lists[row]
        mask[place, :length] = 1
    return Slice(torch.as_tensor(rows, dtype=torch.long), torch.from_numpy(ids), torch.from_numpy(mask))


def in_order(parts: Sequence[Slice], vectors: Sequence[dict[int, Tensor]]) -> dict[int, Tensor]:
    """{depth: rows in the order of the texts} of the vectors of all slices."""
    back = torch.cat([part.places for part in parts]).argsort()
    return {depth: torch.cat([one[depth] for one in vectors])[back] for depth in vectors[0]}


def encode(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    texts: Sequence[Text],
    longest: int = 256,
    exits: list[int] | None = None,
    bf16: bool = True,
    ground: float = 1.0,
) -> dict[int, np.ndarray]:
    """{depth: float32 unit rows} for evaluation. ground: as of `ModularStarEncoder.forward`."""
    was_training = model.training
    model.eval()
    on_cpu = model.device.type == "cpu"
    copies = Copies(model, bf16=bf16, learning=False) if on_cpu else None
    progress = Progress("texts encoded", len(texts))

    def vectors(module: nn.Module, _: int, part: Slice) -> dict[int, Tensor]:
        with torch.no_grad():
            ids, mask = part.input_ids.to(model.device), part.attention_mask.to(model.device)
            found = module(ids, mask, exits, ground)
            progress.add(len(part.places))
            return {depth: rows.float().cpu() for depth, rows in found.items()}

    rows: dict[int, list[np.ndarray]] = {}
    for at in range(0, len(texts), _BLOCK):
        parts = slices(tokenize(tokenizer, texts[at : at + _BLOCK], longest), SLICE_TOKENS)
        if copies:
            found = copies.each(parts, vectors)
        else:
            with autocast(model.device.type, bf16):
                found = [vectors(model, number, part) for number, part in enumerate(parts)]
        for depth, some in in_order(parts, found).items():
            rows.setdefault(depth, []).append(some.numpy())
    if copies:
        copies.close()
    model.train(was_training)
    return {depth: np.concatenate(some) for depth, some in rows.items()}
