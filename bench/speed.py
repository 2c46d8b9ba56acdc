"""Time, memory and size of the product beside what it promises, and beside semble in the same run.

    python -m bench.speed --trees FOLDER [--peer semble --peer-model FOLDER] [--only cold,warm,...]

cold    first answer on a tree never indexed: process start, index, query. Both tools with an empty cache
        of their own, taking turns. The files are in the system's page cache: an unmeasured run comes first.
warm    the same question as a new process on the finished index, taking turns.
size    `modstar-index` on a workspace of 50,000 chunks: peak memory of the process tree, index size, time.
query   questions inside one process on that workspace.
touch   a question as a process after one file of 5,000 was changed, against none.

Figures are medians, ratios are of medians in one run. Nothing here fails on a slow machine: the table says
what was promised and whether it held.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.big_tree import Laid, lay_out
from bench.figures import Figures, bytes_in
from evaluation.record import progress
from evaluation.sets import SetError
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from modstar_lsp.index import IndexStatus

PARTS = ("cold", "warm", "size", "query", "touch")
# A small, a middle and a large tree.
COLD_TREES = ("issues_python/flask", "repos/vitest", "repos/laravel-framework")
CHUNKS = 50_000
FILES = 5_000
# Memory of the process tree is looked at this often (seconds): allocations of the indexer live for longer.
_LOOK_EVERY = 0.05

# Asked where no evaluation set is given.
QUESTIONS = (
    "where are failed requests retried",
    "parse a date string into a timestamp",
    "register a new route",
    "validate the user's input",
    "open a database connection",
    "compute the derivative of an expression",
    "write a table to a file",
    "resolve a dependency from the container",
    "HTTPAdapter.send",
    "parse_json",
    "render a template with a context",
    "check whether a matrix is positive definite",
    "collect the tests of a module",
    "convert units of a quantity",
    "log a warning once",
    "split a path into its parts",
    "send an event to the listeners",
    "cache the result of a function",
    "read configuration from the environment",
    "escape html in a string",
    "QueryBuilder",
    "compare two versions",
    "close the connection pool",
    "build the search index of the documentation",
)


@dataclass(slots=True, kw_only=True)
class Bench(Figures):
    """What the parts share: the commands, where to work, and what was found."""

    query: list[str]
    index: list[str]
    trees: Path
    bundle: Path | None
    peer: list[str]
    peer_model: Path | None
    rounds: int
    cold_trees: Sequence[str]
    questions: Sequence[str]

    def modstar(self, text: str, tree: Path, cache: Path) -> Timing:
        """One `modstar-query` process whose index lives in `cache`, asked without options as people do."""
        options = ["--bundle", str(self.bundle)] if self.bundle else []
        if sys.platform in ("darwin", "win32"):  # where no variable says which folder is the cache
            options += ["--index-dir", str(cache)]
        return timed([*self.query, *options, text, str(tree)], {"XDG_CACHE_HOME": str(cache)})

    def semble(self, text: str, tree: Path, cache: Path) -> Timing:
        """One `semble search` process with the same number of hits and lines."""
        environment = peer_environment(self.peer_model, cache)
        return timed(
            [*self.peer, "search", "-k", "10", "--max-snippet-lines", "4", text, str(tree)], environment
        )

    def tools(self) -> Mapping[str, Callable[[str, Path, Path], Timing]]:
        """The tools that take turns."""
        return {"modstar": self.modstar} | ({"semble": self.semble} if self.peer else {})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of a process: on the clock, and of processor time with all its children."""

    wall: float
    cpu: float


def peer_environment(model: Path | None, cache: Path) -> dict[str, str]:
    """What semble reads: our table as its model, and a folder of its own for its indexes."""
    return {"HF_HUB_OFFLINE": "1", "SEMBLE_MODEL_NAME": str(model), "SEMBLE_CACHE_LOCATION": str(cache)}


def timed(command: Sequence[str], environment: dict[str, str]) -> Timing:
    """Run a process; 0 and 1 (found, nothing found) are answers, anything else is an error."""
    begin, used = time.perf_counter(), os.times()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    took = Timing(time.perf_counter() - begin, cpu)
    if done.returncode not in (0, 1) or (done.returncode == 1 and "Traceback" in done.stderr):
        raise SetError(f"{Path(command[0]).name} ended with {done.returncode}: {_tail(done.stderr)}")
    return took


def _tail(complaint: str) -> str:
    return " ".join(complaint.split())[-300:] or "no message"


def taking_turns(names: Sequence[str], rounds: int) -> list[list[str]]:
    """The order of the tools in each round, first and last swapped from round to round."""
    return [list(names) if turn % 2 == 0 else list(reversed(names)) for turn in range(rounds)]


def cold(bench: Bench) -> None:
    """First answer on a tree never indexed."""
    for name in bench.cold_trees:
        tree, tools = _tree(bench, name), bench.tools()
        for ask in tools.values():
            ask(bench.questions[0], tree, bench.empty())
        seconds: dict[str, list[Timing]] = {tool: [] for tool in tools}
        for order in taking_turns(list(tools), bench.rounds):
            for tool in order:
                progress(f"cold {name}: {tool}")
                seconds[tool].append(tools[tool](bench.questions[0], tree, bench.empty()))
        _compare(bench, f"cold, {name}", seconds, 1 / 2, "at most 1/2 of semble")


def warm(bench: Bench) -> None:
    """The same question as a new process on the finished index."""
    for name in bench.cold_trees:
        tree, tools = _tree(bench, name), bench.tools()
        caches = {tool: bench.empty() for tool in tools}
        for tool, ask in tools.items():
            ask(bench.questions[0], tree, caches[tool])
            ask(bench.questions[0], tree, caches[tool])
        seconds: dict[str, list[Timing]] = {tool: [] for tool in tools}
        for i, order in enumerate(taking_turns(list(tools), 2 * bench.rounds + 1)):
            for tool in order:
                text = bench.questions[i % len(bench.questions)]
                seconds[tool].append(tools[tool](text, tree, caches[tool]))
        _compare(bench, f"warm, {name}", seconds, 1 / 5, "at most 1/5 of semble")
    floor = [
        timed([sys.executable, "-c", "import numpy"], {"OPENBLAS_NUM_THREADS": "1"})
        for _ in range(2 * bench.rounds + 1)
    ]
    bench.note("floor: python -c 'import numpy', one thread", _shown(_median(floor)))


def _compare(bench: Bench, what: str, seconds: dict[str, list[Timing]], share: float, promise: str) -> None:
    _keep(bench, what, seconds)
    ours = _median(seconds["modstar"])
    if "semble" not in seconds:
        bench.note(what, _shown(ours), promise)
        return
    theirs = _median(seconds["semble"])
    ratio = f"{ours.wall / theirs.wall:.2f}" + (f" (CPU {ours.cpu / theirs.cpu:.2f})" if theirs.cpu else "")
    measured = f"{_shown(ours)}, semble {_shown(theirs)}: {ratio}"
    bench.note(what, measured, promise, ours.wall <= share * theirs.wall)


def _median(timings: Sequence[Timing]) -> Timing:
    return Timing(statistics.median(t.wall for t in timings), statistics.median(t.cpu for t in timings))


def _shown(timing: Timing) -> str:
    return f"{timing.wall:.3f} s (CPU {timing.cpu:.2f})"


def _keep(bench: Bench, what: str, timings: Mapping[str, Sequence[Timing]]) -> None:
    bench.raw[what] = {
        name: [[round(t.wall, 4), round(t.cpu, 4)] for t in values] for name, values in timings.items()
    }


def size(bench: Bench) -> None:
    """Peak memory while indexing 50,000 chunks, and the size of the index."""
    tree, laid = _big(bench)
    cache = bench.work / "big-index"
    if cache.exists():
        shutil.rmtree(cache)
    bundle = ["--bundle", str(bench.bundle)] if bench.bundle else []
    begin = time.perf_counter()
    peak = peak_memory([*bench.index, *bundle, "--index-dir", str(cache), str(tree)])
    took = time.perf_counter() - begin
    stored = bytes_in(cache)
    bench.raw["size"] = {"peak": peak, "index": stored, "sources": laid.bytes, "seconds": round(took, 2)}
    chunks = _status(bench, tree).chunks
    label = f"{chunks:,} chunks in {laid.files:,} files"
    bench.note(f"peak memory while indexing {label}", f"{peak / 1e6:.0f} MB", "under 400 MB", peak < 400e6)
    bench.note(
        "index size against the sources",
        f"{stored / 1e6:.1f} MB for {laid.bytes / 1e6:.1f} MB: {stored / laid.bytes:.2f}",
        "under 1",
        stored < laid.bytes,
    )
    bench.note("indexing that workspace", f"{took:.1f} s, {chunks / took:,.0f} chunks/s")


def _status(bench: Bench, tree: Path) -> IndexStatus:
    from modstar_lsp.workspace import Workspace

    folder = bench.work / "big-index"
    with Workspace.open(tree, index_dir=folder, bundle=bench.bundle, write=False) as workspace:
        return workspace.status()


def query(bench: Bench) -> None:
    """Questions inside one process on 50,000 chunks."""
    from modstar_lsp.search import Options
    from modstar_lsp.workspace import Workspace

    tree, _ = _big(bench)
    with Workspace.open(tree, index_dir=bench.work / "big-index", bundle=bench.bundle) as workspace:
        workspace.refresh()
        chunks = workspace.status().chunks
        begin = time.perf_counter()
        workspace.search(QUESTIONS[-1], Options())
        first = time.perf_counter() - begin
        for text in QUESTIONS:
            workspace.search(text, Options())
        seconds, used = [], []
        for _ in range(max(1, 200 // len(bench.questions))):
            for text in bench.questions:
                begin, begin_used = time.perf_counter(), time.process_time()
                workspace.search(text, Options())
                seconds.append(time.perf_counter() - begin)
                used.append(time.process_time() - begin_used)
    p50, p95 = statistics.median(seconds) * 1e3, statistics.quantiles(seconds, n=20)[-1] * 1e3
    bench.raw["query"] = {
        "p50": p50,
        "p95": p95,
        "first": first * 1e3,
        "worst": max(seconds) * 1e3,
        "chunks": chunks,
        "cpu p50": statistics.median(used) * 1e3,
    }
    label = f"{chunks:,} chunks, {len(seconds)} questions"
    bench.note(
        f"query p50 inside a process ({label})",
        f"{p50:.1f} ms (CPU {statistics.median(used) * 1e3:.1f})",
        "under 10 ms",
        p50 < 10,
    )
    bench.note("query p95", f"{p95:.1f} ms (worst {max(seconds) * 1e3:.1f} ms)", "under 25 ms", p95 < 25)
    bench.note("first query after opening (snapshot loaded)", f"{first * 1e3:.0f} ms")


def touch(bench: Bench) -> None:
    """A question after one file of 5,000 was changed, against the same with none changed."""
    from modstar_lsp.chunking import chunk_file
    from modstar_lsp.files import read_source, walk

    tree, laid = bench.work / "files", lay_out(bench.trees, bench.work / "files", files=FILES)
    cache = bench.work / "files-index"
    text = bench.questions[0]
    for _ in range(2):
        bench.modstar(text, tree, cache)
    begin = time.perf_counter()
    files = walk(tree).files
    walked = time.perf_counter() - begin
    sources = sorted((f.size, f.path) for f in files if f.path.endswith((".py", ".php", ".ts", ".rb")))
    if not sources:
        raise SetError(f"no source file to touch below {tree}")
    path = sources[len(sources) // 2][1]
    untouched, touched = [], []
    for turn in range(2 * bench.rounds + 1):
        untouched.append(bench.modstar(text, tree, cache))
        with (tree / path).open("a", encoding="utf-8") as file:
            file.write(f"\n# touched {turn} {time.time_ns()}\n")
        touched.append(bench.modstar(text, tree, cache))
    begin = time.perf_counter()
    chunk_file(path, read_source(tree, path))
    chunked = time.perf_counter() - begin
    before, after = _median(untouched), _median(touched)
    _keep(bench, "touch", {"untouched": untouched, "touched": touched})
    bench.raw["touch"] |= {"walk": walked, "chunk": chunked}
    bench.note(
        f"query after one of {laid.files:,} files changed",
        f"{_shown(after)}, {_shown(before)} with none: {(after.wall - before.wall) * 1e3:+.0f} ms",
        "that file and a stat walk, not more",
    )
    bench.note(
        "  of which, measured apart: walk / chunking the file",
        f"{walked * 1e3:.0f} ms / {chunked * 1e3:.0f} ms",
    )


def peak_memory(command: Sequence[str]) -> int:
    """Run a command; the most bytes that it and its children held at once.

    Where /proc is, the larger of two figures: PSS (shared pages count once) summed over the process tree as
    seen every 50 ms, and the kernel's high-water mark of resident memory of the largest process. Elsewhere
    the latter.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(_LOOK_EVERY):
            tree = descendants(process.pid)
            together = sum(kilobytes(pid, "smaps_rollup", "Pss:") for pid in tree)
            largest = max(kilobytes(pid, "status", "VmHWM:") for pid in tree)
            peak = max(peak, together * 1024, largest * 1024)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    _, complaint = process.communicate()
    over.set()
    watcher.join()
    if process.returncode:
        raise SetError(f"{Path(command[0]).name} ended with {process.returncode}: {_tail(complaint)}")
    return peak or _largest_child()


def descendants(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    except OSError:
        pass
    return found


def kilobytes(pid: int, file: str, field: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _largest_child() -> int:
    """The largest child so far, where there is no /proc to ask about this one."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _tree(bench: Bench, name: str) -> Path:
    tree = bench.trees / name
    if not tree.is_dir():
        raise SetError(f"no tree {name} below the folder given with --trees")
    return tree


def _big(bench: Bench) -> tuple[Path, Laid]:
    tree = bench.work / "big"
    return tree, lay_out(bench.trees, tree, chunks=CHUNKS)


def installed(name: str, module: str) -> list[str]:
    """The command beside this Python, else the module run by it."""
    beside = Path(sys.executable).with_name(name)
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", module]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/..."
    )
    parser.add_argument("--eval", type=Path, metavar="FOLDER", help="ask the questions of its repos set")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    parser.add_argument("--peer", default="", metavar="COMMAND", help="semble")
    parser.add_argument("--peer-model", type=Path, metavar="FOLDER", help="a local model2vec folder for it")
    parser.add_argument("--only", default=",".join(PARTS), help="parts (%(default)s)")
    parser.add_argument("--cold-trees", default=",".join(COLD_TREES), help="for cold and warm (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="cold runs of each; 2n+1 warm ones (%(default)s)"
    )
    parser.add_argument("--query-command", default="", help="modstar-query, if it is not beside this Python")
    parser.add_argument("--index-command", default="", help="modstar-index, if it is not beside this Python")
    parser.add_argument("--work", type=Path, help="keep the laid-out workspaces here (a temporary folder)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where results go"
    )
    args = parser.parse_args(argv)
    if args.peer and not args.peer_model:
        parser.error("--peer needs --peer-model")
    parts = [part for part in args.only.split(",") if part]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        with tempfile.TemporaryDirectory(prefix="modstar-bench-") as scratch:
            return _run(args, argv, parts, Path(scratch))
    except (SetError, ModstarError) as error:
        print(f"bench.speed: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str], parts: Sequence[str], scratch: Path) -> int:
    from modstar_lsp.encoder import open_bundle

    questions: Sequence[str] = QUESTIONS
    if args.eval:
        lines = (args.eval / "repos" / "queries.jsonl").read_text(encoding="utf-8").split("\n")
        questions = [json.loads(line)["text"] for line in lines if line]
    bench = Bench(
        query=shlex.split(args.query_command) or installed("modstar-query", "modstar_lsp.cli.query"),
        index=shlex.split(args.index_command) or installed("modstar-index", "modstar_lsp.cli.index"),
        trees=args.trees.resolve(),
        work=(args.work or scratch).resolve(),
        bundle=args.bundle,
        peer=shlex.split(args.peer),
        peer_model=args.peer_model.resolve() if args.peer_model else None,
        rounds=args.rounds,
        cold_trees=[name for name in args.cold_trees.split(",") if name],
        questions=questions,
    )
    bench.run(
        {"cold": cold, "warm": warm, "size": size, "query": query, "touch": touch}[part] for part in parts
    )
    bench.publish(
        "speed",
        argv,
        bundle=open_bundle(args.bundle).digest,
        title="speed and size",
        out=args.out,
        notes=("medians; ratios are of medians in the same run",),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
