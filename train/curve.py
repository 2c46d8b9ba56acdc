"""The curve of a run as a picture: python -m train curve RUN [RUN ...] --out curve.svg."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from train.logs import CURVE

# Losses are shown as running means over this share of the run: single batches differ too much to be read.
SMOOTHED = 0.02


class CurveError(Exception):
    """There is no curve to draw; the message is one line for the user."""


@dataclass(slots=True)
class Lines:
    """Named lines of (step, value), in two panels."""

    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    scores: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def read_curve(path: Path) -> list[dict[str, str]]:
    """The rows of a curve.csv, or of the one in a folder (or in its run/)."""
    places = [path, path / CURVE, path / "run" / CURVE]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise CurveError(f"{path}: no {CURVE} here; give the folder of a run")
    with found.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "step" not in rows[0]:
        raise CurveError(f"{found}: no steps in it yet")
    return rows


def lines_of(rows: Sequence[dict[str, str]], prefix: str = "") -> Lines:
    """The losses per exit (or the loss) and the scores of interval evaluations, means over sets only."""
    lines = Lines()
    for row in rows:
        step = int(row["step"])
        parts = [key for key in row if key.startswith(("loss_", "mlm_")) and row[key]] or ["loss"]
        for key in parts:
            if row.get(key):
                lines.losses.setdefault(prefix + key.replace("loss_", "exit "), []).append(
                    (step, float(row[key]))
                )
        scores = json.loads(row.get("scores") or "{}")
        means = [key for key in scores if key.startswith("mean_")]
        for key in means or scores:
            lines.scores.setdefault(prefix + key.replace("mean_", "exit "), []).append((step, scores[key]))
    for name, points in lines.losses.items():
        lines.losses[name] = _smoothed(points)
    return lines


def draw(runs: Sequence[Path], out: Path) -> Path:
    """Draw the curves of one run or several into one picture, its kind told by the suffix of `out`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = Lines()
    for run in runs:
        own = lines_of(read_curve(run), f"{run.name}: " if len(runs) > 1 else "")
        lines.losses |= own.losses
        lines.scores |= own.scores
    panels = [("loss (running mean)", lines.losses), ("score of the interval evaluation", lines.scores)]
    panels = [(title, some) for title, some in panels if some]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(6.0 * len(panels), 4.0), squeeze=False)
    for axis, (title, some) in zip(axes[0], panels, strict=True):
        for name, points in some.items():
            steps, values = zip(*points, strict=True)
            axis.plot(
                steps,
                values,
                label=name,
                marker="o" if len(points) < 20 else None,
                markersize=3,
                linewidth=1.2,
            )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    pyplot.close(figure)
    return out


def _smoothed(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    width = max(int(len(points) * SMOOTHED), 1)
    sums = [0.0]
    for _, value in points:
        sums.append(sums[-1] + value)
    return [
        (points[at][0], (sums[at + 1] - sums[max(at + 1 - width, 0)]) / (at + 1 - max(at + 1 - width, 0)))
        for at in range(len(points))
    ]
