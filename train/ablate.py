"""The worth of each part: one run with everything, then the same run, budget and seed without each part.

    python -m train ablate ablation --data CORPUS --init EXIT0 --backbone MINILM --hard HARD \\
        --windows WINDOWS --eval EVAL --out FOLDER

Every row is a run of its own in FOLDER, resumed when the command is given again; a finished row is not run
again. Exits trained alone are rows too: what they lack is being taught by the deeper ones. Budgets are small,
so the rows tell what a part is worth early in training, and are scored on smaller sets (see `smaller`), or on
pairs of repositories that no row was trained on (--held-out). With several --seeds every row is run with
each of them, and intervals are over the runs.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from evaluation.metrics import Interval, interval_of_means, interval_of_runs
from model.encoder import ModularStarEncoder, load_checkpoint
from train.config import ConfigError, TrainConfig
from train.data import Augmentation, Pair, augment_code, group_of
from train.evaluate import SEED, FlatSet, encode_sets, load_flat_sets, score_vectors, smaller
from train.logs import CURVE
from train.loop import Fit
from train.pretrain import Pretrain, Window
from train.run import Report
from train.start import start_model
from train.state import STATE
from train.store import Store

EVERYTHING = "everything"
_DONE = "row.json"
# The metrics of the tables: their names in `Scores.per_query`, and in the literature.
METRICS = {"ndcg": "nDCG@10", "first": "recall@1", "mrr": "MRR@10"}
# Steps of a run that are one row of the record's curve.
THINNED = 20
HELD_OUT_SET = "held-out pairs"

# {exit: {set: {metric: value of each query}}}
RunScores = dict[str, dict[str, dict[str, list[float]]]]
# The same row's runs, one a seed.
RowScores = list[RunScores]


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the table: what it lacks, as changes of the configuration's sections.

    hard: with mined hard negatives. windows: pre-trained first. beside: the row that it is compared with.
    shown: the exits told of it (None: all).
    """

    name: str
    changes: dict[str, dict[str, Any]]
    hard: bool = True
    windows: bool = False
    beside: str = EVERYTHING
    shown: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ablation:
    """The tables as Markdown and as data.

    curve: of several seeds' runs, see `_curve`.
    """

    tables: list[str]
    result: dict[str, Any]
    curve: list[dict[str, Any]]
    config: dict[str, Any]
    remarks: str
    finished: bool


def rows_of(config: TrainConfig, hard: bool, windows: bool, trained: Sequence[int] = ()) -> list[Row]:
    """The rows that make sense for a configuration and what is at hand.

    trained: the exits of a trained encoder that every row starts from; of interest then is how its new exits
    learn.
    """
    exits: list[int] = list(config.model["exit_layers"])
    rows = [Row(EVERYTHING, {}), Row("without distillation", {"fit": {"distil": 0.0}})]
    if config.fit.mixed:
        rows.append(Row("without mixed exits", {"fit": {"mixed": 0.0}}))
    rows += [_alone(config, e, trained) for e in exits if e]
    if trained:
        return rows
    if 0 in exits:
        deeper = [e for e in exits if e]
        weights = {"exit_weights": config.fit.exit_weights[1:]} if config.fit.exit_weights else {}
        changes: dict[str, dict[str, Any]] = {
            "model": {"exit_layers": deeper, "residual": False, "bag_dropout": 0.0},
            "fit": weights,
            "start": {"gains": ()},
        }
        rows.append(Row("without exit 0", changes))
    rows.append(Row("without renaming", {"augmentation": {"rename": 0.0, "identifiers": 0.0}}))
    if hard:
        rows.append(Row("without hard negatives", {}, hard=False))
    if windows:
        pretrained = "pre-trained on windows"
        rows.append(Row(pretrained, {}, windows=True))
        without = {"pretrain": {"icc": 0.0}}
        rows.append(Row(f"{pretrained}, without in-context loss", without, windows=True, beside=pretrained))
    return rows


def _alone(config: TrainConfig, e: int, trained: Sequence[int] = ()) -> Row:
    """The run of one exit. Exit 0, where there is one, stays as it is and so teaches nothing."""
    exits: list[int] = list(config.model["exit_layers"])
    new = [one for one in exits if one and one not in trained]
    gains = dict(zip(new, config.start.gains, strict=False))
    changes: dict[str, dict[str, Any]] = {
        "model": {"exit_layers": [0, e] if 0 in exits else [e]},
        "fit": {"distil": 0.0, "mixed": 0.0, "exit_weights": (0.0, 1.0) if 0 in exits else ()},
        "start": {"gains": (gains[e],) if e in gains else ()},
    }
    return Row(f"exit {e} alone", changes, shown=(e,))


def ablate(
    config: TrainConfig,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    chosen: argparse.Namespace,
) -> Ablation:
    """Run what is missing of the table, all rows of a seed before the next, and make it."""
    trained = _trained(chosen)
    rows = _chosen(rows_of(config, hard is not None, windows is not None, trained), chosen.row)
    sets = _sets(held_out, chosen)
    found: dict[str, RowScores] = {row.name: [] for row in rows}
    folders = _folders(config, chosen)
    for row, (seed, folder) in ((row, one) for one in folders.items() for row in rows):
        own = config.changed(**row.changes).changed(fit={"seed": seed})
        scores = _run(own, row, pairs, hard, windows, sets, chosen, folder / _file_name(row))
        if scores is None:
            break
        found[row.name].append(scores)
    done = [row for row in rows if len(found[row.name]) == len(folders)]
    exits = list(config.model["exit_layers"])
    tables = [_table(done, found, exits, metric) for metric in METRICS]
    told = {
        "model": config.model,
        "fit": asdict(config.fit),
        "seeds": list(folders),
        "rows": {row.name: row.changes for row in rows},
    }
    remarks = _remarks(config, chosen, sets, windows is not None)
    curve = _curve(done, list(folders.values())) if chosen.seeds else []
    if trained:
        remarks += f" Every row starts from one trained encoder, whose exits are {trained}."
    return Ablation(tables, _result(done, found), curve, told, remarks, len(done) == len(rows))


def _folders(config: TrainConfig, chosen: argparse.Namespace) -> dict[int, Path]:
    """{seed: folder of its runs}: of the configuration's own seed --out itself."""
    if not chosen.seeds:
        return {config.fit.seed: chosen.out}
    return {seed: chosen.out / f"seed-{seed}" for seed in chosen.seeds}


def _file_name(row: Row) -> str:
    return row.name.replace(",", "").replace(" ", "-")


def _sets(held_out: Sequence[Pair], chosen: argparse.Namespace) -> list[FlatSet]:
    """What the rows are scored on."""
    sets = []
    if chosen.eval:
        sets = [smaller(one, chosen.documents) for one in load_flat_sets(chosen.eval, chosen.sample)]
    if chosen.held_out:
        sets.append(held_out_set(held_out, chosen.held_out))
    if not sets:
        raise ConfigError("give what to score the rows on: --eval, --held-out or both")
    return sets


def held_out_set(pairs: Sequence[Pair], most: int) -> FlatSet:
    """Up to `most` pairs, drawn at random, as a set: each text asks for its code among the codes of all.

    Codes are changed as in training, some without their name or comments; pairs about the same thing answer
    each other.
    """
    rows = sorted(random.Random(SEED).sample(range(len(pairs)), min(most, len(pairs))))
    drawn = [pairs[row] for row in rows]
    rng = random.Random(SEED)
    codes = [augment_code(pair, rng, Augmentation()) for pair in drawn]
    about: dict[int, set[int]] = {}
    for at, pair in enumerate(drawn):
        about.setdefault(group_of(pair), set()).add(at)
    everything = np.arange(len(drawn))
    relevant = [frozenset(about[group_of(pair)]) for pair in drawn]
    return FlatSet(HELD_OUT_SET, [pair.query for pair in drawn], codes, [everything] * len(drawn), relevant)


def _chosen(rows: Sequence[Row], names: Sequence[str] | None) -> list[Row]:
    if names is None:
        return list(rows)
    known = [row.name for row in rows]
    for name in names:
        if name not in known:
            raise ConfigError(f"no row {name!r}; there are: {'; '.join(known)}")
    return [row for row in rows if row.name in names]


def _trained(chosen: argparse.Namespace) -> list[int]:
    """The exits of the trained encoder that is gone on with, if there is one."""
    if chosen.backbone or not chosen.init:
        return []
    given = load_checkpoint(chosen.init)
    return given.depths if given.config.num_hidden_layers else []


def _remarks(config: TrainConfig, chosen: argparse.Namespace, sets: Sequence[FlatSet], windows: bool) -> str:
    seeds = chosen.seeds or [config.fit.seed]
    told = f"seed {seeds[0]}" if len(seeds) == 1 else f"each of the seeds {seeds}"
    budget = f"{config.fit.steps} steps of {config.fit.batch} pairs, {told}"
    said = f"Every row is the same run ({budget}) without one part. {_scored_on(sets, chosen)} "
    if len(seeds) == 1:
        said += (
            "Beside each figure the difference from everything, query by query, with its 95 % bootstrap "
            "interval (queries resampled within each set; the runs have one seed)."
        )
    else:
        said += (
            "Means over the seeds; beside each figure the difference from everything with the same seed, "
            "with its 95 % interval over the seeds (Student's t)."
        )
    if windows:
        said += (
            f" The rows pre-trained on windows had {config.pretrain.steps} steps of {config.pretrain.batch} "
            "windows before that; the one without in-context loss is compared with the other."
        )
    return said


def _scored_on(sets: Sequence[FlatSet], chosen: argparse.Namespace) -> str:
    """What the figures are of, in words."""
    if not chosen.eval:
        return (
            f"Scored on {len(sets[0].queries)} pairs of repositories that no row was trained on, each text "
            "asking among the codes of all."
        )
    names = ", ".join(one.name for one in sets)
    drawn = f"up to {chosen.sample} queries a set" if chosen.sample else "all queries"
    among = f" among at most {chosen.documents} documents (easier than the whole sets: to compare these rows)"
    return f"Means over {len(sets)} flat sets ({names}), {drawn}{among if chosen.documents else ''}."


def _run(
    own: TrainConfig,
    row: Row,
    pairs: Sequence[Pair],
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    sets: Sequence[FlatSet],
    chosen: argparse.Namespace,
    folder: Path,
) -> RunScores | None:
    """The scores of one run; None when it was stopped on the way."""
    done = folder / _DONE
    if done.is_file():
        return json.loads(done.read_text(encoding="utf-8"))
    print(f"== {row.name}, seed {own.fit.seed}", flush=True)
    began = time.monotonic()
    prompts = own.prompts.told()
    model, tokenizer = start_model(own, pairs, chosen.init, chosen.backbone, chosen.tokenizer, prompts)
    started = time.monotonic()
    if (
        row.windows
        and windows is not None
        and not Pretrain(model, tokenizer, windows, own.pretrain, folder / "pretrain").run()
    ):
        return None
    model.requires_grad_(True)
    used = hard if row.hard else None
    report = _report(tokenizer, sets, own.fit.code_tokens) if own.fit.evaluate_steps else None
    if not Fit(model, tokenizer, pairs, own.fit, folder / "run", own.augmentation, report, used).run():
        return None
    trained = time.monotonic()
    scores = _scores(model, tokenizer, sets, own.fit.code_tokens)
    _write(done, scores)
    for state in folder.glob(f"*/{STATE}*"):  # with the optimiser's moments, three times the model
        shutil.rmtree(state)
    ended = time.monotonic()
    print(
        f"   started in {started - began:.0f} s, trained in {trained - started:.0f} s, "
        f"scored in {ended - trained:.0f} s",
        flush=True,
    )
    return scores


def _report(tokenizer: Tokenizer, sets: Sequence[FlatSet], longest: int) -> Report:
    """Mean MRR@10 of each exit over the sets, as a run goes on."""

    def report(step: int, model: ModularStarEncoder) -> dict[str, float]:
        scores = [_scores(model, tokenizer, sets, longest)]
        return {f"mean_{e}": _mean(scores, str(e), "mrr") for e in model.depths}

    return report


def _scores(
    model: ModularStarEncoder, tokenizer: Tokenizer, sets: Sequence[FlatSet], longest: int
) -> RunScores:
    vectors_of = encode_sets(model, tokenizer, sets, longest)
    scores: RunScores = {str(e): {} for e in model.depths}
    for one in sets:
        queries, documents = vectors_of[one.name]
        for e in model.depths:
            found = score_vectors(one, queries[e], documents[e]).per_query
            scores[str(e)][one.name] = {
                metric: [round(float(value), 5) for value in found[metric]] for metric in METRICS
            }
    return scores


def _write(path: Path, scores: RunScores) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(scores), encoding="utf-8")
    temporary.replace(path)


def _mean(scores: RowScores, e: str, metric: str) -> float:
    """The mean over seeds and sets of a metric at an exit."""
    return float(np.mean([np.mean(values[metric]) for run in scores for values in run[e].values()]))


def _apart(ours: RowScores, theirs: RowScores, e: str, metric: str) -> Interval:
    """The mean over sets of ours - theirs at an exit, with an interval over seeds; of one, over queries."""
    if len(ours) > 1:
        apart = [_mean([a], e, metric) - _mean([b], e, metric) for a, b in zip(ours, theirs, strict=True)]
        return interval_of_runs(np.asarray(apart))
    mine, others = ours[0][e], theirs[0][e]
    return interval_of_means(
        [np.asarray(mine[name][metric]) - np.asarray(others[name][metric]) for name in mine]
    )


def _curve(rows: Sequence[Row], folders: Sequence[Path]) -> list[dict[str, Any]]:
    """{step, "loss_<exit> <row>": .., "scores": {"mean_<exit> <row>": ..}} of every THINNED steps: the mean
    over them and the seeds."""
    values: dict[int, dict[str, list[float]]] = {}
    for row, folder in ((row, folder) for row in rows for folder in folders):
        with (folder / _file_name(row) / "run" / CURVE).open(encoding="utf-8", newline="") as stream:
            for line in csv.DictReader(stream):
                at = values.setdefault(-(-int(line["step"]) // THINNED) * THINNED, {})
                told = {name: float(line[name]) for name in line if name.startswith("loss_")}
                for name, value in (told | json.loads(line["scores"] or "{}")).items():
                    if row.shown is None or int(name.partition("_")[2]) in row.shown:
                        at.setdefault(f"{name} {row.name}", []).append(value)
    curve: list[dict[str, Any]] = []
    for step, found in sorted(values.items()):
        means = {name: round(float(np.mean(some)), 4) for name, some in found.items()}
        scores = {name: value for name, value in means.items() if name.startswith("mean_")}
        losses = {name: value for name, value in means.items() if name not in scores}
        curve.append({"step": step, **losses, "scores": json.dumps(scores) if scores else ""})
    return curve


def _shown(row: Row, scores: RowScores) -> list[str]:
    return [e for e in scores[0] if row.shown is None or int(e) in row.shown]


def _beside(row: Row, found: dict[str, RowScores], e: str) -> RowScores | None:
    """The scores that a row's are compared with at an exit, if there are any."""
    other = found.get(row.beside)
    return other if row.name != row.beside and other and e in other[0] else None


def _result(rows: Sequence[Row], found: dict[str, RowScores]) -> dict[str, Any]:
    """{row: {exit: {metric: mean, ...: its difference from the row beside it}}}."""
    result: dict[str, Any] = {}
    for row in rows:
        scores = found[row.name]
        told: dict[str, Any] = {}
        for e in _shown(row, scores):
            told[e] = {name: round(_mean(scores, e, metric), 4) for metric, name in METRICS.items()}
            if len(scores) > 1:
                told[e]["of each seed"] = {
                    name: [round(_mean([run], e, metric), 4) for run in scores]
                    for metric, name in METRICS.items()
                }
            if other := _beside(row, found, e):
                for metric, name in METRICS.items():
                    told[e][f"{name} - {row.beside}"] = {
                        part: round(value, 4)
                        for part, value in asdict(_apart(scores, other, e, metric)).items()
                    }
        result[row.name] = told
    return result


def _table(rows: Sequence[Row], found: dict[str, RowScores], exits: Sequence[int], metric: str) -> str:
    lines = [
        f"| {METRICS[metric]} | " + " | ".join(f"exit {e}" for e in exits) + " |",
        "|---" * (len(exits) + 1) + "|",
    ]
    for row in rows:
        scores = found[row.name]
        cells = []
        for e in map(str, exits):
            if e not in _shown(row, scores):
                cells.append("")
                continue
            cell = f"{_mean(scores, e, metric):.3f}"
            if other := _beside(row, found, e):
                apart = _apart(scores, other, e, metric)
                cell += f" ({apart.mean:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}])"
            cells.append(cell)
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
