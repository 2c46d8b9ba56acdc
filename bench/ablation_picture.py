"""What teaching is worth at each depth, as a picture: python -m bench.ablation_picture RECORD OUT.svg

RECORD is a folder that `python -m train ablate --seeds .. --record` wrote. Every exit is a point: its share
of the deepest's work a token against the mean reciprocal rank, taught together and each depth alone, with
95 % intervals over the seeds. Beside it stands what the paper's authors published of their five exits:
another test, so that only the shapes compare.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.metrics import Interval, interval_of_runs
from evaluation.sets import SetError
from model.config import ModularStarConfig
from train.ablate import EVERYTHING, METRICS
from train.config import read_config
from train.plan import plan
from train.published import CARD_MRR

PUBLISHED = "modstar-1b"
METRIC = METRICS["mrr"]
ALONE = "each depth alone"
# (row of the record, how it is told, colour); the rows "exit .. alone" are one line.
LINES = (
    (EVERYTHING, "all exits, the deepest teaching", "#2b6cb0"),
    ("without distillation", "all exits, none teaching", "#2f855a"),
    (ALONE, ALONE, "#c05621"),
)


class Point(NamedTuple):
    """An exit: its work a token as a share of the deepest's, and its score over the seeds."""

    share: float
    score: Interval


def shares_of(config: ModularStarConfig) -> dict[int, float]:
    """Work a token at each exit, as a share of the deepest's."""
    flops = {one.depth: one.flops_per_token for one in plan(config)}
    return {depth: work / flops[max(flops)] for depth, work in flops.items()}


def lines_of(record: Path) -> dict[str, list[Point]]:
    """The points of each row of LINES that the record has. SetError for a folder that is no such record."""
    try:
        config = ModularStarConfig(**json.loads((record / "config.json").read_text("utf-8"))["model"])
        result: dict[str, Any] = json.loads((record / "result.json").read_text("utf-8"))
        rows = {name: result[name] for name, *_ in LINES if name in result}
        rows[ALONE] = {
            depth: told for name, row in result.items() if _alone(name) for depth, told in row.items()
        }
        return {name: _points(row, shares_of(config)) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetError(f"{record}: no record of an ablation with seeds ({error!r})") from None


def _alone(name: str) -> bool:
    return name.startswith("exit ") and name.endswith(" alone")


def _points(row: Mapping[str, Any], shares: Mapping[int, float]) -> list[Point]:
    depths = sorted(row, key=int)
    runs = [np.asarray(row[depth]["of each seed"][METRIC]) for depth in depths]
    return [Point(shares[int(depth)], interval_of_runs(one)) for depth, one in zip(depths, runs, strict=True)]


def draw(lines: Mapping[str, Sequence[Point]], title: str, out: Path) -> None:
    """Write the picture, its kind told by the suffix of `out`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "modstar"  # the same record, the same file
    figure, (ours, theirs) = pyplot.subplots(1, 2, figsize=(8.4, 3.6))
    for name, told, colour in LINES:
        if points := lines.get(name):
            shares, scores = zip(*points, strict=True)
            means = [one.mean for one in scores]
            ends = [[one.mean - one.low for one in scores], [one.high - one.mean for one in scores]]
            ours.errorbar(shares, means, ends, marker="o", capsize=3, linewidth=1.4, color=colour, label=told)
    ours.set_title(title, fontsize=9)
    ours.margins(y=0.3)  # room for the legend above
    ours.set_ylabel(f"{METRIC} on held-out pairs, 95 % over seeds", fontsize=9)
    ours.legend(fontsize=8)
    shares_published = shares_of(read_config(Path(PUBLISHED)).model_config())
    theirs.plot(
        [shares_published[depth] for depth in CARD_MRR],
        [mrr / 100 for mrr in CARD_MRR.values()],
        marker="o",
        color="#2b6cb0",
    )
    for depth, mrr in CARD_MRR.items():
        at = (shares_published[depth], mrr / 100)
        theirs.annotate(f"exit {depth}", at, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    theirs.set_title("published: 36 layers x 1024", fontsize=9)
    theirs.set_ylabel("MRR on CodeSearchNet, by its card", fontsize=9)
    theirs.margins(y=0.12)
    for axis in (ours, theirs):
        axis.set_xlabel("work a token, of the deepest exit's", fontsize=9)
        axis.set_xlim(0, 1.08)
        axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ablation_picture", description=__doc__.split("\n")[0]
    )
    parser.add_argument("record", type=Path, help="folder of a record of `train ablate --seeds`")
    parser.add_argument("out", type=Path, help="picture to write")
    args = parser.parse_args(argv)
    try:
        lines = lines_of(args.record)
        shape = json.loads((args.record / "config.json").read_text("utf-8"))
    except SetError as error:
        print(f"bench.ablation_picture: {error}", file=sys.stderr)
        return 2
    model, steps = shape["model"], shape["fit"]["steps"]
    title = f"ours: {model['num_hidden_layers']} layers x {model['hidden_size']}, {steps:,} steps"
    draw(lines, title, args.out)
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
