"""Exit 0 for an encoder that reads byte-level BPE and has none: a table of word pieces, fitted, not trained.

Its pieces are the words, and the parts of words, that the BPE knows, case aside: so it needs no vocabulary
from elsewhere, and knows words that the texts it is fitted on do not hold. A piece's row starts as the mean
embedding of its tokens, the rarer the heavier; ridge regression then lays the sums of rows where the
encoder's deepest exit puts the same texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from model.tokenizer import SPECIALS, empty_tokenizer
from modstar_lsp.encoder.words import split_words
from train.align import ridge
from train.bags import make_bags, pool, words_of
from train.exit0 import Exit0Settings, Table, as_model
from train.teacher import SMOOTH

TF = "sqrt"


@dataclass(frozen=True, slots=True)
class WordTable:
    """Exit 0 as a checkpoint of its own, and its tokenizer."""

    model: ModularStarEncoder
    tokenizer: Tokenizer

    def rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows [n, dimension]; of zeros for a text without a known word."""
        return pool(self.model.fold_exit0(), make_bags(texts, self.tokenizer), TF)


@torch.no_grad()
def fit_word_table(
    tokenizer: Tokenizer, embedding: Tensor, texts: Sequence[str], wanted: Tensor
) -> WordTable:
    """The table with which the bags of `texts` come nearest to `wanted`.

    tokenizer: the encoder's byte-level BPE. embedding: its input embeddings [vocab, width]. wanted: unit rows
    [n, dimension] of the texts at the deepest exit.
    """
    pieces = word_pieces(tokenizer)
    words = empty_tokenizer({piece: row for row, piece in enumerate((*SPECIALS, *pieces))})
    counted = torch.from_numpy(words_of(words))
    bags = make_bags(texts, words)
    counts = np.bincount(bags.ids, weights=bags.tf, minlength=len(counted))
    rarity = SMOOTH / (SMOOTH + torch.from_numpy(counts / max(counts.sum(), 1.0)).float())
    start = torch.zeros(len(counted), embedding.shape[1])
    tokens = [torch.tensor(numbers) for numbers in pieces.values()]
    start[len(SPECIALS) :] = torch.stack([embedding[numbers].float().mean(dim=0) for numbers in tokens])
    start *= (rarity * counted)[:, None]
    rows = start @ ridge(torch.from_numpy(pool(start, bags, TF)), wanted).T
    table = Table(F.normalize(rows, dim=-1), rows.norm(dim=-1), counted, TF)
    settings = Exit0Settings(dimension=rows.shape[1], nested=(), tf=TF)
    return WordTable(as_model(table, settings, {"fitted": "to the deepest exit"}), words)


def word_pieces(tokenizer: Tokenizer) -> dict[str, list[int]]:
    """{word piece: the tokens that it stands for} of a byte-level BPE; "##" before what goes on a word.

    A token after a space begins a word; one without may do so too, after a bracket say, or go on.
    """
    found: dict[str, list[int]] = {}
    for number in sorted(tokenizer.get_vocab().values()):
        text = tokenizer.decode([number])
        word = text.strip().lower()
        if split_words(text) == [word]:
            found.setdefault(word, []).append(number)
            if text == text.lstrip():
                found.setdefault(f"##{word}", []).append(number)
    return found
