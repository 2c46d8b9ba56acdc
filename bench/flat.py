"""Score a bundle on the flat sets: every exit, BM25 and published encoders beside it, and fusions with BM25.

    python -m bench.flat --eval FOLDER --bundle default [--exits 0,4] [--sets cosqa_dev,nl2bash]
        [--baseline MINILM --baseline E5 "query: " "passage: " --split] [--checkpoint FOLDER]
        [--dimensions 128] [--deepened] [--matrix] [--cache FILE]

How a set is scored: the corpus is restricted to the language that the query wants. A code-to-code query
wants one other language, drawn at random (seeded) among those that hold an answer, and never finds itself.
Up to --sample queries a set, drawn with the same seed each time. The corpus is shuffled once (seeded), so
that ties are broken by chance and not by the order in which a set was written. Fusion: z-scores over the
restricted corpus, 1 for the exit and 0.3 for BM25. Without --bundle and --baseline only BM25 is scored. All
differences are paired: the same queries for both. The means leave out the set that BM25 solves.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.baselines import Baseline, BaselineError, CheckpointEncoder
from bench.options import numbers
from bench.vectors import Embeddings, VectorCache
from evaluation import metrics
from evaluation.bm25 import PlainBM25
from evaluation.record import Record, command_line, progress, table
from evaluation.scoring import BM25_WEIGHT, Scores, cut, fused
from evaluation.sets import FEW_SHARED_WORDS, FlatSet, SetError, flat_set_names, load_flat
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from modstar_lsp.encoder.encoder import Role

# Scores of corpus rows for query rows of a set.
System: TypeAlias = Callable[[Sequence[int], NDArray[np.int64]], Scores]

K = 10
SAMPLE = 300
SEED = 7
# Shares of an index that the deepest exit has reached, the rest being at the shallowest.
DEEPENED = (0.25, 0.5, 0.75)
METRICS = ("nDCG@10", "MRR@10", "recall@1", "recall@10")
# Languages with fewer queries are left out of the table by language.
LEAST_QUERIES = 30
# BM25 solves these: a smoke test, and no part of the means.
SATURATED = ("codetrans_valid",)


@dataclass(frozen=True, slots=True)
class Task:
    """The part of a set that is scored: which queries, and which rows of the corpus each may find."""

    queries: tuple[int, ...]
    wanted: tuple[str, ...]
    order: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One system on one set: each metric's value per query, and the language each query wants."""

    values: dict[str, metrics.Floats]
    wanted: tuple[str, ...]


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
            "recall@1": metrics.recall(gains, np.minimum(relevant, 1), 1),
            "recall@10": metrics.recall(gains, relevant, K),
        },
        task.wanted,
    )


def blend(exit_system: System, bm25_system: System) -> System:
    """A system that ranks by the fusion of two."""
    return lambda queries, rows: fused(exit_system(queries, rows), bm25_system(queries, rows))


class Lexical:
    """BM25 over the corpus rows of one language, built once for each."""

    def __init__(self, flat: FlatSet) -> None:
        self._flat = flat
        self._built: dict[bytes, PlainBM25] = {}
        self._scored: dict[tuple[bytes, tuple[int, ...]], Scores] = {}

    def __call__(self, queries: Sequence[int], rows: NDArray[np.int64]) -> Scores:
        key = rows.tobytes()
        if key not in self._built:
            self._built[key] = PlainBM25(self._flat.codes[row] for row in rows)
        asked = key, tuple(queries)
        if asked not in self._scored:  # every fusion asks for the same
            self._scored[asked] = self._built[key].matrix([self._flat.queries[query] for query in queries])
        return self._scored[asked]


def dense(flat: FlatSet, embeddings: Embeddings, query_exit: int, code_exit: int, width: int = 0) -> System:
    """A system that ranks by cosine between queries at one exit and code at another.

    width: only so many of the first values count, of unit length again (0: all).
    """
    role: Role = "code" if flat.code_to_code else "query"

    def system(queries: Sequence[int], rows: NDArray[np.int64]) -> Scores:
        asked = embeddings.of([flat.queries[query] for query in queries], query_exit, role)
        held = embeddings.of([flat.codes[row] for row in rows], code_exit, "code")
        return cut(asked, width) @ cut(held, width).T

    return system


def deepened(flat: FlatSet, embeddings: Embeddings, shallow: int, deep: int, share: float) -> System:
    """Queries at the deep exit over an index of which it has reached a share, drawn at random (seeded)."""
    role: Role = "code" if flat.code_to_code else "query"
    reached = np.random.default_rng(SEED).permutation(len(flat.codes)) < round(share * len(flat.codes))

    def system(queries: Sequence[int], rows: NDArray[np.int64]) -> Scores:
        asked = embeddings.of([flat.queries[query] for query in queries], deep, role)
        codes = [flat.codes[row] for row in rows]
        early, late = (embeddings.of(codes, depth, "code") for depth in (shallow, deep))
        return asked @ np.where(reached[rows][:, None], late, early).T

    return system


@dataclass(frozen=True, slots=True, kw_only=True)
class Contenders:
    """What is scored beside BM25.

    baselines: published encoders by name.  full: the checkpoint of the bundle, at full precision.
    dimensions: to how many values the exits' vectors are cut.  deepened, matrix: mixtures of exits.
    """

    exits: Sequence[int] = ()
    bundle: Embeddings | None = None
    full: Embeddings | None = None
    baselines: Mapping[str, Embeddings] = field(default_factory=dict)
    dimensions: Sequence[int] = ()
    deepened: bool = False
    matrix: bool = False

    def systems(self, flat: FlatSet) -> dict[str, System]:
        """All systems on one set, by name."""
        lexical = Lexical(flat)
        found: dict[str, System] = {"BM25": lexical}
        for name, embeddings in self.baselines.items():
            found[name] = dense(flat, embeddings, 0, 0)
            found[f"{name} + BM25"] = blend(found[name], lexical)
        if self.bundle is None:
            return found
        for depth in self.exits:
            found[f"exit {depth}"] = dense(flat, self.bundle, depth, depth)
            found[f"exit {depth} + BM25"] = blend(found[f"exit {depth}"], lexical)
            for width in self.dimensions:
                found[f"exit {depth} at {width}"] = dense(flat, self.bundle, depth, depth, width)
            if self.full is not None:
                found[f"exit {depth} fp32"] = dense(flat, self.full, depth, depth)
        for asked in self.exits if self.matrix else ():
            for held in self.exits:
                if asked != held:
                    found[f"{asked} asks {held}"] = dense(flat, self.bundle, asked, held)
        if self.deepened and len(self.exits) > 1:
            shallow, deep = min(self.exits), max(self.exits)
            found[f"{deep} asks {shallow}"] = dense(flat, self.bundle, deep, shallow)
            for share in DEEPENED:
                found[f"{share:.0%} at {deep}"] = deepened(flat, self.bundle, shallow, deep, share)
        return found


def evaluate(
    flat: FlatSet, contenders: Contenders | None = None, *, sample: int = SAMPLE, seed: int = SEED
) -> dict[str, Outcome]:
    """All systems on one set."""
    task = plan(flat, sample, seed)
    systems = (contenders or Contenders()).systems(flat)
    return {name: score(flat, task, system) for name, system in systems.items()}


def groups_of(sets: Sequence[FlatSet]) -> dict[str, list[str]]:
    """The means that are reported, and the sets each is over."""
    hard = [flat for flat in sets if flat.name not in SATURATED]
    groups = {
        "mean": [flat.name for flat in hard],
        "mean of text to code": [flat.name for flat in hard if not flat.code_to_code],
        "mean of code to code": [flat.name for flat in hard if flat.code_to_code],
        "mean of few shared words": [flat.name for flat in hard if flat.name in FEW_SHARED_WORDS],
    }
    return {name: members for name, members in groups.items() if len(members) > 1}


class Report:
    """The tables of a record, each made from the outcomes of all sets: {set: {system: outcome}}."""

    def __init__(
        self, record: Record, sets: Sequence[FlatSet], outcomes: Mapping[str, Mapping[str, Outcome]]
    ) -> None:
        self.record, self.outcomes = record, outcomes
        self.groups = {name: [name] for name in outcomes} | groups_of(sets)
        self._levels: dict[tuple[str, str, str], metrics.Interval] = {}
        systems = list(next(iter(outcomes.values())))
        self.results: dict[str, Any] = {
            flat.name: {
                "queries": len(outcomes[flat.name]["BM25"].values["nDCG@10"]),
                "corpus": len(flat.doc_ids),
                "task": "code to code" if flat.code_to_code else "text to code",
            }
            for flat in sets
        } | {name: {"sets": members} for name, members in groups_of(sets).items()}
        for group in self.groups:
            self.results[group]["systems"] = {
                system: {metric: _plain(self._level(group, system, metric)) for metric in METRICS}
                for system in systems
            }
        record.results["sets"] = self.results

    def levels(self, metric: str, systems: Sequence[str], note: str = "") -> None:
        """A row a set, a column a system."""
        rows = [
            [group, *(str(self._level(group, system, metric)) for system in systems)] for group in self.groups
        ]
        title = f"{metric} [95 % bootstrap interval]"
        self._add(title + note, ["set", *systems], rows)

    def differences(self, title: str, pairs: Mapping[str, tuple[str, str]]) -> None:
        """A row a set, a column {label: (one system, minus the other)}: nDCG@10 over the same queries."""
        rows, kept = [], {}
        for group in self.groups:
            found = {label: self._difference(group, *pair) for label, pair in pairs.items()}
            rows.append([group, *(_signed(around) for around in found.values())])
            kept[group] = {label: _plain(around) for label, around in found.items()}
        self._add(title, ["set", *pairs], rows)
        self.record.results.setdefault("differences", {})[title] = kept

    def crossed(self, title: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
        """The mean of nDCG@10's differences: a row for each of ours, a column for each system it is less."""
        rows, kept = [], {}
        for one in ours:
            found = {other: self._difference(self._all, one, other) for other in theirs}
            rows.append([one, *(_signed(around) for around in found.values())])
            kept[one] = {other: _plain(around) for other, around in found.items()}
        self._add(title, ["", *theirs], rows)
        self.record.results.setdefault("differences", {})[title] = kept

    def matrix(self, exits: Sequence[int]) -> None:
        """Every exit's queries against every exit's code: the mean of nDCG@10."""
        rows = []
        for asked in exits:
            names = [f"exit {asked}" if asked == held else f"{asked} asks {held}" for held in exits]
            rows.append(
                [f"query at {asked}", *(str(self._level(self._all, name, "nDCG@10")) for name in names)]
            )
        self._add("nDCG@10 across exits, mean of the sets", ["", *(f"code at {e}" for e in exits)], rows)

    def by_language(self, systems: Sequence[str]) -> None:
        """A row a language of the code: nDCG@10 over the queries of all sets together."""
        members = self.groups[self._all]
        wanted = np.array([language for name in members for language in self.outcomes[name]["BM25"].wanted])
        rows, kept = [], {}
        for language, count in sorted(Counter(wanted.tolist()).items()):
            if count < LEAST_QUERIES:
                continue
            found = {}
            for system in systems:
                values = np.concatenate([self.outcomes[name][system].values["nDCG@10"] for name in members])
                found[system] = metrics.interval(values[wanted == language])
            rows.append([language, str(count), *map(str, found.values())])
            kept[language] = {system: _plain(around) for system, around in found.items()}
        title = "nDCG@10 [95 % bootstrap interval] by the language of the code"
        self._add(title, ["language", "queries", *systems], rows)
        self.record.results["languages"] = kept

    def _add(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.record.tables.append(table(title, header, rows))

    @property
    def _all(self) -> str:
        """The group that stands for everything: the mean, or the one set there is."""
        return "mean" if "mean" in self.groups else next(iter(self.groups))

    def _level(self, group: str, system: str, metric: str) -> metrics.Interval:
        known = self._levels.get((group, system, metric))
        if known is None:
            each = [self.outcomes[name][system].values[metric] for name in self.groups[group]]
            known = self._levels[group, system, metric] = _mean(each)
        return known

    def _difference(self, group: str, ours: str, theirs: str) -> metrics.Interval:
        found = [self.outcomes[name] for name in self.groups[group]]
        return _mean([one[ours].values["nDCG@10"] - one[theirs].values["nDCG@10"] for one in found])


def _mean(each: list[metrics.Floats]) -> metrics.Interval:
    return metrics.interval(each[0]) if len(each) == 1 else metrics.interval_of_means(each)


def report(
    record: Record,
    sets: Sequence[FlatSet],
    outcomes: Mapping[str, Mapping[str, Outcome]],
    contenders: Contenders,
) -> None:
    """Fill `record` with the tables that the contenders allow."""
    told = Report(record, sets, outcomes)
    exits = contenders.exits if contenders.bundle else ()
    own = [name for depth in exits for name in (f"exit {depth}", f"exit {depth} + BM25")]
    published = [name for one in contenders.baselines for name in (one, f"{one} + BM25")]
    for metric in METRICS:
        told.levels(metric, ["BM25", *own])
    told.by_language(["BM25", *contenders.baselines, *(f"exit {depth}" for depth in exits)])
    if own:
        told.differences("nDCG@10 minus BM25's, paired", {name: (name, "BM25") for name in own})
    if published:
        told.levels("nDCG@10", ["BM25", *published], ", published encoders")
    if published and own:
        alone, deepest = list(contenders.baselines), f"exit {max(exits)}"
        told.crossed("nDCG@10 minus a published encoder's, mean of the sets, paired", own, published)
        told.differences(
            f"nDCG@10 of {deepest} minus a published encoder's, paired",
            {name: (deepest, name) for name in alone},
        )
    if contenders.full and exits:
        told.differences(
            "nDCG@10 of the bundle minus its checkpoint's in fp32, paired",
            {f"exit {depth}": (f"exit {depth}", f"exit {depth} fp32") for depth in exits},
        )
    for width in contenders.dimensions if exits else ():
        told.differences(
            f"nDCG@10 of the first {width} values minus all, paired",
            {f"exit {depth}": (f"exit {depth} at {width}", f"exit {depth}") for depth in exits},
        )
    if contenders.deepened and len(exits) > 1:
        shallow, deep = min(exits), max(exits)
        shares = [f"{share:.0%} at {deep}" for share in DEEPENED]
        told.levels(
            "nDCG@10",
            [f"exit {shallow}", f"{deep} asks {shallow}", *shares, f"exit {deep}"],
            f", an index of which exit {deep} has reached a share",
        )
    if contenders.matrix and exits:
        told.matrix(exits)


def _plain(around: metrics.Interval) -> dict[str, float]:
    return {"mean": round(around.mean, 4), "low": round(around.low, 4), "high": round(around.high, 4)}


def _signed(around: metrics.Interval) -> str:
    return f"{around.mean:+.3f} [{around.low:+.3f}, {around.high:+.3f}]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.flat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    add("--sets", default="", help="names, e.g. cosqa_dev,nl2bash (all flat ones)")
    add("--sample", type=int, default=SAMPLE, help="queries a set; 0 = all (%(default)s)")
    add("--seed", type=int, default=SEED)
    add("--bundle", type=Path, metavar="DIR", help='a bundle; "default" is the packaged one')
    add("--exits", type=numbers, default=(), help="depths, e.g. 0,2,4 (all of the bundle)")
    what = "the bundle's checkpoint: what the bundle loses to it (needs the extra `train`)"
    add("--checkpoint", type=Path, metavar="DIR", help=what)
    add("--dimensions", type=numbers, default=(), help="also the exits' vectors cut, e.g. to 128,64 values")
    add("--deepened", action="store_true", help="also an index that the deepest exit has reached in part")
    add("--matrix", action="store_true", help="also every exit's query against every exit's code")
    what = (
        "a published encoder's folder of transformers, and the prompts before a query and before code where "
        "the folder names none; once for each encoder (needs the extra `train`)"
    )
    add("--baseline", nargs="+", action="append", default=[], metavar=("DIR", "PROMPT"), help=what)
    add("--split", action="store_true", help="also the baselines on text whose identifiers are taken apart")
    add("--cache", type=Path, metavar="FILE", help="keep vectors here, for the next run")
    add("--threads", type=int, default=0, help="cores to use (all)")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="where results go")
    return parser


def _contenders(args: argparse.Namespace) -> tuple[Contenders, str, dict[str, str]]:
    """(what is scored, the bundle's digest, the digests of what else is read)."""
    cache = VectorCache(args.cache) if args.cache else None
    digest, digests = "", {}
    bundle, full, exits, baselines = None, None, args.exits, {}
    if args.bundle:
        from modstar_lsp.encoder import Encoder, open_bundle

        opened = open_bundle(None if str(args.bundle) == "default" else args.bundle)
        digest = opened.digest
        bundle = Embeddings(
            Encoder(opened, threads=args.threads or None, dimension=opened.dimension), digest, cache
        )
        exits = exits or tuple(one.depth for one in opened.exits)
        if args.checkpoint:
            checkpoint = CheckpointEncoder(args.checkpoint, opened.max_tokens)
            full, digests["checkpoint"] = Embeddings(checkpoint, checkpoint.digest, cache), checkpoint.digest
    for folder, *prompts in args.baseline:
        if len(prompts) not in (0, 2):
            raise BaselineError(f"{folder}: give two prompts, for queries and for code, or none")
        named = dict(zip(("query", "code"), prompts, strict=False))
        for split in (False, True) if args.split else (False,):
            one = Baseline(Path(folder), split=split, prompts=named)
            baselines[one.name] = Embeddings(one, one.digest, cache)
            digests[f"baseline {one.name}"] = one.digest
    found = Contenders(
        bundle=bundle,
        exits=exits,
        full=full,
        baselines=baselines,
        dimensions=args.dimensions,
        deepened=args.deepened,
        matrix=args.matrix,
    )
    return found, digest, digests


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(argv)
    if args.threads and (args.baseline or args.checkpoint):
        import torch

        torch.set_num_threads(args.threads)
    outcomes: dict[str, dict[str, Outcome]] = {}
    try:
        names = [name for name in args.sets.split(",") if name] or flat_set_names(args.eval)
        sets = [load_flat(args.eval, name) for name in names]
        if not sets:
            raise SetError(f"no flat set below {args.eval}")
        contenders, digest, digests = _contenders(args)
        for flat in sets:
            outcomes[flat.name] = evaluate(flat, contenders, sample=args.sample, seed=args.seed)
            progress("")
            shown = "  ".join(
                f"{name} {one.values['nDCG@10'].mean():.3f}" for name, one in outcomes[flat.name].items()
            )
            print(f"{flat.name:18} nDCG@10  {shown}", file=sys.stderr, flush=True)
    except (SetError, ModstarError, BaselineError, sqlite3.Error) as error:
        print(f"bench.flat: {error}", file=sys.stderr)
        return 2
    drawn = f"up to {args.sample} queries a set" if args.sample > 0 else "all queries"
    record = Record(
        what="flat" if digest or not args.baseline else "flat-baselines",
        command=command_line("bench.flat", argv),
        bundle=digest,
        inputs={name: value for flat in sets for name, value in flat.digests.items()} | digests,
        notes=[
            f"{drawn}, seed {args.seed}; corpus in the wanted language",
            f"BM25: words split, stop words kept, k1 1.2, b .75; fusion: z-scores, 1 : {BM25_WEIGHT}",
            f"the means leave out {', '.join(SATURATED)}, which BM25 solves",
        ],
    )
    report(record, sets, outcomes, contenders)
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
