"""The exits of a published ModularStarEncoder in one space, without training.

Each of them has a projection and so a space of its own, and an index can be built with one only. Here the
projections of the earlier exits are laid, by ridge regression, where the deepest exit puts the same texts:
then an index can deepen exit by exit, and a question asked at one be compared with code embedded at another.
What that costs each exit is measured on texts that were kept apart; who loses too much keeps the exit alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from modstar_lsp.files import Unreadable, read_source, walk
from train.align import lay_exits, pooled_states
from train.data.functions import definitions, parsed_language
from train.data.prose import first_paragraph
from train.encoding import Text
from train.evaluate import mrr_of_pairs
from train.pretrained import PretrainedError

# Read of a text, its instruction included; texts looked at of each kind, some minutes a billion parameters.
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


def lay_in_one_space(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    chunks: Sequence[str],
    questions: Sequence[tuple[str, str]],
    prompts: Mapping[str, str],
) -> dict[int, Loss]:
    """Lay all earlier exits where the deepest is, and measure: {depth: its loss}, the deepest's too.

    chunks: code as it is indexed. questions: (comment, its function). prompts: what goes before a text in
    the role "code" or "query". Sets `training` of the configuration: one space, and what it costs.
    PretrainedError for a model with a single exit, or without any text to fit on.
    """
    if len(model.depths) < 2:
        raise PretrainedError("one exit alone is one space already")
    asked, functions = [one for one, _ in questions], [code for _, code in questions]
    texts: list[Text] = [(prompts["query"], one) for one in asked]
    texts += [(prompts["code"], one) for one in (*functions, *chunks)]
    apart = torch.tensor([_apart(row, len(asked), len(texts)) for row in range(len(texts))])
    if int((~apart).sum()) < 2:
        raise PretrainedError("no sources to fit the exits on; give --sources a folder of code")
    longest = min(LONGEST, model.config.max_position_embeddings)
    pooled = pooled_states(model, tokenizer, texts, longest, bf16=False)
    before = _rows(model, pooled)
    lay_exits(model, {depth: rows[~apart] for depth, rows in pooled.items()}, model.depths[:-1])
    after = _rows(model, pooled)
    found = {depth: _loss(before[depth], after[depth], after, apart, len(asked)) for depth in model.depths}
    model.config.training |= {
        "shared_space": True,
        "one_space": {str(depth): asdict(loss) for depth, loss in found.items()},
    }
    return found


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
    cosine = float((after[apart] * deepest[apart]).sum(dim=1).mean())
    kept = apart[:questions].nonzero()[:, 0]
    if len(kept) < FEWEST:
        return Loss(round(cosine, 4), None, None, None)

    def mrr(asking: Tensor, held: Tensor) -> float:
        return round(mrr_of_pairs(asking[kept].numpy(), held[kept + questions].numpy()), 4)

    return Loss(round(cosine, 4), mrr(before, before), mrr(after, after), mrr(after, deepest))
