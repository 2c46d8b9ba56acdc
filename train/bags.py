"""Texts as bags of word pieces: what exit 0 reads, made once and kept as ragged arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.config import TERM_FREQUENCY
from model.tokenizer import is_word

# Texts tokenised at a time: bounds the memory of the intermediate token lists.
BLOCK = 20_000


@dataclass(frozen=True, slots=True)
class Bags:
    """Distinct pieces and their frequencies; text i owns the entries starts[i] .. starts[i + 1]."""

    ids: np.ndarray  # int32
    tf: np.ndarray  # uint16
    starts: np.ndarray  # int64, one longer than there are texts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """(ids, tf, offsets) of the given texts, as `embedding_bag` wants them."""
        begin = self.starts[rows]
        sizes = self.starts[rows + 1] - begin
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], sizes)
        ids = torch.from_numpy(self.ids[at].astype(np.int64))
        return ids, torch.from_numpy(self.tf[at].astype(np.float32)), torch.from_numpy(offsets[:-1])


def words_of(tokenizer: Tokenizer) -> np.ndarray:
    """1 for each piece that exit 0 counts, 0 for specials and punctuation."""
    counted = np.zeros(tokenizer.get_vocab_size(), dtype=np.float32)
    for token, index in tokenizer.get_vocab().items():
        counted[index] = is_word(token)
    return counted


def make_bags(texts: Sequence[str], tokenizer: Tokenizer) -> Bags:
    """The bags of the texts, punctuation and specials left out."""
    counted = words_of(tokenizer) > 0
    vocabulary = len(counted)
    ids, tfs, sizes = [], [], []
    for begin in range(0, len(texts), BLOCK):
        encoded = tokenizer.encode_batch_fast(list(texts[begin : begin + BLOCK]), add_special_tokens=False)
        lists = [entry.ids for entry in encoded]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        flat = np.fromiter((i for one in lists for i in one), dtype=np.int64, count=int(lengths.sum()))
        text = np.repeat(np.arange(len(lists)), lengths)
        keep = counted[flat]
        keys, count = np.unique(text[keep] * vocabulary + flat[keep], return_counts=True)
        ids.append((keys % vocabulary).astype(np.int32))
        tfs.append(np.minimum(count, 65535).astype(np.uint16))
        sizes.append(np.bincount(keys // vocabulary, minlength=len(lists)))
    if not sizes:
        return Bags(np.empty(0, np.int32), np.empty(0, np.uint16), np.zeros(1, np.int64))
    starts = np.concatenate(([0], np.cumsum(np.concatenate(sizes))))
    return Bags(np.concatenate(ids), np.concatenate(tfs), starts)


def pool(table: Tensor, bags: Bags, tf: str) -> np.ndarray:
    """Unit rows of exit 0 for all texts, from its folded table."""
    ids, counts, offsets = bags.take(np.arange(len(bags)))
    with torch.no_grad():
        rows = torch.nn.functional.embedding_bag(
            ids, table, offsets, mode="sum", per_sample_weights=TERM_FREQUENCY[tf](counts).to(table.dtype)
        )
        return torch.nn.functional.normalize(rows, dim=-1, eps=1e-6).numpy()
