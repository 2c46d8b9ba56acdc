"""Which weights rank best? Fits the ranking's rules together with what the cosine is worth at each exit.

    python -m bench.tune --eval EVAL --trees TREES [--bundle DIR] [--exits 0,4,6] [--keep FILE] [--write]

Every question of the repository sets and every docstring (bench.docstrings) is asked at each exit. At the
deeper exits the chunks that may answer are embedded there, the others keep exit 0's vectors, as in an index
that has deepened where it was asked.

The weights make the right answers likeliest, where the likelihood is a softmax over the files of a question
(over the chunks for docstrings) by score: cross-entropy by list, as in Cao et al., "Learning to Rank: From
Pairwise Approach to Listwise Approach" (2007), by coordinate ascent. nDCG itself has steps, and its best
weights on some hundred questions do not carry over to other repositories. Judged on repositories that were
left out of the fit, by nDCG@10 over files (MRR@10 over chunks for docstrings), beside the weights as they
are, and beside a ranking without a model that was fitted for itself: that one is the model's honest rival.

Exits that hardly differ share one weight of the cosine by `--one-weight`: what is fitted to a few hundred
questions for each by itself differs by chance, and a deeper exit then ranks worse for its weight alone.

`--keep` stores the candidates, so that trying rules and weights takes seconds. `--write` puts the weight of
the cosine at each exit into the manifest of the bundle; then `python -m bench.calibrate --write` is due. The
weights of the rules are the same for all models and stand in `modstar_lsp/search/ranking.py`.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.asking import (
    ASKED,
    ASKED_ROOT,
    COMMITS,
    DOCSTRINGS,
    FUNCTION_SETS,
    HELD_OUT,
    ISSUE_FUNCTIONS,
    ISSUE_TITLES,
    ISSUES,
    REPO_SETS,
    SETS,
    Answer,
    Sources,
    ask,
    deepen_where_asked,
)
from bench.options import depths, numbers
from bundle.manifest import update_manifest
from evaluation import metrics
from evaluation.record import Record, command_line, progress, table
from evaluation.sets import SetError, load_repos
from modstar_lsp.encoder import Bundle, open_bundle
from modstar_lsp.encoder.bundle import DEFAULT_FOLDER
from modstar_lsp.errors import ModstarError
from modstar_lsp.search import Options
from modstar_lsp.search.calibrate import Calibration
from modstar_lsp.search.ranking import RULES, WEIGHTS, features, weighed

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
# What the weights are: one of each rule, that of `dense` replaced by one of each exit ("dense@4") unless they
# share one.
Weights: TypeAlias = dict[str, float]

NAMES = tuple(rule for rule in RULES if rule in WEIGHTS)
# The sets hold too few of these to measure.
FIXED = ("type_stub", "prose", "settings_file")
K = 10
FOLDS = 5
# Files of a question that the likelihood looks at: its best ones and the right ones.
RIVALS = 40
# The fitted weights are held back from growing by this much of their squares: the sets are small.
RIDGE = 2e-3
# Coordinate ascent: the first step of a weight, and the one below which it rests.
STEP, REST = 0.1, 0.004
SWEEPS = 40
# How often the best chunk of a file is chosen again under the weights found so far.
ROUNDS = 3
# The sets count by what the product is for: a place in a repository, an issue's files, a function (by its
# docstring, by a question in plain words), a change's files.
SHARE = {
    "repos": 0.3,
    ISSUES: 0.1,
    DOCSTRINGS: 0.15,
    ASKED: 0.3,
    ASKED_ROOT: 0.15,
    HELD_OUT: 0.3,
    ISSUE_FUNCTIONS: 0.1,
    ISSUE_TITLES: 0.1,
    COMMITS: 0.1,
}
NO_MODEL = None  # in place of an exit


@dataclass(frozen=True, slots=True)
class Asked:
    """A set asked at one exit: its candidates, sorted by question, then by unit (file or chunk).

    columns: float32 [candidates, rules].  files: of each candidate, none in two questions.  unit: first
    candidate of each unit.  question, right: of each unit.
    answers: right units there are, and tree, of each question.  one_weight: whether all exits share that of
    the cosine.
    """

    of_set: str
    depth: int | None
    columns: NDArray[np.float32]
    files: NDArray[np.int32]
    unit: NDArray[np.intp]
    question: NDArray[np.intp]
    right: Flags
    answers: NDArray[np.intp]
    tree: NDArray[np.str_]
    one_weight: bool = False

    @classmethod
    def of(cls, answers: Sequence[Answer], one_weight: bool = False) -> Asked:
        """What the rules say about the candidates for the questions of one set at one exit."""
        columns: list[NDArray[np.float32]] = []
        of_files: list[NDArray[np.int32]] = []
        units: list[NDArray[np.intp]] = []
        right: list[Flags] = []
        for answer in answers:
            if answer.found is None:
                columns.append(np.zeros((0, len(NAMES)), np.float32))
                of_files.append(np.zeros(0, np.int32))
                units.append(np.zeros(0, np.intp))
                right.append(np.zeros(0, bool))
                continue
            query, found = answer.found
            of_file = answer.of_set not in FUNCTION_SETS
            files = found.files if of_file else np.arange(len(found.rows), dtype=np.int32)
            order = np.argsort(files, kind="stable")
            columns.append(features(found, query, NAMES)[order])
            of_files.append(np.unique(found.files[order], return_inverse=True)[1].astype(np.int32))
            units.append(np.flatnonzero(np.r_[True, np.diff(files[order]) != 0]))
            right.append(answer.right[order][units[-1]])
        begins = np.cumsum([0, *map(len, columns)])
        numbers = zip(of_files, begins, strict=False)  # no question has more files than candidates
        return cls(
            answers[0].of_set,
            answers[0].depth,
            np.concatenate(columns),
            np.concatenate([files + np.int32(begin) for files, begin in numbers]),
            np.concatenate([unit + begin for unit, begin in zip(units, begins, strict=False)]),
            np.repeat(np.arange(len(units)), [len(unit) for unit in units]),
            np.concatenate(right),
            np.array([answer.answers for answer in answers]),
            np.array([answer.tree for answer in answers]),
            one_weight,
        )

    @property
    def n(self) -> int:
        return len(self.answers)

    def vector(self, weights: Weights) -> NDArray[np.float32]:
        """The weight of each column."""
        return np.array([weights.get(self.key(name), 0.0) for name in NAMES], np.float32)

    def key(self, rule: str) -> str:
        """What the weight of `rule` is called at this exit."""
        return cosine_key(self.depth, self.one_weight) if rule == "dense" else rule

    def scores(self, weights: Weights) -> NDArray[np.float32]:
        """The score of each unit, that of its best candidate."""
        best: NDArray[np.float32] = np.maximum.reduceat(self.candidate_scores(weights), self.unit)
        return best

    def candidate_scores(self, weights: Weights) -> NDArray[np.float32]:
        """The score of each candidate, as the search has it."""
        named = dict(zip(NAMES, self.vector(weights).tolist(), strict=True))
        return weighed(self.columns, self.files, NAMES, named).sum(axis=1)

    def values(self, weights: Weights) -> Floats:
        """nDCG@10, or MRR@10 for docstrings, of each question."""
        rank = places_of(self.scores(weights), self.question)
        if self.of_set in FUNCTION_SETS:
            gain = np.where(self.right & (rank < K), 1 / (rank + 1.0), 0.0)
            best = np.zeros(self.n)
            np.maximum.at(best, self.question, gain)
            return best
        gain = np.where(self.right & (rank < K), 1 / np.log2(rank + 2.0), 0.0)
        ideal = np.cumsum(1 / np.log2(np.arange(K) + 2.0))[np.minimum(self.answers, K) - 1]
        return np.bincount(self.question, gain, self.n) / ideal


def cosine_key(depth: int | None, one_weight: bool) -> str:
    """What the weight of the cosine at `depth` is called."""
    return "dense" if one_weight else f"dense@{depth}"


def places_of(scores: NDArray[np.floating], question: NDArray[np.intp]) -> NDArray[np.intp]:
    """The place, from 0, of each unit among those of its question, which are neighbours."""
    order = np.lexsort((-scores, question))
    rank = np.empty(len(order), np.intp)
    first = np.searchsorted(question, question)
    rank[order] = np.arange(len(order)) - first
    return rank


# -- asking


def ask_all(sources: Sources, name: str, depth: int | None, best: int | None = None) -> Iterator[Answer]:
    """The questions of the set `name` at `depth`. best: as `deepen_where_asked` takes it."""
    options = Options(dense=False) if depth is None else Options(depth=depth)
    for place in sources.places(name, depth or 0):
        progress(f"{name}: {place.name} at exit {depth}")
        texts = [question.text for question in place.questions]
        deepen_where_asked(place.workspace, texts, depth or 0, best)
        for question in place.questions:
            found = ask(place.workspace, question.text, options)
            chunks = found[1].chunks if found else ()
            right = np.array([question.is_right(chunk) for chunk in chunks], bool)
            yield Answer(name, place.name, depth, question.answers, found, right)
    progress("")


def grouped(answers: Iterable[Answer], one_weight: bool = False) -> list[Asked]:
    """The answers of each set at each exit, the sets one after the other, the exits ascending."""
    groups: dict[tuple[str, int | None], list[Answer]] = {}
    for answer in answers:
        groups.setdefault((answer.of_set, answer.depth), []).append(answer)
    return [Asked.of(group, one_weight) for group in groups.values()]


# -- fitting


@dataclass(frozen=True, slots=True)
class _Part:
    """The units of one set that the likelihood looks at.

    x: float64 [units, rules], times the sharpness.  given: what no weight changes.  goal: of each unit, 1 in
    all for each question.
    """

    x: Floats
    given: Floats
    question: NDArray[np.intp]
    first: NDArray[np.intp]
    goal: Floats
    share: float
    keys: list[str]

    def scores(self, weights: Weights) -> Floats:
        """The score of each unit under `weights`."""
        scores: Floats = self.given + self.x @ np.array([weights.get(key, 0.0) for key in self.keys])
        return scores

    def loss(self, z: Floats) -> float:
        """Cross-entropy of the softmax of the scores `z`, the mean over the questions times `share`."""
        z = z - np.maximum.reduceat(z, self.first)[self.question]
        total = np.log(np.add.reduceat(np.exp(z), self.first))[self.question]
        return -self.share * float((self.goal * (z - total)).sum()) / len(self.first)


def _part(asked: Asked, weights: Weights, sharpness: float, seen: Flags, share: float) -> _Part | None:
    scores = asked.candidate_scores(weights)
    # What the files' share of `function` takes stands still while the weights move.
    given = (scores - asked.columns @ asked.vector(weights)).astype(np.float64)
    best = np.maximum.reduceat(scores, asked.unit)
    sizes = np.diff(np.r_[asked.unit, len(scores)])
    at = np.flatnonzero(scores == np.repeat(best, sizes))
    of_unit = np.repeat(np.arange(len(asked.unit)), sizes)[at]
    chosen = at[np.unique(of_unit, return_index=True)[1]]
    held = np.bincount(asked.question, asked.right, asked.n)
    kept = (places_of(best, asked.question) < RIVALS) | asked.right
    kept &= (seen & (held > 0))[asked.question]
    if not kept.any():
        return None
    question = asked.question[kept]
    first = np.flatnonzero(np.r_[True, np.diff(question) != 0])
    return _Part(
        sharpness * asked.columns[chosen[kept]].astype(np.float64),
        sharpness * given[chosen[kept]],
        np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(question)])),
        first,
        asked.right[kept] / held[question],
        share,
        [asked.key(name) for name in NAMES],
    )


def fit(
    sets: Sequence[Asked],
    start: Weights,
    free: Sequence[str],
    seen: Callable[[Asked], Flags] = lambda asked: np.ones(asked.n, bool),
) -> Weights:
    """`start` with its `free` weights such that the right units of the questions `seen` are likeliest."""
    weights = dict(start)
    sharpness = _sharpness(sets, start)
    for _ in range(ROUNDS):
        parts = _parts(sets, weights, sharpness, seen)
        before = dict(weights)
        _ascend(parts, weights, free)
        if max(abs(weights[name] - before[name]) for name in free) < REST:
            break
    return weights


def _parts(
    sets: Sequence[Asked], weights: Weights, sharpness: float, seen: Callable[[Asked], Flags]
) -> list[_Part]:
    """What the likelihood looks at, each set counted once however many exits it was asked at."""
    times = Counter(asked.of_set for asked in sets)
    parts = (
        _part(asked, weights, sharpness, seen(asked), SHARE[asked.of_set] / times[asked.of_set])
        for asked in sets
    )
    return [part for part in parts if part is not None]


def _sharpness(sets: Sequence[Asked], weights: Weights) -> float:
    """How sharp a softmax is likeliest under `weights`: fitting them then keeps the scale of the scores."""
    tried = {
        float(sharpness): sum(
            part.loss(part.scores(weights))
            for part in _parts(sets, weights, float(sharpness), lambda asked: np.ones(asked.n, bool))
        )
        for sharpness in np.geomspace(2, 20, 12)
    }
    return min(tried, key=tried.__getitem__)


def _ascend(parts: Sequence[_Part], weights: Weights, free: Sequence[str]) -> None:
    """Coordinate ascent in place: a step that helps is made and grows, one that does not shrinks."""
    z = [part.scores(weights) for part in parts]
    losses = [part.loss(scores) for part, scores in zip(parts, z, strict=True)]
    signs = {name: -1.0 if WEIGHTS.get(name, 1.0) < 0 else 1.0 for name in free}
    steps = dict.fromkeys(free, STEP)
    for _ in range(SWEEPS):
        for name in free:
            if steps[name] < REST:
                continue
            touched = [i for i, part in enumerate(parts) if name in part.keys]
            for step in (steps[name], -steps[name]):
                new = signs[name] * max(signs[name] * (weights[name] + step), 0.0)
                moved = {
                    i: z[i] + (new - weights[name]) * parts[i].x[:, parts[i].keys.index(name)]
                    for i in touched
                }
                now = {i: parts[i].loss(scores) for i, scores in moved.items()}
                gain = sum(losses[i] - now[i] for i in touched) - RIDGE * (new**2 - weights[name] ** 2)
                if gain > 0:
                    weights[name] = new
                    for i in touched:
                        z[i], losses[i] = moved[i], now[i]
                    steps[name] *= 1.5
                    break
            else:
                steps[name] /= 2
        if all(step < REST for step in steps.values()):
            break


def left_out(sets: Sequence[Asked], start: Weights, free: Sequence[str]) -> list[Floats]:
    """The values of each set under weights that were fitted without the question's tree, in FOLDS fits."""
    trees = sorted({str(tree) for asked in sets for tree in asked.tree})
    np.random.default_rng(0).shuffle(trees)
    values = [np.zeros(asked.n) for asked in sets]
    for fold in range(FOLDS):
        progress(f"fit {fold + 1} of {FOLDS}")
        out = trees[fold::FOLDS]
        weights = fit(sets, start, free, partial(_not_in, out))
        for asked, into in zip(sets, values, strict=True):
            held = ~_not_in(out, asked)
            into[held] = asked.values(weights)[held]
    progress("")
    return values


def _not_in(trees: Sequence[str], asked: Asked) -> Flags:
    return ~np.isin(asked.tree, trees)


# -- the report


def report(record: Record, sets: Sequence[Asked], exits: Sequence[int], now: Weights) -> Weights:
    """Fill `record`; the weights that fit best while the rules keep theirs."""
    without = [asked for asked in sets if asked.depth is NO_MODEL]
    deep = [asked for asked in sets if asked.depth is not NO_MODEL]
    cosines = list(dict.fromkeys(asked.key("dense") for asked in deep))
    rules = [name for name in NAMES if name != "dense" and name not in FIXED]
    plain = {name: weight for name, weight in now.items() if name not in cosines}
    ways: dict[str, tuple[Sequence[Asked], list[Floats]]] = {
        "no model": (without, [asked.values(now) for asked in without]),
        "no model, fitted": (without, left_out(without, plain, rules)),
        "as it is": (deep, [asked.values(now) for asked in deep]),
        "cosine fitted": (deep, left_out(deep, now, cosines)),
        "all fitted": (deep, left_out(deep, now, [*rules, *cosines])),
    }
    found = {
        (way, asked.of_set, asked.depth): values
        for way, (some, all_values) in ways.items()
        for asked, values in zip(some, all_values, strict=True)
    }
    names = list(dict.fromkeys(asked.of_set for asked in sets))
    keys = list(dict.fromkeys((way, depth) for way, _, depth in found))
    record.results["systems"] = {
        f"{way}, exit {depth}" if depth is not NO_MODEL else way: {
            name: round(float(found[way, name, depth].mean()), 4) for name in names
        }
        for way, depth in keys
    }
    sizes = {asked.of_set: asked.n for asked in sets}
    header = ["", *(f"{name} ({sizes[name]})" for name in names)]

    def rows(cell: Callable[[str, str, int | None], str]) -> list[list[str]]:
        return [
            [
                way if depth is NO_MODEL else f"{way}, exit {depth}",
                *(cell(way, name, depth) for name in names),
            ]
            for way, depth in keys
        ]

    record.tables.append(
        table("What the weights reach", header, rows(lambda *key: str(metrics.interval(found[key]))))
    )
    for rival in ("no model", "no model, fitted"):
        record.tables.append(
            table(
                f'Minus "{rival}", paired',
                header,
                rows(lambda *key, rival=rival: _gap(found[key], found[rival, key[1], NO_MODEL])),  # type: ignore[misc]
            )
        )
    fitted = {"cosine fitted": fit(deep, now, cosines), "all fitted": fit(deep, now, [*rules, *cosines])}
    fitted = {"as it is": now, **fitted, "no model, fitted": fit(without, plain, rules)}
    record.results["weights"] = {
        way: {name: round(weight, 3) for name, weight in some.items()} for way, some in fitted.items()
    }
    record.tables.append(
        table(
            "Weights",
            ["rule", *fitted],
            [[name, *(f"{w[name]:.2f}" if name in w else "" for w in fitted.values())] for name in now],
        )
    )
    deepest = [asked for asked in deep if asked.depth == exits[-1]]
    record.tables.append(
        table(
            f"exit {exits[-1]}, as it is, with one rule taken out",
            ["rule", *(asked.of_set for asked in deepest)],
            [
                [
                    rule,
                    *(
                        _gap(asked.values({**now, asked.key(rule): 0.0}), asked.values(now))
                        for asked in deepest
                    ),
                ]
                for rule in NAMES
            ],
        )
    )
    return fitted["cosine fitted"]


def _gap(ours: Floats, theirs: Floats) -> str:
    return metrics.paired_interval(ours, theirs).as_gap(digits=4)


def weights_now(bundle: Bundle, exits: Sequence[int], one_weight: bool = False) -> Weights:
    """The weights that the product ranks with; the mean of the exits' where they are to share one."""
    own = {depth: Calibration.from_manifest(bundle.calibration, depth).dense for depth in exits}
    mean = sum(own.values()) / len(own)
    cosines = {cosine_key(depth, one_weight): mean if one_weight else weight for depth, weight in own.items()}
    return {name: weight for name, weight in WEIGHTS.items() if name != "dense"} | cosines


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    parser.add_argument(
        "--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/..."
    )
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_FOLDER, help="bundle to tune (the packaged one)"
    )
    parser.add_argument(
        "--exits", type=numbers, default=(), help="depths, e.g. 0,4 (all that the bundle has)"
    )
    parser.add_argument(
        "--deepen-best", type=int, metavar="N", help="embed deeper the N best of a question (all candidates)"
    )
    parser.add_argument("--sets", default=",".join(SETS), help="sets to ask (%(default)s)")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="what was asked: read it if there, else write it"
    )
    parser.add_argument(
        "--index-dir", type=Path, metavar="DIR", help="keep the indexes here, for other benchmarks too"
    )
    parser.add_argument(
        "--one-weight", action="store_true", help="one weight of the cosine for all exits, not one for each"
    )
    parser.add_argument("--write", action="store_true", help="write the cosine's weights into the bundle")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where the record goes"
    )
    args = parser.parse_args(argv)
    try:
        return _run(args, argv)
    except (SetError, ModstarError) as error:
        print(f"bench.tune: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    bundle = open_bundle(args.bundle)
    exits = sorted(depths(args.exits, bundle))
    names = [name for name in args.sets.split(",") if name]
    if unknown := set(names) - set(SHARE):
        raise SetError(f"no set is called {', '.join(sorted(unknown))}: there are {', '.join(SHARE)}")
    asking = {"bundle": bundle.digest, "exits": exits, "sets": names}
    answers = _kept(args.keep, asking)
    if answers is None:
        with tempfile.TemporaryDirectory(prefix="modstar-tune-") as scratch:
            sources = Sources(args.eval, args.trees, args.bundle, args.index_dir or Path(scratch))
            answers = [
                answer
                for name in names
                for depth in (NO_MODEL, *exits)
                for answer in ask_all(sources, name, depth, args.deepen_best)
            ]
        if args.keep:
            args.keep.write_bytes(pickle.dumps((asking, answers)))
    sets = grouped(answers, args.one_weight)
    inputs = {
        part: digest
        for name in names
        if name in REPO_SETS
        for part, digest in load_repos(args.eval, name, args.trees).digests.items()
    }
    record = Record("tune", command_line("bench.tune", argv), bundle.digest, inputs)
    record.notes.append(
        f"fitted values are of trees left out of the fit, in {FOLDS} folds; * an interval that excludes zero"
    )
    weights = report(record, sets, exits, weights_now(bundle, exits, args.one_weight))
    if args.write:
        calibrations = {
            one.depth: Calibration.from_manifest(bundle.calibration, one.depth) for one in bundle.exits
        }
        for depth in exits:
            weight = weights[cosine_key(depth, args.one_weight)]
            calibrations[depth] = calibrations[depth]._replace(dense=weight)
        update_manifest(args.bundle, calibration={str(d): c.to_manifest() for d, c in calibrations.items()})
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


def _kept(path: Path | None, asking: Mapping[str, Any]) -> list[Answer] | None:
    """The candidates of an earlier run; None when nothing was kept, or of another model."""
    if path is None or not path.is_file():
        return None
    try:
        before, answers = pickle.loads(path.read_bytes())
    except Exception:
        raise SetError(f"{path.name} is damaged or of another version: remove it") from None
    return list(answers) if before == asking else None


if __name__ == "__main__":
    sys.exit(main())
