"""Score a bundle on the flat sets: every exit, BM25 beside it, and each exit fused with BM25.

    python -m bench.flat --eval FOLDER [--bundle DIR] [--exits 0,2,4] [--sets cosqa_dev,nl2bash] [--matrix]

How a set is scored: the corpus is restricted to the language that the query wants. A code-to-code query
wants one other language, drawn at random (seeded) among those that hold an answer, and never finds itself.
Up to --sample queries a set, drawn with the same seed each time. The corpus is shuffled once (seeded), so
that ties are broken by chance and not by the order in which a set was written. Fusion: z-scores over the
restricted corpus, 1 for the exit and 0.3 for BM25. Without --bundle only BM25 is scored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench import metrics
from bench.bm25 import PlainBM25
from bench.record import Record, command_line, progress, table
from bench.sets import FlatSet, SetError, flat_set_names, load_flat
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.encoder.encoder import Role

Scores: TypeAlias = NDArray[np.float32]
# Scores of corpus rows for query rows of a set.
System: TypeAlias = Callable[[Sequence[int], NDArray[np.int64]], Scores]

K = 10
SAMPLE = 300
SEED = 7
# One part of BM25 to this: best of .1 to 1 for every encoder measured on (docstring, function) pairs.
BM25_WEIGHT = 0.3
# Texts handed to the encoder at once, so that progress shows.
_BATCH = 512
METRICS = ("MRR@10", "nDCG@10", "recall@10")
# Sets whose queries share few words with the code: what a model is for.
FEW_SHARED_WORDS = ("cosqa_dev", "concode_dev", "nl2bash")


@dataclass(frozen=True, slots=True)
class Task:
    """The part of a set that is scored: which queries, and which rows of the corpus each may find."""

    queries: tuple[int, ...]
    wanted: tuple[str, ...]
    order: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One system on one set: each metric's value per query."""

    values: dict[str, metrics.Floats]


def plan(flat: FlatSet, sample: int = SAMPLE, seed: int = SEED) -> Task:
    """Draw the queries, the language each one wants, and the order of the corpus."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(flat.doc_ids))
    rows = np.arange(len(flat.query_ids))
    if 0 < sample < len(rows):
        rows = np.sort(rng.choice(rows, sample, replace=False))
    language_of = dict(zip(flat.doc_ids, flat.doc_languages, strict=True))
    wanted = []
    for row in rows:
        own = flat.query_languages[row]
        if flat.code_to_code:
            relevant = flat.relevant[flat.query_ids[row]]
            others = sorted({language_of[doc] for doc in relevant if doc in language_of} - {own})
            wanted.append(others[rng.integers(len(others))] if others else own)
        else:
            wanted.append(own)
    return Task(tuple(int(row) for row in rows), tuple(wanted), order)


def score(flat: FlatSet, task: Task, system: System) -> Outcome:
    """Rank with `system(query rows, corpus rows) -> scores` language by language, and measure."""
    n = len(task.queries)
    gains, ideal, relevant = np.zeros((n, K)), np.zeros((n, K)), np.zeros(n)
    languages = np.asarray(flat.doc_languages)
    for language in sorted(set(task.wanted)):
        at = [i for i in range(n) if task.wanted[i] == language]
        rows = task.order[languages[task.order] == language]
        if not len(rows):
            rows = task.order
        scores = system([task.queries[i] for i in at], rows)
        for i, line in zip(at, scores, strict=True):
            query = flat.query_ids[task.queries[i]]
            grades = flat.relevant[query]
            line = line.astype(np.float64)
            if flat.code_to_code:
                text = flat.queries[task.queries[i]]
                itself = [
                    flat.doc_ids[row] == query.removeprefix("q-") or flat.codes[row] == text for row in rows
                ]
                line[
                    np.asarray(itself) & ~np.asarray([flat.doc_ids[row] in grades for row in rows])
                ] = -np.inf
            best = np.argsort(-line, kind="stable")[:K]
            gains[i, : len(best)] = [grades.get(flat.doc_ids[rows[j]], 0) for j in best]
            reachable = sorted((grades.get(flat.doc_ids[row], 0) for row in rows), reverse=True)
            relevant[i] = sum(grade > 0 for grade in reachable)
            ideal[i, : len(reachable[:K])] = reachable[:K]
    return Outcome(
        {
            "MRR@10": metrics.reciprocal_rank(gains, K),
            "nDCG@10": metrics.ndcg(gains, ideal, K),
            "recall@10": metrics.recall(gains, relevant, K),
        }
    )


def standardised(scores: Scores) -> Scores:
    """z-scores of each row; a row that is the same throughout says nothing and becomes 0."""
    spread = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


def fused(exit_scores: Scores, bm25_scores: Scores, weight: float = BM25_WEIGHT) -> Scores:
    """Weighted sum of z-scores: 1 for the exit, `weight` for BM25."""
    return standardised(exit_scores) + weight * standardised(bm25_scores)


def blend(exit_system: System, bm25_system: System) -> System:
    """A system that ranks by the fusion of two."""
    return lambda queries, rows: fused(exit_system(queries, rows), bm25_system(queries, rows))


class Lexical:
    """BM25 over the corpus rows of one language, built once for each."""

    def __init__(self, flat: FlatSet) -> None:
        self._flat = flat
        self._built: dict[bytes, PlainBM25] = {}

    def __call__(self, queries: Sequence[int], rows: NDArray[np.int64]) -> Scores:
        key = rows.tobytes()
        if key not in self._built:
            self._built[key] = PlainBM25(self._flat.codes[row] for row in rows)
        return self._built[key].matrix([self._flat.queries[query] for query in queries])


class Embeddings:
    """Vectors of the texts of all sets, each text encoded once per exit and role."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[tuple[int, str], dict[str, NDArray[np.float32]]] = {}

    def of(self, texts: Sequence[str], exit: int, role: Role) -> NDArray[np.float32]:
        """Unit rows for `texts`."""
        known = self._rows.setdefault((exit, role), {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for start in range(0, len(new), _BATCH):
            progress(f"exit {exit}: {start:,} of {len(new):,} texts")
            batch = new[start : start + _BATCH]
            known.update(zip(batch, self._encoder.encode(batch, exit, role), strict=True))
        return np.stack([known[text] for text in texts]).astype(np.float32)


def dense(flat: FlatSet, embeddings: Embeddings, query_exit: int, code_exit: int) -> System:
    """A system that ranks by cosine between queries at one exit and code at another."""
    role: Role = "code" if flat.code_to_code else "query"

    def system(queries: Sequence[int], rows: NDArray[np.int64]) -> Scores:
        asked = embeddings.of([flat.queries[query] for query in queries], query_exit, role)
        return asked @ embeddings.of([flat.codes[row] for row in rows], code_exit, "code").T

    return system


def evaluate(
    flat: FlatSet,
    embeddings: Embeddings | None,
    exits: Sequence[int],
    *,
    sample: int = SAMPLE,
    seed: int = SEED,
    matrix: bool = False,
) -> tuple[dict[str, Outcome], dict[tuple[int, int], Outcome]]:
    """All systems on one set, and with `matrix` every exit's query against every exit's code."""
    task, lexical = plan(flat, sample, seed), Lexical(flat)
    outcomes = {"BM25": score(flat, task, lexical)}
    crossed: dict[tuple[int, int], Outcome] = {}
    if embeddings is None:
        return outcomes, crossed
    for depth in exits:
        alone = dense(flat, embeddings, depth, depth)
        outcomes[f"exit {depth}"] = score(flat, task, alone)
        outcomes[f"exit {depth} + BM25"] = score(flat, task, blend(alone, lexical))
    for asked in exits if matrix else ():
        for held in exits:
            crossed[asked, held] = score(flat, task, dense(flat, embeddings, asked, held))
    return outcomes, crossed


def groups_of(sets: Sequence[FlatSet]) -> dict[str, list[str]]:
    """The means that are reported, and the sets each is over."""
    groups = {
        "mean of all": [flat.name for flat in sets],
        "mean of text to code": [flat.name for flat in sets if not flat.code_to_code],
        "mean of code to code": [flat.name for flat in sets if flat.code_to_code],
        "mean of few shared words": [flat.name for flat in sets if flat.name in FEW_SHARED_WORDS],
    }
    return {name: members for name, members in groups.items() if len(members) > 1}


def report(record: Record, sets: Sequence[FlatSet], outcomes: dict[str, dict[str, Outcome]]) -> None:
    """Fill `record` with a table per metric and one of the differences from BM25."""
    systems = list(next(iter(outcomes.values())))
    groups = groups_of(sets)
    results: dict[str, Any] = {
        flat.name: {
            "queries": len(next(iter(outcomes[flat.name].values())).values["MRR@10"]),
            "corpus": len(flat.doc_ids),
            "task": "code to code" if flat.code_to_code else "text to code",
            "systems": {},
        }
        for flat in sets
    } | {name: {"sets": members, "systems": {}} for name, members in groups.items()}
    for metric in METRICS:
        rows = []
        for name in [*outcomes, *groups]:
            row = [name]
            for system in systems:
                if name in outcomes:
                    around = metrics.interval(outcomes[name][system].values[metric])
                else:
                    around = metrics.interval_of_means(
                        [outcomes[s][system].values[metric] for s in groups[name]]
                    )
                row.append(str(around))
                results[name]["systems"].setdefault(system, {})[metric] = _plain(around)
            rows.append(row)
        record.tables.append(table(f"{metric} [95 % bootstrap interval]", ["set", *systems], rows))
    if len(systems) > 1:
        rows = []
        for name in [*outcomes, *groups]:
            row = [name]
            for system in systems[1:]:
                around = _difference([outcomes[s] for s in groups.get(name, [name])], system)
                row.append(f"{around.mean:+.3f} [{around.low:+.3f}, {around.high:+.3f}]")
                results[name]["systems"][system]["nDCG@10 - BM25"] = _plain(around)
            rows.append(row)
        record.tables.append(table("nDCG@10 minus BM25's, paired", ["set", *systems[1:]], rows))
    record.results["sets"] = results


def _difference(parts: Sequence[dict[str, Outcome]], system: str) -> metrics.Interval:
    each = [part[system].values["nDCG@10"] - part["BM25"].values["nDCG@10"] for part in parts]
    return metrics.interval(each[0]) if len(each) == 1 else metrics.interval_of_means(each)


def report_matrix(
    record: Record, crossed: dict[str, dict[tuple[int, int], Outcome]], exits: Sequence[int]
) -> None:
    """Add the exit x exit table: the mean over sets of MRR@10."""
    mean = {
        pair: float(np.mean([outcomes[pair].values["MRR@10"].mean() for outcomes in crossed.values()]))
        for pair in next(iter(crossed.values()))
    }
    rows = [[f"query at {asked}", *(f"{mean[asked, held]:.3f}" for held in exits)] for asked in exits]
    record.tables.append(
        table("MRR@10 across exits, mean of the sets", ["", *(f"code at {e}" for e in exits)], rows)
    )
    record.results["matrix"] = {
        "mean": {f"{asked}->{held}": round(value, 4) for (asked, held), value in mean.items()},
        **{
            name: {f"{a}->{h}": round(float(o.values["MRR@10"].mean()), 4) for (a, h), o in outcomes.items()}
            for name, outcomes in crossed.items()
        },
    }


def _plain(around: metrics.Interval) -> dict[str, float]:
    return {"mean": round(around.mean, 4), "low": round(around.low, 4), "high": round(around.high, 4)}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.flat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help='a bundle; "default" is the packaged one')
    parser.add_argument("--exits", default="", help="depths, e.g. 0,2,4 (all of the bundle)")
    parser.add_argument("--sets", default="", help="names, e.g. cosqa_dev,nl2bash (all flat ones)")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="queries a set; 0 = all (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--matrix", action="store_true", help="also every exit's query against every exit's code"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where results go"
    )
    args = parser.parse_args(argv)
    try:
        names = [name for name in args.sets.split(",") if name] or flat_set_names(args.eval)
        sets = [load_flat(args.eval, name) for name in names]
        embeddings, exits, digest = None, [], ""
        if args.bundle:
            from modstar_lsp.encoder import Encoder, open_bundle

            bundle = open_bundle(None if str(args.bundle) == "default" else args.bundle)
            embeddings, digest = Embeddings(Encoder(bundle)), bundle.digest
            exits = [int(depth) for depth in args.exits.split(",") if depth] or [
                e.depth for e in bundle.exits
            ]
    except (SetError, ModstarError) as error:
        print(f"bench.flat: {error}", file=sys.stderr)
        return 2
    if not sets:
        print(f"bench.flat: no flat set below {args.eval}", file=sys.stderr)
        return 2
    drawn = f"up to {args.sample} queries a set" if args.sample > 0 else "all queries"
    record = Record(
        what="flat",
        command=command_line("bench.flat", argv),
        bundle=digest,
        inputs={name: value for flat in sets for name, value in flat.digests.items()},
        notes=[
            f"{drawn}, seed {args.seed}; corpus in the wanted language",
            f"BM25: words split, stop words kept, k1 1.2, b .75; fusion: z-scores, 1 : {BM25_WEIGHT}",
        ],
    )
    outcomes, crossed = {}, {}
    for flat in sets:
        outcomes[flat.name], crossed[flat.name] = evaluate(
            flat, embeddings, exits, sample=args.sample, seed=args.seed, matrix=args.matrix
        )
        progress("")
        shown = "  ".join(
            f"{name} {out.values['MRR@10'].mean():.3f}" for name, out in outcomes[flat.name].items()
        )
        print(f"{flat.name:18} MRR@10  {shown}", file=sys.stderr)
    report(record, sets, outcomes)
    if args.matrix and exits:
        report_matrix(record, crossed, exits)
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
