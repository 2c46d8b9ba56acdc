"""Retrieval scores of a checkpoint on the flat evaluation sets, with BM25 beside it and bootstrap intervals.

Sets, BM25 and metrics are those of `evaluation`; the queries are drawn as ever, so that older records can be
repeated. A text asks among the items of its own language; code asks among the items of one other language
(drawn once, by the seed).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from evaluation import metrics
from evaluation.bm25 import PlainBM25
from evaluation.metrics import Floats, Interval, interval_of_means
from evaluation.scoring import cut, fused
from evaluation.sets import FEW_SHARED_WORDS, SetError, load_flat
from model.encoder import ModularStarEncoder
from model.prompts import Prompts
from train.encoding import encode
from train.logs import counted

# The sets on which models are compared while they train. codetrans_valid is left out: BM25 solves it.
FLAT_SETS = (
    "cosqa_dev",
    "concode_dev",
    "nl2bash",
    "csn_cloze_t2c",
    "odex_en",
    "humanevalx_t2c",
    "mbxp_t2c",
    "humanevalx_c2c",
    "mbxp_c2c",
)
# Small enough, and different enough, to score every exit on while a run goes on.
INTERVAL_SETS = ("concode_dev", "odex_en", "humanevalx_t2c")
# As in the published table of the sets: at most 300 queries a set, drawn with a fixed seed.
SAMPLE = 300
SEED = 13
CUT = 10
# Shares of an index that the deepest exit has reached, for the rows that mix it with exit 0.
DEEPENED = (0.25, 0.5, 0.75)

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FlatSet:
    """Queries, documents, and for each query its candidates and which of them answer it (row numbers).

    code_to_code: the queries are code themselves.
    """

    name: str
    queries: list[str]
    documents: list[str]
    candidates: list[np.ndarray]
    relevant: list[frozenset[int]]
    code_to_code: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics of one set, each with a value a query."""

    per_query: dict[str, Floats]

    @property
    def mrr(self) -> float:
        """MRR@10."""
        return self._mean("mrr")

    @property
    def ndcg(self) -> float:
        """nDCG@10."""
        return self._mean("ndcg")

    @property
    def recall(self) -> float:
        """recall@10, of at most ten."""
        return self._mean("recall")

    @property
    def first(self) -> float:
        """recall@1, of at most one."""
        return self._mean("first")

    def _mean(self, metric: str) -> float:
        values = self.per_query[metric]
        return float(values.mean()) if len(values) else 0.0


Table = dict[str, dict[str, Scores]]  # system -> set -> scores


def load_flat_set(root: Path, name: str, sample: int = SAMPLE, seed: int = SEED) -> FlatSet:
    """Read one set and draw up to `sample` of its queries (0: all)."""
    found = load_flat(root, name)
    row = {doc: index for index, doc in enumerate(found.doc_ids)}
    by_language: dict[str, list[int]] = {}
    for index, language in enumerate(found.doc_languages):
        by_language.setdefault(language, []).append(index)
    pools = {language: np.asarray(rows) for language, rows in by_language.items()}
    everything = np.arange(len(found.doc_ids))

    rng = random.Random(seed)
    wanted = {query: {row[doc] for doc in docs if doc in row} for query, docs in found.relevant.items()}
    asking = [at for at, query in enumerate(found.query_ids) if wanted[query]]
    if sample and len(asking) > sample:
        asking = rng.sample(asking, sample)
    code_asks = name.endswith("_c2c") or name.startswith("codetrans")
    texts, candidates, relevant = [], [], []
    for at in asking:
        answers = wanted[found.query_ids[at]]
        language = found.query_languages[at]
        if code_asks:
            others = sorted({found.doc_languages[index] for index in answers} - {language})
            if not others:
                continue
            language = rng.choice(others)
        pool = pools.get(language, everything)
        texts.append(found.queries[at])
        candidates.append(pool)
        relevant.append(frozenset(answers & set(pool.tolist())))
    return FlatSet(name, texts, list(found.codes), candidates, relevant, code_asks)


def smaller(flat: FlatSet, most: int, seed: int = SEED) -> FlatSet:
    """The same queries among at most `most` documents: all that answer one, and others drawn at random.

    An easier set, on which runs can be compared at a fraction of the cost; its figures mean nothing else.
    """
    if not 0 < most < len(flat.documents):
        return flat
    needed = sorted(set().union(*flat.relevant))
    others = np.setdiff1d(np.arange(len(flat.documents)), needed)
    drawn = np.random.default_rng(seed).permutation(others)[: max(most - len(needed), 0)]
    kept = np.sort(np.concatenate((needed, drawn))).astype(np.int64)
    place = {int(row): at for at, row in enumerate(kept)}
    pools: dict[int, np.ndarray] = {}  # queries of one language share theirs, and so does their BM25
    for pool in flat.candidates:
        if id(pool) not in pools:
            pools[id(pool)] = np.asarray([place[row] for row in pool.tolist() if row in place])
    return replace(
        flat,
        documents=[flat.documents[row] for row in kept],
        candidates=[pools[id(pool)] for pool in flat.candidates],
        relevant=[frozenset(place[row] for row in rows) for rows in flat.relevant],
    )


def encode_sets(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    sets: Sequence[FlatSet],
    longest: int,
    exits: Sequence[int] | None = None,
) -> dict[str, tuple[dict[int, Rows], dict[int, Rows]]]:
    """{set: (queries, documents)}, each {depth: unit rows}; a text of several sets is encoded once.

    As the runtime does it: a question in prose leans on exit 0 by `query_ground`, code that asks does not.
    A text stands behind the prompt of its role where there is no exit 0, which reads none.
    """
    prompts = Prompts() if 0 in model.depths else Prompts.of(model.config.training)
    prose = [text for one in sets if not one.code_to_code for text in one.queries]
    code = [text for one in sets for text in (*one.documents, *(one.queries if one.code_to_code else ()))]
    depths = None if exits is None else sorted(exits)

    def rows_of(texts: Sequence[str], role: str, ground: float) -> Callable[[Sequence[str]], dict[int, Rows]]:
        place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        read = prompts.before(list(place), role)
        found = encode(model, tokenizer, read, longest, depths, ground=ground) if place else {}
        return lambda some: {e: rows[[place[text] for text in some]] for e, rows in found.items()}

    asking, held = rows_of(prose, "query", model.config.query_ground), rows_of(code, "code", 1.0)
    return {
        one.name: ((held if one.code_to_code else asking)(one.queries), held(one.documents)) for one in sets
    }


def load_flat_sets(root: Path, sample: int = SAMPLE, names: Sequence[str] = FLAT_SETS) -> list[FlatSet]:
    """The named sets that lie under `root`; SetError when there is none."""
    there = [name for name in names if (root / name / "queries.jsonl").is_file()]
    if not there:
        raise SetError(f"no evaluation set at {root}: give --eval the folder that holds them")
    return [load_flat_set(root, name, sample) for name in there]


def score(flat: FlatSet, ranked: Callable[[int, np.ndarray], Rows]) -> Scores:
    """Scores of `ranked(number of the query, its candidates) -> a score for each candidate`."""
    n = len(flat.queries)
    gains, ideal, possible = np.zeros((n, CUT)), np.zeros((n, CUT)), np.zeros(n)
    for at, (pool, relevant) in enumerate(zip(flat.candidates, flat.relevant, strict=True)):
        order = best(ranked(at, pool), pool)
        gains[at, : len(order)] = [row in relevant for row in order]
        possible[at] = min(CUT, len(relevant))
        ideal[at, : int(possible[at])] = 1.0
    return Scores(
        {
            "mrr": metrics.reciprocal_rank(gains, CUT),
            "ndcg": metrics.ndcg(gains, ideal, CUT),
            "recall": metrics.recall(gains, possible, CUT),
            "first": metrics.recall(gains, np.minimum(possible, 1), 1),
        }
    )


def score_vectors(flat: FlatSet, queries: Rows, documents: Rows) -> Scores:
    """Scores of unit rows by their cosines."""
    return score(flat, lambda at, pool: documents[pool] @ queries[at])


class Lexical:
    """BM25 over each query's own candidates, with their statistics."""

    def __init__(self, flat: FlatSet) -> None:
        self._flat = flat
        self._built: dict[int, PlainBM25] = {}

    def __call__(self, at: int, pool: np.ndarray) -> Rows:
        if id(pool) not in self._built:
            self._built[id(pool)] = PlainBM25(self._flat.documents[row] for row in pool)
        return self._built[id(pool)].scores(self._flat.queries[at])


def score_exits(
    flat: FlatSet, queries: Mapping[int, Rows], documents: Mapping[int, Rows], nested: Sequence[int] = ()
) -> dict[str, Scores]:
    """All that is told of a model's exits on one set, by the name of its column.

    BM25; each exit alone, fused with BM25, rounded to int8, cut to the nested dimensions; every exit's
    queries against every exit's code; an index of which the deepest exit has reached a share.
    """
    return dict(counted(_scores_of_exits(flat, queries, documents, nested), f"{flat.name}: rankings scored"))


def _scores_of_exits(
    flat: FlatSet, queries: Mapping[int, Rows], documents: Mapping[int, Rows], nested: Sequence[int]
) -> Iterator[tuple[str, Scores]]:
    lexical = Lexical(flat)
    yield "BM25", score(flat, lexical)
    exits = sorted(queries)
    for e in exits:
        asked, held = queries[e], documents[e]
        yield f"exit {e}", score_vectors(flat, asked, held)
        yield f"exit {e} + BM25", score(flat, _with_bm25(asked, held, lexical))
        yield f"exit {e} int8", score_vectors(flat, rounded(asked), rounded(held))
        for width in nested:
            yield f"exit {e} at {width}", score_vectors(flat, cut(asked, width), cut(held, width))
    for asking in exits:
        for held_at in exits:
            if asking != held_at:
                yield f"{asking} asks {held_at}", score_vectors(flat, queries[asking], documents[held_at])
    if len(exits) > 1 and exits[0] == 0:
        deepest = exits[-1]
        order = np.random.default_rng(SEED).permutation(len(flat.documents))
        for share in DEEPENED:
            mixed = documents[0].copy()
            reached = order[: round(share * len(order))]
            mixed[reached] = documents[deepest][reached]
            yield f"{share:.0%} at {deepest}", score_vectors(flat, queries[deepest], mixed)


def _with_bm25(queries: Rows, documents: Rows, lexical: Lexical) -> Callable[[int, np.ndarray], Rows]:
    def ranked(at: int, pool: np.ndarray) -> Rows:
        return fused((documents[pool] @ queries[at])[None], lexical(at, pool)[None])[0]

    return ranked


def rounded(rows: Rows) -> Rows:
    """The rows as an index keeps them: int8, one scale each."""
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.rint(rows / np.maximum(steps, 1e-9)) * steps


def mrr_of_pairs(queries: Rows, documents: Rows, most: int = 2000) -> float:
    """MRR@10 of queries asking for the document of the same row, among up to `most` rows drawn at random."""
    rows = np.random.default_rng(0).permutation(len(queries))[:most]
    scores = queries[rows] @ documents[rows].T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
    return float(np.where(ranks <= CUT, 1.0 / ranks, 0.0).mean()) if len(rows) else 0.0


def best(scores: Rows, pool: np.ndarray) -> list[int]:
    """The CUT best rows of the pool; equal scores in the pool's order."""
    k = min(CUT, len(pool))
    floor = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.flatnonzero(scores >= floor)
    return pool[near[np.argsort(-scores[near], kind="stable")[:k]]].tolist()


def mean_ndcg(scores: Mapping[str, Scores], names: Sequence[str] = FLAT_SETS) -> float:
    """Mean nDCG@10 over those of the named sets that were scored."""
    found = [scores[name].ndcg for name in names if name in scores]
    return sum(found) / max(len(found), 1)


def mean_interval(scores: Mapping[str, Scores], names: Sequence[str], metric: str = "ndcg") -> Interval:
    """The mean over sets with its 95 % bootstrap interval, queries resampled within each set."""
    return interval_of_means([scores[name].per_query[metric] for name in names])


def difference(ours: Mapping[str, Scores], theirs: Mapping[str, Scores], names: Sequence[str]) -> Interval:
    """Mean over sets of nDCG@10's differences query by query, with its interval."""
    return interval_of_means(
        [ours[name].per_query["ndcg"] - theirs[name].per_query["ndcg"] for name in names]
    )


def table(columns: Table, metric: str = "ndcg") -> str:
    """A Markdown table: one row a set, one column a system, means below."""
    names = list(next(iter(columns.values())))
    lines = ["| set | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = [f"{getattr(scores[name], metric):.3f}" for scores in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for title, chosen in groups_of(names).items():
        if metric == "ndcg":
            cells = [f"{mean_ndcg(scores, chosen):.3f}" for scores in columns.values()]
            lines.append(f"| **{title}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def groups_of(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The means that are told, and the sets each is over."""
    few = tuple(name for name in names if name in FEW_SHARED_WORDS)
    groups = {"mean": tuple(names), "mean of few words shared": few}
    return {title: chosen for title, chosen in groups.items() if chosen}


def summary(columns: Table) -> str:
    """A Markdown table of the means: one row a system, with intervals, and how far it is ahead of BM25."""
    names = list(next(iter(columns.values())))
    groups = groups_of(names)
    lines = [
        "| system | " + " | ".join(f"{title} | ahead of BM25" for title in groups) + " |",
        "|---" * (2 * len(groups) + 1) + "|",
    ]
    for system, scores in columns.items():
        cells = []
        for chosen in groups.values():
            ahead = difference(scores, columns["BM25"], chosen)
            cells += [
                str(mean_interval(scores, chosen)),
                f"{ahead.mean:+.3f} [{ahead.low:+.3f}, {ahead.high:+.3f}]",
            ]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def matrix(columns: Table, exits: Sequence[int]) -> str:
    """The exit x exit table: mean nDCG@10 of every exit's queries against every exit's code."""
    lines = [
        "| query \\ code | " + " | ".join(f"exit {e}" for e in exits) + " |",
        "|---" * (len(exits) + 1) + "|",
    ]
    for a in exits:
        cells = [f"{mean_ndcg(columns[f'exit {a}' if a == b else f'{a} asks {b}']):.3f}" for b in exits]
        lines.append(f"| exit {a} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(columns: Table) -> str:
    """Means a system and set, and the means over sets with their intervals."""
    names = list(next(iter(columns.values())))

    def plain(around: Interval) -> dict[str, float]:
        return {"mean": round(around.mean, 4), "low": round(around.low, 4), "high": round(around.high, 4)}

    found: dict[str, Any] = {}
    for system, scores in columns.items():
        found[system] = {
            name: {metric: round(getattr(one, metric), 4) for metric in ("mrr", "ndcg", "recall", "first")}
            for name, one in scores.items()
        }
        for title, chosen in groups_of(names).items():
            found[system][title] = plain(mean_interval(scores, chosen))
    return json.dumps(found, indent=1) + "\n"
