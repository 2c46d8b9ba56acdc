"""The exits of a published ModularStarEncoder in one space, without training.

Each of them has a projection and so a space of its own, and an index can be built with one only. Here the
projections of the earlier exits are laid, by ridge regression, where the deepest exit puts the same texts:
then an index can deepen exit by exit, and a question asked at one be compared with code embedded at another.
What that costs each exit is measured on texts that were kept apart (though a chunk that holds such a function
may be among those fitted on); who loses too much keeps the exit alone.
They have no exit 0 either: one is fitted (`word_table.py`), and left out where search by words is better off
without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from evaluation.bm25 import PlainBM25
from evaluation.scoring import Scores, fused
from model.encoder import ModularStarEncoder
from modstar_lsp.files import Unreadable, read_source, walk
from train.align import lay_exits, pooled_states
from train.data.functions import definitions, parsed_language
from train.data.prose import first_paragraph
from train.encoding import Text
from train.evaluate import CUT
from train.pretrained import PretrainedError
from train.word_table import WordTable, fit_word_table

# Read of a text, its instruction included; texts looked at of each kind, of which one takes an encoder of a
# billion parameters some 4 s of a processor.
LONGEST = 160
MOST_TEXTS = 2000
# Every so-manieth text is kept apart to measure by.
KEPT_APART = 5
# Kept-apart questions below which a figure would say nothing.
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Loss:
    """What one space costs an exit, on texts kept apart.

    cosine: mean, of its rows to the deepest's of the same texts. own, laid: MRR@10 of comments that ask for
    their functions at this exit, before and after. among_deepest: the functions embedded at the deepest.
    The last three are None without FEWEST comments.
    """

    cosine: float
    own: float | None
    laid: float | None
    among_deepest: float | None

    def line(self, depth: int) -> str:
        """For the user."""
        if self.own is None:
            return f"exit {depth}: cosine {self.cosine:.3f} to the deepest; too few comments to measure more"
        return (
            f"exit {depth}: comments find their functions, MRR@10 {self.own:.3f} in its own space, "
            f"{self.laid:.3f} in the deepest's, {self.among_deepest:.3f} among functions at the deepest exit"
        )


@dataclass(frozen=True, slots=True)
class BesideWords:
    """Whether exit 0 is worth having, on the same kept-apart comments: MRR@10 of search by words and by both.

    words: BM25. both: exit 0 and BM25. exit0, among_deepest: as `Loss.own` and `Loss.among_deepest`.
    All None without FEWEST comments.
    """

    cosine: float
    exit0: float | None
    among_deepest: float | None
    words: float | None
    both: float | None

    @property
    def helps(self) -> bool:
        """Whether search by words is no worse with exit 0 than without."""
        return self.words is not None and self.both is not None and self.both >= self.words

    def line(self) -> str:
        """For the user."""
        if self.words is None:
            return "exit 0: left out; too few comments to tell whether it helps the search by words"
        found = (
            f"comments find their functions, MRR@10 {self.exit0:.3f}, {self.among_deepest:.3f} among "
            f"functions at the deepest exit; by their words (BM25) {self.words:.3f}, by both {self.both:.3f}"
        )
        return f"exit 0: {found}" if self.helps else f"exit 0: left out, words do better without it; {found}"


@dataclass(frozen=True, slots=True)
class OneSpace:
    """What `lay_in_one_space` made and measured. exit0: None where it does not help."""

    losses: dict[int, Loss]
    beside_words: BesideWords
    exit0: WordTable | None

    def lines(self) -> list[str]:
        """For the user, an exit a line."""
        return [self.beside_words.line(), *(loss.line(depth) for depth, loss in self.losses.items())]


def lay_in_one_space(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    chunks: Sequence[str],
    questions: Sequence[tuple[str, str]],
    prompts: Mapping[str, str],
) -> OneSpace:
    """Lay all earlier exits where the deepest is, fit an exit 0 to it, and measure each, the deepest too.

    chunks: code as it is indexed. questions: (comment, its function). prompts: what goes before a text in
    the role "code" or "query". Sets `training` of the configuration: one space, and what it costs.
    PretrainedError for a model with a single exit, or without any text to fit on.
    """
    if len(model.depths) < 2:
        raise PretrainedError("one exit alone is one space already")
    asked, functions = [one for one, _ in questions], [code for _, code in questions]
    words = [*asked, *functions, *chunks]
    texts: list[Text] = [
        (prompts["query" if row < len(asked) else "code"], one) for row, one in enumerate(words)
    ]
    apart = torch.tensor([_apart(row, len(asked), len(texts)) for row in range(len(texts))])
    if int((~apart).sum()) < 2:
        raise PretrainedError("no sources to fit the exits on; give --sources a folder of code")
    longest = min(LONGEST, model.config.max_position_embeddings)
    pooled = pooled_states(model, tokenizer, texts, longest, bf16=False)
    before = _rows(model, pooled)
    lay_exits(model, {depth: rows[~apart] for depth, rows in pooled.items()}, model.depths[:-1])
    after = _rows(model, pooled)
    losses = {depth: _loss(before[depth], after[depth], after, apart, len(asked)) for depth in model.depths}
    fitted_on = [one for one, aside in zip(words, apart.tolist(), strict=True) if not aside]
    exit0 = fit_word_table(tokenizer, model.embed_tokens.weight, fitted_on, after[model.depths[-1]][~apart])
    beside_words = _beside_words(torch.from_numpy(exit0.rows(words)), after, words, apart, len(asked))
    model.config.training |= {
        "shared_space": True,
        "one_space": {str(depth): asdict(loss) for depth, loss in losses.items()},
        "exit0": asdict(beside_words),
    }
    return OneSpace(losses, beside_words, exit0 if beside_words.helps else None)


def documented(folder: Path, most: int = MOST_TEXTS) -> Iterator[tuple[str, str]]:
    """(first paragraph of the comment, function) of the documented functions in a folder, up to `most`."""
    found = []
    for file in walk(folder).files:
        try:
            data = read_source(folder, file.path).encode("utf-8", "replace")
        except Unreadable:
            continue
        if language := parsed_language(file.path, data):
            found += [
                (text, one.code)
                for one in definitions(language, data)
                if one.comment and (text := first_paragraph(one.comment, one.name))
            ]
    yield from found[:: max(-(-len(found) // most), 1)]


def _apart(row: int, questions: int, texts: int) -> bool:
    """Whether a text is kept apart: a question and its function, `questions` rows later, are so together."""
    return (row if row < questions or row >= 2 * questions else row - questions) % KEPT_APART == 0


@torch.no_grad()
def _rows(model: ModularStarEncoder, pooled: Mapping[int, Tensor]) -> dict[int, Tensor]:
    return {depth: F.normalize(model.exit_head(depth).proj(rows), dim=-1) for depth, rows in pooled.items()}


def _loss(before: Tensor, after: Tensor, rows: Mapping[int, Tensor], apart: Tensor, questions: int) -> Loss:
    deepest = rows[max(rows)]
    cosine = _cosine(after, deepest, apart)
    kept = apart[:questions].nonzero()[:, 0]
    if len(kept) < FEWEST:
        return Loss(cosine, None, None, None)
    asking, held = kept, kept + questions
    return Loss(
        cosine,
        _mrr((before[asking] @ before[held].T).numpy()),
        _mrr((after[asking] @ after[held].T).numpy()),
        _mrr((after[asking] @ deepest[held].T).numpy()),
    )


def _beside_words(
    exit0: Tensor, rows: Mapping[int, Tensor], texts: Sequence[str], apart: Tensor, questions: int
) -> BesideWords:
    cosine = _cosine(exit0, rows[max(rows)], apart)
    kept = apart[:questions].nonzero()[:, 0]
    if len(kept) < FEWEST:
        return BesideWords(cosine, None, None, None, None)
    asking, held = kept, kept + questions
    lexical = PlainBM25(texts[row] for row in held.tolist()).matrix([texts[row] for row in asking.tolist()])
    found = (exit0[asking] @ exit0[held].T).numpy()
    return BesideWords(
        cosine,
        _mrr(found),
        _mrr((exit0[asking] @ rows[max(rows)][held].T).numpy()),
        _mrr(lexical),
        _mrr(fused(found, lexical)),
    )


def _cosine(found: Tensor, deepest: Tensor, apart: Tensor) -> float:
    return round(float((found[apart] * deepest[apart]).sum(dim=1).mean()), 4)


def _mrr(scores: Scores) -> float:
    """MRR@10 of questions asking for the function of the same place; equal scores share their ranks."""
    wanted = scores.diagonal()[:, None]
    ranks = (scores > wanted).sum(axis=1) + ((scores == wanted).sum(axis=1) + 1) / 2
    return round(float(np.where(ranks <= CUT, 1.0 / ranks, 0.0).mean()), 4)
