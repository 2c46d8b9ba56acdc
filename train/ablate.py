"""The worth of each part: one run with everything, then the same run, budget and seed without each part.

    python -m train ablate CONFIG --data CORPUS --init EXIT0 --eval EVAL --out FOLDER --steps 200

Every row is a run of its own in FOLDER, resumed when the command is given again; a finished row is not run
again. Early exits trained alone are rows too: what they lack is being taught by the deeper ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.metrics import interval_of_means
from train.config import TrainConfig
from train.data import Pair
from train.encoding import encode
from train.evaluate import load_flat_sets, score_vectors
from train.loop import Fit
from train.pretrain import Pretrain, Window
from train.start import start_model
from train.store import Store

_DONE = "row.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the table: what it lacks, as changes of the configuration's sections."""

    name: str
    changes: dict[str, dict[str, Any]]
    hard: bool = True


@dataclass(frozen=True, slots=True)
class Ablation:
    """The table as Markdown and as data."""

    tables: list[str]
    result: dict[str, Any]
    config: dict[str, Any]
    remarks: str
    finished: bool


def rows_of(config: TrainConfig, hard: bool, windows: bool) -> list[Row]:
    """The rows that make sense for a configuration and what is at hand."""
    exits: list[int] = list(config.model["exit_layers"])
    rows = [Row("everything", {}), Row("without distillation", {"fit": {"distil": 0.0}})]
    rows.append(Row("without mixed exits", {"fit": {"mixed": 0.0}}))
    if windows:
        rows.append(Row("without in-context loss", {"pretrain": {"icc": 0.0}}))
    if 0 in exits:
        deeper = [e for e in exits if e]
        weights = {"exit_weights": config.fit.exit_weights[1:]} if config.fit.exit_weights else {}
        rows.append(
            Row(
                "without exit 0",
                {
                    "model": {"exit_layers": deeper, "residual": False, "bag_dropout": 0.0},
                    "fit": weights,
                    "start": {"gains": ()},
                },
            )
        )
    rows.append(Row("without renaming", {"augmentation": {"rename": 0.0, "identifiers": 0.0}}))
    if hard:
        rows.append(Row("without hard negatives", {}, hard=False))
    for e in exits:
        if e:
            # Exit 0 is trained beforehand and stays as it is, so it teaches nothing here.
            kept = [0, e] if 0 in exits else [e]
            gains = dict(zip([one for one in exits if one], config.start.gains, strict=False))
            alone: dict[str, dict[str, Any]] = {
                "model": {"exit_layers": kept},
                "fit": {"distil": 0.0, "mixed": 0.0, "exit_weights": (0.0, 1.0) if 0 in exits else ()},
                "start": {"gains": (gains[e],) if e in gains else ()},
            }
            rows.append(Row(f"exit {e} alone", alone))
    return rows


def ablate(
    config: TrainConfig,
    pairs: Sequence[Pair],
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    chosen: argparse.Namespace,
) -> Ablation:
    """Run what is missing of the table, and make it."""
    rows = rows_of(config, hard is not None, windows is not None)
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        scores = _row(config, row, pairs, hard, windows, chosen)
        if scores is None:
            break
        found[row.name] = scores
    exits = [str(e) for e in config.model["exit_layers"]]
    finished = len(found) == len(rows)
    budget = f"{config.fit.steps} steps of {config.fit.batch} pairs, seed {config.fit.seed}"
    if windows is not None:
        budget += f", after {config.pretrain.steps} steps of {config.pretrain.batch} windows"
    remarks = (
        f"Every row is the same run ({budget}) without one part. Mean nDCG@10 of the flat sets, up to "
        f"{chosen.sample} queries a set; beside it the difference from everything, query by query, with its "
        "95 % bootstrap interval (queries resampled within each set; the runs themselves have one seed)."
    )
    result = {
        name: {e: float(np.mean([np.mean(values) for values in sets.values()])) for e, sets in scores.items()}
        for name, scores in found.items()
    }
    told = {"model": config.model, "fit": asdict(config.fit), "rows": {row.name: row.changes for row in rows}}
    return Ablation([_table(found, exits)], result, told, remarks, finished)


def _row(
    config: TrainConfig,
    row: Row,
    pairs: Sequence[Pair],
    hard: np.ndarray | None,
    windows: Store[Window] | None,
    chosen: argparse.Namespace,
) -> dict[str, dict[str, list[float]]] | None:
    """{exit: {set: nDCG@10 of each query}}; None when stopped on the way."""
    folder = chosen.out / row.name.replace(" ", "-")
    done = folder / _DONE
    if done.is_file():
        return json.loads(done.read_text(encoding="utf-8"))
    own = config.changed(**row.changes)
    print(f"== {row.name}", flush=True)
    model, tokenizer = start_model(own, pairs, chosen.init, chosen.backbone, chosen.tokenizer)
    if (
        windows is not None
        and not Pretrain(model, tokenizer, windows, own.pretrain, folder / "pretrain").run()
    ):
        return None
    model.requires_grad_(True)
    used = hard if row.hard else None
    if not Fit(model, tokenizer, pairs, own.fit, folder / "run", own.augmentation, hard=used).run():
        return None
    scores: dict[str, dict[str, list[float]]] = {str(e): {} for e in model.depths}
    for one in load_flat_sets(chosen.eval, chosen.sample):
        queries = encode(model, tokenizer, one.queries, own.fit.code_tokens)
        documents = encode(model, tokenizer, one.documents, own.fit.code_tokens)
        for e in model.depths:
            values = score_vectors(one, queries[e], documents[e]).per_query["ndcg"]
            scores[str(e)][one.name] = [round(float(value), 5) for value in values]
    _write(done, scores)
    return scores


def _write(path: Path, scores: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(scores), encoding="utf-8")
    temporary.replace(path)


def _table(found: dict[str, dict[str, dict[str, list[float]]]], exits: Sequence[str]) -> str:
    lines = ["| run | " + " | ".join(f"exit {e}" for e in exits) + " |", "|---" * (len(exits) + 1) + "|"]
    full = found.get("everything", {})
    for name, scores in found.items():
        cells = []
        for e in exits:
            if e not in scores or (name.endswith("alone") and e == "0"):
                cells.append("")
                continue
            mean = np.mean([np.mean(values) for values in scores[e].values()])
            cell = f"{mean:.3f}"
            if name != "everything" and e in full:
                apart = interval_of_means(
                    [np.asarray(scores[e][s]) - np.asarray(full[e][s]) for s in scores[e]]
                )
                cell += f" ({apart.mean:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}])"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
