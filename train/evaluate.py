"""Retrieval scores on flat evaluation sets: MRR@10, nDCG@10 and recall@10, with BM25 beside them.

A set is a folder with `queries.jsonl`, `corpus.jsonl` and `qrels.tsv`. A text asks among the items of its own
language; code asks among the items of one other language (drawn once, by the seed).
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modstar_lsp.encoder.words import split_words

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
# Queries that share few words with the code they want.
FEW_WORDS_SHARED = ("cosqa_dev", "concode_dev", "nl2bash")
# Small enough, and different enough, to score every exit on while a run goes on.
INTERVAL_SETS = ("concode_dev", "odex_en", "humanevalx_t2c")
# As in the published table of the sets: at most 300 queries a set, drawn with a fixed seed.
SAMPLE = 300
SEED = 13
CUT = 10


@dataclass(frozen=True, slots=True)
class FlatSet:
    """Queries, documents, and for each query its candidates and which of them answer it (row numbers)."""

    name: str
    queries: list[str]
    documents: list[str]
    candidates: list[np.ndarray]
    relevant: list[frozenset[int]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the queries of one set."""

    mrr: float
    ndcg: float
    recall: float


def load_flat_set(folder: Path, sample: int = SAMPLE, seed: int = SEED) -> FlatSet:
    """Read one set and draw up to `sample` of its queries (0: all)."""
    documents = [json.loads(line) for line in _lines(folder / "corpus.jsonl")]
    queries = [json.loads(line) for line in _lines(folder / "queries.jsonl")]
    row = {document["id"]: index for index, document in enumerate(documents)}
    wanted: dict[str, set[int]] = {}
    for line in _lines(folder / "qrels.tsv"):
        query, document, score = line.split("\t")
        if document in row and score != "0":
            wanted.setdefault(query, set()).add(row[document])
    by_language: dict[str, list[int]] = {}
    for index, document in enumerate(documents):
        by_language.setdefault(document["lang"], []).append(index)
    pools = {language: np.asarray(rows) for language, rows in by_language.items()}

    rng = random.Random(seed)
    queries = [query for query in queries if query["id"] in wanted]
    if sample and len(queries) > sample:
        queries = rng.sample(queries, sample)
    code_asks = folder.name.endswith("_c2c") or folder.name.startswith("codetrans")
    texts, candidates, relevant = [], [], []
    for query in queries:
        found = wanted[query["id"]]
        language = query["lang"]
        if code_asks:
            others = sorted({documents[index]["lang"] for index in found} - {language})
            if not others:
                continue
            language = rng.choice(others)
        pool = pools.get(language, np.arange(len(documents)))
        texts.append(query["text"])
        candidates.append(pool)
        relevant.append(frozenset(found & set(pool.tolist())))
    return FlatSet(folder.name, texts, [document["code"] for document in documents], candidates, relevant)


def load_flat_sets(root: Path, sample: int = SAMPLE, names: Sequence[str] = FLAT_SETS) -> list[FlatSet]:
    """The named sets that lie under `root`."""
    return [load_flat_set(root / name, sample) for name in names if (root / name / "queries.jsonl").is_file()]


def score_rankings(ranks: Iterable[tuple[Sequence[int], frozenset[int]]]) -> Scores:
    """Scores of (best rows in order, relevant rows) pairs."""
    mrr, ndcg, recall, n = 0.0, 0.0, 0.0, 0
    for order, relevant in ranks:
        hits = [place for place, row in enumerate(order[:CUT]) if row in relevant]
        n += 1
        if not hits:
            continue
        mrr += 1.0 / (hits[0] + 1)
        ideal = sum(1.0 / math.log2(place + 2) for place in range(min(CUT, len(relevant))))
        ndcg += sum(1.0 / math.log2(place + 2) for place in hits) / ideal
        recall += len(hits) / min(CUT, len(relevant))
    return Scores(mrr / max(n, 1), ndcg / max(n, 1), recall / max(n, 1))


def score_vectors(flat: FlatSet, queries: np.ndarray, documents: np.ndarray) -> Scores:
    """Scores of unit rows by their cosines."""

    def rankings() -> Iterable[tuple[Sequence[int], frozenset[int]]]:
        for vector, pool, relevant in zip(queries, flat.candidates, flat.relevant, strict=True):
            yield best(documents[pool] @ vector, pool), relevant

    return score_rankings(rankings())


def score_encoder(flat: FlatSet, encode: Callable[[Sequence[str]], np.ndarray]) -> Scores:
    """Scores of `encode(texts) -> unit rows` on one set."""
    return score_vectors(flat, encode(flat.queries), encode(flat.documents))


def score_bm25(flat: FlatSet, k1: float = 1.2, b: float = 0.75) -> Scores:
    """Scores of plain BM25 over `split_words`, with the statistics of each query's own candidates."""
    counts = [Counter(split_words(document)) for document in flat.documents]
    indexes: dict[int, tuple[dict[str, tuple[np.ndarray, np.ndarray]], int]] = {}
    rankings = []
    for query, pool, relevant in zip(flat.queries, flat.candidates, flat.relevant, strict=True):
        if id(pool) not in indexes:
            indexes[id(pool)] = (_postings([counts[row] for row in pool], k1, b), len(pool))
        postings, n = indexes[id(pool)]
        scores = np.zeros(n, dtype=np.float32)
        for word in dict.fromkeys(split_words(query)):
            if word in postings:
                rows, weights = postings[word]
                scores[rows] += weights
        rankings.append((best(scores, pool), relevant))
    return score_rankings(rankings)


def mrr_of_pairs(queries: np.ndarray, documents: np.ndarray, most: int = 2000) -> float:
    """MRR@10 of queries asking for the document of the same row, among up to `most` rows drawn at random."""
    rows = np.random.default_rng(0).permutation(len(queries))[:most]
    scores = queries[rows] @ documents[rows].T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
    return float(np.where(ranks <= CUT, 1.0 / ranks, 0.0).mean()) if len(rows) else 0.0


def best(scores: np.ndarray, pool: np.ndarray) -> list[int]:
    """The CUT best rows of the pool; equal scores in the pool's order."""
    k = min(CUT, len(pool))
    floor = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.flatnonzero(scores >= floor)
    return pool[near[np.argsort(-scores[near], kind="stable")[:k]]].tolist()


def mean_ndcg(scores: dict[str, Scores], names: Sequence[str] = FLAT_SETS) -> float:
    """Mean nDCG@10 over those of the named sets that were scored."""
    found = [scores[name].ndcg for name in names if name in scores]
    return sum(found) / max(len(found), 1)


def table(columns: dict[str, dict[str, Scores]], metric: str = "ndcg") -> str:
    """A Markdown table: one row a set, one column a system, means below."""
    names = list(next(iter(columns.values())))
    lines = ["| set | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = [f"{getattr(scores[name], metric):.3f}" for scores in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for title, chosen in (("mean", tuple(names)), ("mean of few words shared", FEW_WORDS_SHARED)):
        if metric == "ndcg" and all(name in names for name in chosen):
            cells = [f"{mean_ndcg(scores, chosen):.3f}" for scores in columns.values()]
            lines.append(f"| **{title}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _postings(
    counts: Sequence[Counter[str]], k1: float, b: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    lengths = np.asarray([sum(count.values()) for count in counts], dtype=np.float32)
    norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1.0))
    gathered: dict[str, tuple[list[int], list[int]]] = {}
    for row, count in enumerate(counts):
        for word, tf in count.items():
            rows, tfs = gathered.setdefault(word, ([], []))
            rows.append(row)
            tfs.append(tf)
    postings = {}
    for word, (rows, tfs) in gathered.items():
        at, many = np.asarray(rows), np.asarray(tfs, dtype=np.float32)
        idf = math.log(1 + (len(counts) - len(rows) + 0.5) / (len(rows) + 0.5))
        postings[word] = (at, idf * many * (k1 + 1) / (many + norm[at]))
    return postings


def _lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as stream:
        lines = [line.rstrip("\n") for line in stream if line.strip()]
    return lines[1:] if path.suffix == ".tsv" else lines
