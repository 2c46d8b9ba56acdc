"""The worth of each part: one run with everything, then the same run, budget and seed without each part.

    python -m train ablate ablation --data CORPUS --init EXIT0 --backbone MINILM --hard HARD \\
        --windows WINDOWS --eval EVAL --out FOLDER

Every row is a run of its own in FOLDER, resumed when the command is given again; a finished row is not run
again. Exits trained alone are rows too: what they lack is being taught by the deeper ones. Budgets are small,
so the rows tell what a part is worth early in training, and are scored on smaller sets (see `smaller`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from evaluation.metrics import Interval, interval_of_means
from model.encoder import ModularStarEncoder, load_checkpoint
from train.config import ConfigError, TrainConfig
from train.data import Pair
from train.evaluate import FlatSet, encode_sets, load_flat_sets, score_vectors, smaller
from train.loop import Fit
from train.pretrain import Pretrain, Window
from train.start import start_model
from train.state import STATE
from train.store import Store

EVERYTHING = "everything"
_DONE = "row.json"
# The metrics of the tables: their names in `Scores.per_query`, and in the literature.
METRICS = {"ndcg": "nDCG@10", "first": "recall@1"}

# {exit: {set: {metric: value of each query}}}
RowScores = dict[str, dict[str, dict[str, list[float]]]]


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
    """The tables as Markdown and as data."""

    tables: list[str]
    result: dict[str, Any]
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
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    chosen: argparse.Namespace,
) -> Ablation:
    """Run what is missing of the table, and make it."""
    trained = _trained(chosen)
    rows = _chosen(rows_of(config, hard is not None, windows is not None, trained), chosen.row)
    sets = [smaller(one, chosen.documents) for one in load_flat_sets(chosen.eval, chosen.sample)]
    found: dict[str, RowScores] = {}
    for row in rows:
        scores = _row(config, row, pairs, hard, windows, sets, chosen)
        if scores is None:
            break
        found[row.name] = scores
    done = [row for row in rows if row.name in found]
    exits = list(config.model["exit_layers"])
    tables = [_table(done, found, exits, metric) for metric in METRICS]
    told = {"model": config.model, "fit": asdict(config.fit), "rows": {row.name: row.changes for row in rows}}
    remarks = _remarks(config, chosen, sets, windows is not None)
    if trained:
        remarks += f" Every row starts from one trained encoder, whose exits are {trained}."
    return Ablation(tables, _result(done, found), told, remarks, len(done) == len(rows))


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
    budget = f"{config.fit.steps} steps of {config.fit.batch} pairs, seed {config.fit.seed}"
    names = ", ".join(one.name for one in sets)
    drawn = f"up to {chosen.sample} queries a set" if chosen.sample else "all queries"
    among = f" among at most {chosen.documents} documents (easier than the whole sets: to compare these rows)"
    said = (
        f"Every row is the same run ({budget}) without one part. Means over {len(sets)} flat sets ({names}), "
        f"{drawn}{among if chosen.documents else ''}. Beside each figure the difference from everything, "
        "query by query, with its 95 % bootstrap interval (queries resampled within each set; the runs have "
        "one seed)."
    )
    if windows:
        said += (
            f" The rows pre-trained on windows had {config.pretrain.steps} steps of {config.pretrain.batch} "
            "windows before that; the one without in-context loss is compared with the other."
        )
    return said


def _row(
    config: TrainConfig,
    row: Row,
    pairs: Sequence[Pair],
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    sets: Sequence[FlatSet],
    chosen: argparse.Namespace,
) -> RowScores | None:
    """The scores of one run; None when it was stopped on the way."""
    folder = chosen.out / row.name.replace(",", "").replace(" ", "-")
    done = folder / _DONE
    if done.is_file():
        return json.loads(done.read_text(encoding="utf-8"))
    own = config.changed(**row.changes)
    print(f"== {row.name}", flush=True)
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
    if not Fit(model, tokenizer, pairs, own.fit, folder / "run", own.augmentation, hard=used).run():
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


def _scores(
    model: ModularStarEncoder, tokenizer: Tokenizer, sets: Sequence[FlatSet], longest: int
) -> RowScores:
    vectors_of = encode_sets(model, tokenizer, sets, longest)
    scores: RowScores = {str(e): {} for e in model.depths}
    for one in sets:
        queries, documents = vectors_of[one.name]
        for e in model.depths:
            found = score_vectors(one, queries[e], documents[e]).per_query
            scores[str(e)][one.name] = {
                metric: [round(float(value), 5) for value in found[metric]] for metric in METRICS
            }
    return scores


def _write(path: Path, scores: RowScores) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(scores), encoding="utf-8")
    temporary.replace(path)


def _mean(scores: RowScores, e: str, metric: str) -> float:
    """The mean over sets of a metric at an exit."""
    return float(np.mean([np.mean(values[metric]) for values in scores[e].values()]))


def _apart(ours: RowScores, theirs: RowScores, e: str, metric: str) -> Interval:
    """The mean over sets of ours - theirs at an exit, query by query."""
    return interval_of_means(
        [np.asarray(ours[e][name][metric]) - np.asarray(theirs[e][name][metric]) for name in ours[e]]
    )


def _shown(row: Row, scores: RowScores) -> list[str]:
    return [e for e in scores if row.shown is None or int(e) in row.shown]


def _beside(row: Row, found: dict[str, RowScores], e: str) -> RowScores | None:
    """The scores that a row's are compared with at an exit, if there are any."""
    other = found.get(row.beside)
    return other if row.name != row.beside and other is not None and e in other else None


def _result(rows: Sequence[Row], found: dict[str, RowScores]) -> dict[str, Any]:
    """{row: {exit: {metric: mean, ...: its difference from the row beside it}}}."""
    result: dict[str, Any] = {}
    for row in rows:
        scores = found[row.name]
        told: dict[str, Any] = {}
        for e in _shown(row, scores):
            told[e] = {name: round(_mean(scores, e, metric), 4) for metric, name in METRICS.items()}
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
