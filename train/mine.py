"""Hard negatives, mined with the model itself: code that a query is easily mistaken to ask for, and is not.

    python -m train mine --checkpoint CHECKPOINT --data CORPUS --out hard.npz

Every query is compared with the code of all pairs of its language, or, with `--within-repository`, with those
of its own repository: what a search in one project has to tell apart. Of the nearest, those are dropped that
are likely right answers nobody marked: of the same group, nearer than POSITIVE times the pair's own code (the
filter of NV-Retriever, Moreira et al. 2024), or whose code or query is almost the pair's own. A pair whose
own code is not among the nearest itself is none to learn from by its negatives (the consistency filter of
CoRNStack, Suresh et al. 2024), and gets none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from model.encoder import ModularStarEncoder
from model.precision import bf16_pays
from model.prompts import Prompts
from train.bags import make_bags, pool
from train.data import Pair, group_of, repository_of
from train.encoding import encode
from train.logs import Progress

# Candidates looked at for each query, and how many of them are kept.
LOOKED_AT = 64
KEPT = 16
# A negative's cosine is at most this share of the positive's. NV-Retriever recommends 0.95.
POSITIVE = 0.95
# Cosines above which another pair's code, or query, is the same thing said again.
SAME_CODE, SAME_QUERY = 0.92, 0.85
# A pair's own code has to be among so many nearest.
CONSISTENT = 200
# Queries compared at a time, at most: 512 x 400,000 scores in float32 are 0.8 GB.
BLOCK = 512
# As read for a fit.
QUERY_TOKENS, CODE_TOKENS = 48, 160


@dataclass(frozen=True, slots=True)
class Mined:
    """negatives: [pairs, KEPT] rows, nearest first, -1 where there are fewer."""

    negatives: np.ndarray
    inconsistent: int
    dropped: int

    def line(self) -> str:
        """What was found, in one line."""
        found = (self.negatives >= 0).sum(axis=1)
        return (
            f"{found.sum()} hard negatives for {(found > 0).sum()} of {len(found)} pairs; left out: "
            f"{self.dropped} candidates likely right, {self.inconsistent} pairs whose own code is too far"
        )


def mine(
    queries: np.ndarray,
    codes: np.ndarray,
    pairs: Sequence[Pair],
    told: Callable[[str], None] = print,
    *,
    within_repository: bool = False,
) -> Mined:
    """The hard negatives of pairs whose queries and codes are unit rows."""
    rivals: dict[tuple[str, str], list[int]] = {}
    for row, pair in enumerate(pairs):
        repository = repository_of(pair) if within_repository else ""
        rivals.setdefault((pair.language, repository), []).append(row)
    groups = np.asarray([group_of(pair) for pair in pairs])
    negatives = np.full((len(pairs), KEPT), -1, dtype=np.int64)
    half = torch.bfloat16 if bf16_pays() else torch.float32
    asked, found = torch.from_numpy(queries).to(half), torch.from_numpy(codes).to(half)
    inconsistent = dropped = 0
    progress = Progress("pairs mined", len(pairs))
    for (language, repository), members in sorted(rivals.items()):
        rows = np.asarray(members)
        own = found[rows]
        for at in range(0, len(rows), BLOCK):
            block = rows[at : at + BLOCK]
            scores = (asked[block] @ own.T).float()
            positive = scores[torch.arange(len(block)), torch.arange(at, at + len(block))]
            rank = (scores > positive[:, None]).sum(dim=1).numpy()
            near = rows[scores.topk(min(LOOKED_AT, len(rows)), dim=1).indices.numpy()]
            cosine = np.einsum("nkd,nd->nk", codes[near], queries[block])
            right = (
                (groups[near] == groups[block][:, None])
                | (cosine > POSITIVE * np.einsum("nd,nd->n", codes[block], queries[block])[:, None])
                | (np.einsum("nkd,nd->nk", codes[near], codes[block]) > SAME_CODE)
                | (np.einsum("nkd,nd->nk", queries[near], queries[block]) > SAME_QUERY)
            )
            right &= near != block[:, None]
            lost = rank >= CONSISTENT
            dropped += int(right[~lost].sum())
            inconsistent += int(lost.sum())
            good = ~right & (near != block[:, None]) & ~lost[:, None]
            for place in range(len(block)):
                chosen = near[place][good[place]][:KEPT]
                negatives[block[place], : len(chosen)] = chosen
            progress.add(len(block))
        told(f"{repository} {language or 'no language'}: {len(rows)} pairs".lstrip())
    return Mined(negatives, inconsistent, dropped)


def vectors(
    model: ModularStarEncoder, tokenizer: Tokenizer, pairs: Sequence[Pair], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of the queries and of the codes at one exit; at exit 0 this takes seconds."""
    sides = [pair.query for pair in pairs], [pair.code for pair in pairs]
    if depth == 0:
        table, tf = model.fold_exit0(), model.config.exit0_tf
        asked, found = (pool(table, make_bags(texts, tokenizer), tf) for texts in sides)
        return asked, found
    prompts = Prompts() if 0 in model.depths else Prompts.of(model.config.training)
    read = prompts.before(sides[0], "query"), prompts.before(sides[1], "code")
    asked, found = (
        encode(model, tokenizer, texts, longest, [depth])[depth]
        for texts, longest in zip(read, (QUERY_TOKENS, CODE_TOKENS), strict=True)
    )
    return asked, found
