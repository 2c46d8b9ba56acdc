"""What a folder costs as it grows: indexing, memory, disk and questions at several sizes, beside semble.

    python -m bench.scale --trees FOLDER [--sizes 10000,40000,100000,0] [--peer semble --peer-model FOLDER]

Each size is so many chunks of the trees below FOLDER (SET/REPOSITORY/..., `bench.big_tree`), 0 all of them.
What is measured of each, every part in a process of its own:

indexing   the index at exit 0, then the neighbour graph: seconds, peak memory, bytes on disk.
process    `modstar-query`, twice as often as --rounds, with and without looking for changed files.
inside     one process that lives on: its first question, then all others, before and after it has the graph.
recall     the share of the exact nearest chunks that are found for the questions, then again by the graph.
peer       semble: its first search, which indexes, then searches; given up after --patience seconds.

Memory is what belongs to the processes alone (private) apart from pages of files that are mapped (mapped),
both as shares of what is shared (PSS), looked at some hundred times. The times say something on an idle
machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.big_tree import lay_out, source_trees
from bench.figures import Figures, bytes_in
from bench.options import numbers, positive
from bench.speed import QUESTIONS, descendants, installed, kilobytes, peer_environment
from evaluation.record import progress
from evaluation.sets import SetError
from modstar_lsp.errors import ModstarError
from modstar_lsp.search.candidates import DENSE_CANDIDATES
from modstar_lsp.startup import spare_garbage

SIZES = (10_000, 40_000, 100_000, 0)
# Seconds between two looks at a process's memory: the first, and the share of its time so far that the next
# waits. A look at a large process takes milliseconds.
_FIRST_LOOK, _LOOK_SHARE = 0.02, 0.02
# Of so many nearest chunks the recall is told: ranking asks for as many.
NEAREST = DENSE_CANDIDATES
_ASKED = 200


@dataclass(frozen=True, slots=True)
class Watched:
    """A process seen from outside. wall: seconds.  private, mapped: bytes at the peak of each."""

    wall: float
    private: int
    mapped: int
    printed: str


class Failed(Exception):
    """A process that was measured did not end well; one line says how."""


def watched(
    command: Sequence[str], environment: Mapping[str, str] | None = None, patience: float | None = None
) -> Watched:
    """Run a command to its end. Raises Failed when it fails or takes longer than `patience` seconds."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(environment or {}),
    )
    private = mapped = 0
    over = threading.Event()

    def look() -> None:
        nonlocal private, mapped
        while not over.wait(max(_FIRST_LOOK, _LOOK_SHARE * (time.perf_counter() - begin))):
            tree = descendants(process.pid)
            private = max(private, 1024 * sum(_own(pid) for pid in tree))
            mapped = max(mapped, 1024 * sum(kilobytes(pid, "smaps_rollup", "Pss_File:") for pid in tree))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        printed, complaint = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"given up after {patience:,.0f} s") from None
    finally:
        over.set()
        watcher.join()
    wall = time.perf_counter() - begin
    if process.returncode not in (0, 1):
        raise Failed(f"ended with {process.returncode}: {' '.join(complaint.split())[-200:]}")
    return Watched(wall, private, mapped, printed)


def _own(pid: int) -> int:
    return sum(kilobytes(pid, "smaps_rollup", field) for field in ("Pss_Anon:", "Pss_Shmem:"))


@dataclass(slots=True, kw_only=True)
class Bench(Figures):
    """What the parts of one size share."""

    trees: Path
    bundle: Path | None
    peer: Sequence[str]
    peer_model: Path | None
    rounds: int
    patience: float
    #: The folder of this size, and that of its index.
    tree: Path = Path()
    index: Path = Path()

    def own(self, part: str) -> dict[str, Any]:
        """What `part` of this program printed as a process of its own, and its memory."""
        asked = [sys.executable, "-m", "bench.scale", "--part", part, str(self.tree), str(self.index)]
        # As the product's own processes begin, which hand few numbers at a time to the library.
        seen = watched(asked + ([str(self.bundle)] if self.bundle else []), {"OPENBLAS_NUM_THREADS": "1"})
        if not seen.printed:
            raise Failed(f"{part} printed nothing")
        found: dict[str, Any] = json.loads(seen.printed)
        return found | {"wall": seen.wall, "private": seen.private, "mapped": seen.mapped}


def indexing(bench: Bench) -> dict[str, Any]:
    """The index and its graph, both new."""
    found = bench.own("index")
    found["bytes"] = bytes_in(bench.index)
    bench.note(
        "chunks / files / sources", f"{found['chunks']:,} / {found['files']:,} / {_mb(found['sources'])}"
    )
    bench.note(
        "indexed at exit 0 / then the graph",
        f"{found['refresh']:.1f} s / {found['graph']:.1f} s ({'good' if found['good'] else 'none'})",
    )
    bench.note("peak memory, private / mapped", _memory(found))
    bench.note("on disk / of which the graph", f"{_mb(found['bytes'])} / {_mb(found['graph_bytes'])}")
    return found


def process(bench: Bench) -> dict[str, Any]:
    """Questions as a process each, every second one without looking for changed files."""
    query = installed("modstar-query", "modstar_lsp.cli.query")
    options = [*(["--bundle", str(bench.bundle)] if bench.bundle else []), "--budget", "0"]
    kinds: dict[str, list[str]] = {"without looking for changes": ["--no-refresh"], "with": []}
    seen: dict[str, list[Watched]] = {kind: [] for kind in kinds}
    for turn in range(2 * bench.rounds + 1):
        for kind, more in kinds.items():
            text = QUESTIONS[turn % len(QUESTIONS)]
            command = [*query, *options, *more, "--index-dir", str(bench.index), text, str(bench.tree)]
            seen[kind].append(watched(command))
    found = {}
    for kind, runs in seen.items():
        found[kind] = {
            "seconds": [round(run.wall, 4) for run in runs],
            "private": max(run.private for run in runs),
            "mapped": max(run.mapped for run in runs),
        }
        median = statistics.median(run.wall for run in runs)
        bench.note(f"a question as a process, {kind}", f"{median:.2f} s, {_memory(found[kind])}")
    return found


def inside(bench: Bench) -> dict[str, Any]:
    """Questions in a process that lives on, and what its graph finds."""
    found = bench.own("inside")
    bench.note("inside a process: the first question", f"{found['first']:.3f} s")
    for kind in ("scan", "graph"):
        if seconds := found[kind]:
            p50, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
            recall = f"{found[f'{kind}_recall']:.3f} of the nearest {NEAREST} found"
            bench.note(f"  p50 / p95 by {kind}", f"{p50 * 1e3:.1f} / {p95 * 1e3:.1f} ms, {recall}")
    bench.note("  its memory, private / mapped", _memory(found))
    return found


def peer(bench: Bench) -> dict[str, Any]:
    """semble on the same folder."""
    cache = bench.empty()
    environment = peer_environment(bench.peer_model, cache)
    found: dict[str, Any] = {}
    try:
        for what in ("first", *["again"] * bench.rounds):
            text = QUESTIONS[len(found) % len(QUESTIONS)]
            command = [*bench.peer, "search", text, str(bench.tree), "-k", "10", "--content", "all"]
            seen = watched(command, environment, bench.patience)
            found.setdefault(what, []).append(asdict(seen) | {"printed": len(seen.printed)})
        for what, runs in found.items():
            median = statistics.median(run["wall"] for run in runs)
            most = {kind: max(run[kind] for run in runs) for kind in ("private", "mapped")}
            bench.note(f"semble, {what}", f"{median:.2f} s, {_memory(most)}")
        found["bytes"] = bytes_in(cache)
        bench.note("semble, on disk", _mb(found["bytes"]))
    except Failed as error:
        found["failed"] = str(error)
        bench.note("semble", str(error))
    return found


# -- the parts that run in a process of their own


def _open(tree: str, index: str, bundle: str | None) -> Any:
    from modstar_lsp.workspace import Workspace

    return Workspace.open(tree, index_dir=Path(index), bundle=Path(bundle) if bundle else None)


def _index(tree: str, index: str, bundle: str | None) -> dict[str, Any]:
    from modstar_lsp.files import walk

    with _open(tree, index, bundle) as workspace:
        begin = time.perf_counter()
        report = workspace.refresh()
        refreshed = time.perf_counter()
        before = bytes_in(Path(index))
        good = workspace.build_graph()
        return {
            "refresh": refreshed - begin,
            "graph": time.perf_counter() - refreshed,
            "good": good,
            "graph_bytes": bytes_in(Path(index)) - before if good else 0,
            "files": report.files,
            "chunks": report.chunks,
            "sources": sum(file.size for file in walk(Path(tree)).files),
        }


def _inside(tree: str, index: str, bundle: str | None) -> dict[str, Any]:
    from unittest import mock

    from modstar_lsp.index import index as rooms
    from modstar_lsp.search import Options

    def asked(count: int) -> list[float]:
        took = []
        for number in range(count):
            begin = time.perf_counter()
            workspace.search(QUESTIONS[number % len(QUESTIONS)], Options())
            took.append(time.perf_counter() - begin)
        return took

    with _open(tree, index, bundle) as workspace:
        first = asked(1)[0]
        with mock.patch.object(
            rooms, "GRAPH_LIMIT", 0
        ):  # which it would load by itself after fifty questions
            asked(len(QUESTIONS))
            found = {"first": first, "scan": asked(_ASKED), "scan_recall": _recall(workspace)}
        has_graph = workspace.load_graph()
        found |= {"graph": asked(_ASKED) if has_graph else []}
        return found | {"graph_recall": _recall(workspace) if has_graph else None}


def _recall(workspace: Any) -> float:
    """By cosine, not by number: of equals any is right."""
    import numpy as np

    from modstar_lsp.index.vectors.quantised import top
    from modstar_lsp.search.search import question_vector

    hits = []
    with workspace.snapshot() as snapshot:
        every = np.arange(snapshot.n, dtype=np.int32)
        for text in QUESTIONS:
            vector = question_vector(workspace.encoder, text, 0)
            exact = snapshot.cosines(vector, every)
            least = exact[top(exact, NEAREST)[-1]]
            hits.append(float((snapshot.nearest(vector, NEAREST)[1] >= least).mean()))
    return float(np.mean(hits))


PARTS: Mapping[str, Callable[[str, str, str | None], dict[str, Any]]] = {"index": _index, "inside": _inside}


# -- figures


def _mb(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"


def _memory(seen: Mapping[str, Any]) -> str:
    return f"{_mb(seen['private'])} / {_mb(seen['mapped'])}"


def measure(bench: Bench, sizes: Sequence[int]) -> None:
    """All parts at every size, the smallest first."""
    for size in sizes:
        progress(f"laying out {size:,} chunks" if size else "laying out everything")
        name = str(size or "all")
        bench.index = bench.work / f"{name}-index"
        if size:
            bench.tree = bench.work / name
            lay_out(bench.trees, bench.tree, chunks=size)
        else:
            bench.tree = bench.trees
        progress("")
        if bench.index.exists():
            raise SetError(f"{bench.index} is there: remove it, an index has to be made anew")
        found: dict[str, Any] = {}
        for part in (indexing, process, inside, *([peer] if bench.peer else [])):
            progress(f"{name}: {part.__name__}")
            found[part.__name__] = part(bench)
            progress("")
        bench.raw[name] = found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["--part"]:
        spare_garbage()
        print(json.dumps(PARTS[argv[1]](argv[2], argv[3], argv[4] if len(argv) > 4 else None)))
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/...")
    add("--sizes", type=numbers, default=SIZES, help="chunks, 0 for all there are (10000,40000,100000,0)")
    add("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    add("--peer", default="", metavar="COMMAND", help="semble")
    add("--peer-model", type=Path, metavar="FOLDER", help="a local model2vec folder for it")
    add("--rounds", type=positive, default=3, help="searches of the peer, 2n+1 of ours (%(default)s)")
    add("--patience", type=float, default=1800.0, help="seconds for a search of the peer (%(default)s)")
    add("--work", type=Path, help="keep the folders and indexes here (a temporary folder)")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="where results go")
    args = parser.parse_args(argv)
    if args.peer and not args.peer_model:
        parser.error("--peer needs --peer-model")
    try:
        with tempfile.TemporaryDirectory(prefix="modstar-bench-") as scratch:
            return _run(args, argv, Path(scratch))
    except (SetError, ModstarError, Failed) as error:
        print(f"bench.scale: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str], scratch: Path) -> int:
    from modstar_lsp.encoder import open_bundle

    bench = Bench(
        work=(args.work or scratch).resolve(),
        trees=args.trees.resolve(),
        bundle=args.bundle,
        peer=shlex.split(args.peer),
        peer_model=args.peer_model.resolve() if args.peer_model else None,
        rounds=args.rounds,
        patience=args.patience,
    )
    source_trees(bench.trees)
    bench.work.mkdir(parents=True, exist_ok=True)
    bench.run([lambda found: measure(found, sorted(args.sizes, key=lambda size: size or sys.maxsize))])
    bench.publish(
        "scale",
        argv,
        bundle=open_bundle(args.bundle).digest,
        title="as a folder grows",
        out=args.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
