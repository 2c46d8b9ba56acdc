"""What exit 0 starts from: each word piece embedded by a small pre-trained encoder (as model2vec does).

teacher rows -> minus the mean -> principal components -> unit rows; weights a / (a + p(piece)), the smooth
inverse frequency of Arora et al. 2017. Any BERT-like `transformers` folder will do, for example
all-MiniLM-L6-v2 (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from model.precision import autocast
from train.bags import Bags

# Arora et al. recommend 1e-3 to 1e-4. Weights are learned afterwards, so little hangs on it.
SMOOTH = 1e-3
# A word counts in the principal components as often as it occurs, up to here, lest a few words span them.
COUNT_CAP = 1000


class TextEncoder:
    """A frozen BERT-like encoder; texts -> the mean of its states, float32 [n, hidden]."""

    def __init__(self, folder: Path, longest: int = 64):
        self.longest = longest
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.no_grad()
    def rows(self, texts: Sequence[str], batch: int = 256) -> np.ndarray:
        """The pooled states as they are."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for at in range(0, len(order), batch):
            some = order[at : at + batch]
            fed = self.tokenizer(
                [texts[index] for index in some],
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            )
            with autocast("cpu"):
                states = self.model(**fed).last_hidden_state.float()
            mask = fed["attention_mask"][:, :, None]
            rows[some] = ((states * mask).sum(1) / mask.sum(1)).numpy()
        return rows


def starting_table(
    tokenizer: Tokenizer, dimension: int, bags: Sequence[Bags], teacher: Path | None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """(unit vectors [vocab, dimension], weights [vocab]); random vectors without a teacher."""
    vocabulary = tokenizer.get_vocab_size()
    counts = np.zeros(vocabulary)
    for bag in bags:
        counts += np.bincount(bag.ids, weights=bag.tf.astype(np.float64), minlength=vocabulary)
    weights = SMOOTH / (SMOOTH + counts / max(counts.sum(), 1.0))
    if teacher is None:
        vectors = torch.randn(vocabulary, dimension, generator=torch.Generator().manual_seed(seed))
        return F.normalize(vectors, dim=-1), torch.from_numpy(weights).float()
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    rows = TextEncoder(teacher, longest=16).rows([token.removeprefix("##") for token, _ in tokens])
    mass = np.minimum(counts, COUNT_CAP) + 1
    rows -= (rows * mass[:, None]).sum(0) / mass.sum()
    _, axes = np.linalg.eigh((rows * mass[:, None]).T @ rows / mass.sum())
    vectors = torch.from_numpy(rows @ axes[:, ::-1][:, :dimension].copy()).float()
    return F.normalize(vectors, dim=-1, eps=1e-6), torch.from_numpy(weights).float()
