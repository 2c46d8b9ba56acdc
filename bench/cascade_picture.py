"""Quality against milliseconds as a picture: python -m bench.cascade_picture RECORD.json OUT.svg

RECORD is one that `python -m bench.cascade --out` wrote. Every budget is a point: the median time of a
question against the mean reciprocal rank of its function, with the 95 % interval of the mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.cascade import HITS
from evaluation.metrics import Interval, interval
from evaluation.sets import SetError


def points_of(record: Path, of_set: str) -> list[tuple[str, float, Interval]]:
    """(budget in milliseconds, median milliseconds, reciprocal rank) of each that changes an answer.

    SetError for a file that is no such record.
    """
    try:
        found: dict[str, Any] = json.loads(record.read_text("utf-8"))["results"][of_set]
        budgets = sorted(found, key=int)
        return [
            (budget, float(np.median(found[budget]["seconds"])) * 1000, interval(np.array(ranks)))
            for budget, before in zip(budgets, ["", *budgets], strict=False)
            # More time than everything takes to be read is no further point.
            if (ranks := found[budget]["ranks"]) != (found[before]["ranks"] if before else None)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetError(f"{record}: no record of bench.cascade about {of_set} ({error})") from None


def draw(points: Sequence[tuple[str, float, Interval]], title: str, out: Path) -> None:
    """Write the picture, its kind told by the suffix of `out`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "modstar"  # the same record, the same file
    milliseconds = [time for _, time, _ in points]
    means = [value.mean for *_, value in points]
    below = [value.mean - value.low for *_, value in points]
    above = [value.high - value.mean for *_, value in points]
    figure, axis = pyplot.subplots(figsize=(6.4, 3.6))
    axis.errorbar(milliseconds, means, [below, above], marker="o", capsize=3, linewidth=1.4, color="#2b6cb0")
    for (budget, time, value), name in zip(points, _names(points), strict=True):
        side = "left" if budget == "0" else "right"
        axis.annotate(
            name, (time, value.mean), (6 if side == "left" else -6, 8), textcoords="offset points", ha=side
        )
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds spent on a question (median)")
    axis.set_ylabel(f"MRR@{HITS}, 95 % intervals")
    axis.set_title(title, fontsize=10)
    axis.set_ylim(0, 1)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    pyplot.close(figure)


def _names(points: Sequence[tuple[str, float, Interval]]) -> list[str]:
    return ["at once" if budget == "0" else f"{budget} ms to read" for budget, *_ in points]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cascade_picture", description=__doc__.split("\n")[0]
    )
    parser.add_argument("record", type=Path, help="a record of bench.cascade, .json")
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--set", default="asked", help="the set to draw (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        points = points_of(args.record, args.set)
    except SetError as error:
        print(f"bench.cascade_picture: {error}", file=sys.stderr)
        return 2
    draw(points, "A question in plain words finds its function", args.out)
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
