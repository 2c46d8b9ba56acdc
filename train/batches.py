"""Which pairs meet in a step: a pure function of the settings and the step's number.

An epoch is one permutation of the pairs, made of blocks: pairs of one repository side by side, or, when hard
negatives were mined, a pair with those it is most easily mistaken for. So a step's hard negatives are other
pairs' positives, and cost no token of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.data import Pair, group_of, repository_of


class Batches:
    """The rows of every step.

    hard: [pairs, k] rows whose code is a hard negative of the pair's query, -1 where there are fewer.
    code_share: the share of code-to-code pairs in every batch, drawn again and again if they are few; 0
    leaves them where the permutation puts them.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        size: int,
        seed: int,
        block: int = 1,
        code_share: float = 0.0,
        hard: np.ndarray | None = None,
    ):
        sources: dict[str, int] = {}
        self.sources = np.empty(len(pairs), dtype=np.int32)
        self.groups = np.empty(len(pairs), dtype=np.int64)
        code = np.zeros(len(pairs), dtype=bool)
        for row, pair in enumerate(pairs):
            key = f"{repository_of(pair)} {pair.language}"
            self.sources[row] = sources.setdefault(key, len(sources))
            self.groups[row] = group_of(pair)
            code[row] = pair.kind == "code"
        self.size, self.seed, self.block, self.hard = size, seed, block, hard
        apart = 0.0 < code_share < 1.0 and code.any() and not code.all()
        self.from_code = round(size * code_share) if apart else 0
        self.code = np.flatnonzero(code) if self.from_code else np.empty(0, dtype=np.int64)
        self.rest = np.flatnonzero(~code) if self.from_code else np.arange(len(pairs))
        self._orders: dict[str, tuple[int, np.ndarray]] = {}

    def rows(self, step: int) -> np.ndarray:
        """The pairs of a step."""
        taken = [self._take("rest", self.rest, step, self.size - self.from_code)]
        if self.from_code:
            taken.append(self._take("code", self.code, step, self.from_code))
        return np.concatenate(taken)

    def _take(self, name: str, rows: np.ndarray, step: int, size: int) -> np.ndarray:
        epoch, place = divmod(step, max(len(rows) // size, 1))
        known = self._orders.get(name)
        if known is None or known[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch, len(rows)])
            known = self._orders[name] = epoch, self._order(rows, rng)
        return known[1][place * size : (place + 1) * size]

    def _order(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.hard is not None and self.block > 1:
            return neighbour_order(rows, self.hard, self.block, rng)
        return rows[blocked_order(self.sources[rows], self.block, rng)]


def blocked_order(sources: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation in which blocks of `size` neighbours share a source: negatives as in one repository."""
    order = rng.permutation(len(sources))
    if size > 1:
        order = order[np.argsort(sources[order], kind="stable")]
        blocks = [order[at : at + size] for at in range(0, len(order), size)]
        order = np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])
    return order


def neighbour_order(rows: np.ndarray, hard: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of `rows` in blocks: a pair drawn at random, then hard negatives of it not yet placed."""
    free = np.zeros(len(hard), dtype=bool)
    free[rows] = True
    blocks: list[np.ndarray] = []
    for seed in rng.permutation(rows):
        if not free[seed]:
            continue
        free[seed] = False
        near = hard[seed]
        near = near[near >= 0]
        near = rng.permutation(near[free[near]])[: size - 1]
        free[near] = False
        blocks.append(np.concatenate(([seed], near)))
    return np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])


def pair_keys(pairs: Sequence[Pair]) -> np.ndarray:
    """A number for each pair, the same wherever and in whatever order the pairs are read."""
    import hashlib

    def key(pair: Pair) -> int:
        text = f"{pair.query}\0{pair.code}"
        return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big")

    return np.fromiter((key(pair) for pair in pairs), dtype=np.uint64, count=len(pairs))


class HardNegativesError(Exception):
    """A file of hard negatives cannot be used; the message is one line for the user."""


def write_hard_negatives(path: Path, keys: np.ndarray, negatives: np.ndarray) -> None:
    """Write {keys [n], negatives [n, k] as keys, 0 where there are fewer}; see `python -m train mine`."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as stream:
        np.savez(stream, keys=keys, negatives=negatives)
    temporary.replace(path)


def read_hard_negatives(path: Path, pairs: Sequence[Pair]) -> np.ndarray:
    """[pairs, k] rows, -1 where a pair has fewer: what `python -m train mine` found, for these pairs."""
    try:
        with np.load(path) as found:
            keys, negatives = found["keys"], found["negatives"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise HardNegativesError(
            f"{path}: no file of hard negatives ({error}); make one by `python -m train mine`"
        ) from error
    own = pair_keys(pairs)
    order = np.argsort(own, kind="stable")
    row_of = _lookup(own[order], order, negatives.ravel()).reshape(negatives.shape)
    at = _lookup(np.sort(keys), np.argsort(keys, kind="stable"), own)
    hard = np.full((len(pairs), negatives.shape[1]), -1, dtype=np.int64)
    known = at >= 0
    hard[known] = row_of[at[known]]
    if not (hard >= 0).any():
        raise HardNegativesError(f"{path}: none of these pairs is in it; mine the corpus that is trained on")
    return hard


def _lookup(ascending: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted key, -1 where there is none."""
    if not len(ascending):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[at] == wanted, rows[at], -1)
