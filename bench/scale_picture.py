"""What a folder costs as it grows, as a picture: python -m bench.scale_picture RECORD.json OUT.svg

RECORD is one that `python -m bench.scale --out` wrote. Each size is a point; where the record holds semble,
its points stand beside ours, up to the size that it could do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.sets import SetError

# One size of a record.
Size = Mapping[str, Any]
Curve = Callable[[Size], float]


def _median(runs: Sequence[float]) -> float:
    return statistics.median(runs)


def _total(size: Size) -> float:
    return float(size["indexing"]["refresh"] + size["indexing"]["graph"])


def _memory(size: Size) -> float:
    return float(size["indexing"]["private"]) / 1e6


def _disk(size: Size) -> float:
    return float(size["indexing"]["bytes"]) / 1e6


def _process(size: Size) -> float:
    return _median(size["process"]["with"]["seconds"])


def _inside(size: Size) -> float:
    return _median(size["inside"]["graph"] or size["inside"]["scan"]) * 1e3


def _peer_first(size: Size) -> float:
    return _median([run["wall"] for run in size["peer"]["first"]])


def _peer_memory(size: Size) -> float:
    return max(run["private"] for run in size["peer"]["first"]) / 1e6


def _peer_disk(size: Size) -> float:
    return float(size["peer"]["bytes"]) / 1e6


def _peer_process(size: Size) -> float:
    return _median([run["wall"] for run in size["peer"]["again"]])


# (title, ours, semble's) of each panel.
PANELS: Sequence[tuple[str, Curve, Curve | None]] = (
    ("indexing, with the graph (s)", _total, _peer_first),
    ("peak memory of it (MB)", _memory, _peer_memory),
    ("index on disk (MB)", _disk, _peer_disk),
    ("a question as a process (s)", _process, _peer_process),
    ("a question in a process (ms, median)", _inside, None),
)


def sizes_of(record: Path) -> list[Size]:
    """What was measured at each size, the smallest first. SetError for a file that is no such record."""
    try:
        raw: dict[str, Size] = json.loads(record.read_text("utf-8"))["results"]["raw"]
        return sorted(raw.values(), key=lambda size: int(size["indexing"]["chunks"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetError(f"{record}: no record of bench.scale ({error})") from None


def draw(sizes: Sequence[Size], out: Path) -> None:
    """Write the picture, its kind told by the suffix of `out`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, LogLocator

    pyplot.rcParams["svg.hashsalt"] = "modstar"  # the same record, the same file
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(3.0 * len(PANELS), 3.0))
    with_peer = [size for size in sizes if "peer" in size and "failed" not in size["peer"]]
    for axis, (title, ours, theirs) in zip(axes, PANELS, strict=True):
        for name, curve, some, colour in (
            ("modstar", ours, sizes, "#2b6cb0"),
            ("semble", theirs, with_peer, "#c05621"),
        ):
            if curve is not None and some:
                chunks = [size["indexing"]["chunks"] for size in some]
                axis.plot(chunks, [curve(size) for size in some], marker="o", color=colour, label=name)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("chunks")
        axis.grid(alpha=0.3, which="both")
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axis.yaxis.set_minor_formatter("{x:g}")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale_picture", description=__doc__.split("\n")[0])
    parser.add_argument("record", type=Path, help="a record of bench.scale, .json")
    parser.add_argument("out", type=Path, help="picture to write")
    args = parser.parse_args(argv)
    try:
        sizes = sizes_of(args.record)
    except SetError as error:
        print(f"bench.scale_picture: {error}", file=sys.stderr)
        return 2
    draw(sizes, args.out)
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
