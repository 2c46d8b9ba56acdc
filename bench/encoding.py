"""Where an exit's time goes: its graph's nodes, each beside what this machine's cores can do at most.

    python -m bench.encoding [--bundle DIR] [--tokens 203] [--rounds 30] [--out FOLDER]

One text of so many tokens goes through each graph of the bundle on one core, as the product runs it (a text
at a time), and onnxruntime tells what each node took. A multiplication is told in billions of operations
a second (two for each product and sum), and as a share of the pace of one large product in the same numbers,
which is the most that onnxruntime reaches here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.options import positive
from evaluation.record import Record, command_line, table
from evaluation.sets import SetError
from modstar_lsp.encoder import Bundle, open_bundle
from modstar_lsp.encoder.runtime import CPU, onnxruntime, open_session
from modstar_lsp.errors import ModstarError

INT8, FLOAT32 = "int8", "float32"
# Rows, inner size and columns of the large product: more is no faster.
_PEAK_SHAPE = (512, 1024, 2048)
_SEED = 7


@dataclass(slots=True)
class Kind:
    """All nodes of one operator of a graph. milliseconds, operations: of one text."""

    nodes: int = 0
    milliseconds: float = 0.0
    operations: float = 0.0
    precision: str = ""


@dataclass(slots=True)
class Timed:
    """What one graph took. milliseconds: of a core for a text, the median, without the profiler."""

    milliseconds: float
    kinds: dict[str, Kind] = field(default_factory=dict)


def peaks(rounds: int) -> dict[str, float]:
    """The pace of one large product on one core, in billions of operations a second."""
    from onnx import TensorProto, helper, numpy_helper

    rows, inner, columns = _PEAK_SHAPE
    random = np.random.default_rng(_SEED)
    left = random.standard_normal((rows, inner)).astype(np.float32)
    right = random.standard_normal((inner, columns)).astype(np.float32)
    codes = numpy_helper.from_array(np.rint(right * 20).astype(np.int8), "codes")
    scale = numpy_helper.from_array(np.float32(0.05), "scale")
    weights = numpy_helper.from_array(right, "weights")
    nodes = {
        INT8: helper.make_node(
            "DynamicQuantizeMatMul", ["a", "codes", "scale"], ["y"], domain="com.microsoft"
        ),
        FLOAT32: helper.make_node("MatMul", ["a", "weights"], ["y"]),
    }
    found = {}
    for precision, node in nodes.items():
        graph = helper.make_graph(
            [node],
            "peak",
            [helper.make_tensor_value_info("a", TensorProto.FLOAT, left.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [codes, scale] if precision == INT8 else [weights],
        )
        sets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=9)
        session = open_session(model.SerializeToString())
        seconds = _median_cpu(session, {"a": left}, rounds)
        found[precision] = 2 * rows * inner * columns / seconds / 1e9
    return found


def _profiled(graph: Path, prefix: str) -> Any:
    """As `open_session` has it, with a profile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.profile_file_prefix = prefix
    return onnxruntime.InferenceSession(str(graph), options, providers=[CPU])


def _median_cpu(session: Any, inputs: Mapping[str, NDArray[Any]], rounds: int) -> float:
    seconds = []
    for _ in range(rounds + 2):
        begin = time.process_time()
        session.run(None, dict(inputs))
        seconds.append(time.process_time() - begin)
    return float(np.median(seconds[2:]))


def timed(graph: Path, bundle: Bundle, tokens: int, rounds: int, scratch: Path) -> Timed:
    """What a text of `tokens` tokens takes in a graph, and which of its nodes take it."""
    session = open_session(graph)
    ids = np.random.default_rng(_SEED).integers(1000, 20_000, (1, tokens)).astype(np.int64)
    inputs: dict[str, NDArray[Any]] = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    if any(one.name == "bag" for one in session.get_inputs()):
        inputs["bag"] = np.zeros((1, bundle.dimension), np.float32)
    found = Timed(1e3 * _median_cpu(session, inputs, rounds))
    profiled = _profiled(graph, str(scratch / graph.stem))
    for _ in range(rounds):
        profiled.run(None, inputs)
    events = json.loads(Path(profiled.end_profiling()).read_text())
    kinds: dict[str, Kind] = defaultdict(Kind)
    names: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        about = event["args"]
        kind = kinds[about["op_name"]]
        names[about["op_name"]].add(event["name"])
        kind.milliseconds += event["dur"] / 1e3 / rounds
        operations, kind.precision = _operations(about)
        kind.operations += operations / rounds
    for name, kind in kinds.items():
        kind.nodes = len(names[name])
    found.kinds = dict(sorted(kinds.items(), key=lambda item: -item[1].milliseconds))
    return found


def _operations(about: Mapping[str, Any]) -> tuple[float, str]:
    """(multiplications and additions of a node, in which numbers); (0, "") of one that does others."""
    shapes = [next(iter(one.values())) for one in about["input_type_shape"]]
    name = about["op_name"]
    if name in ("DynamicQuantizeMatMul", "MatMul", "Gemm"):
        columns = next(iter(about["output_type_shape"][0].values()))[-1]
        precision = INT8 if name == "DynamicQuantizeMatMul" else FLOAT32
        return 2.0 * float(np.prod(shapes[0])) * columns, precision
    if name == "MultiHeadAttention":
        batch, length, width = shapes[0]
        return 4.0 * batch * length * length * width, FLOAT32
    return 0.0, ""


def graphs_of(bundle: Bundle) -> dict[str, Path]:
    """The graphs of a bundle by what they are called in the table. Raises SetError where there is none."""
    found = {f"exit {one.depth}": one.file for one in bundle.exits if one.depth}
    if bundle.reranker is not None:
        found |= {f"reranker, exit {one.depth}": one.file for one in bundle.reranker.exits}
    if not found:
        raise SetError(f"bundle {bundle.folder} has no graph")
    return {name: bundle.folder / file for name, file in found.items()}


def rows_of(found: Timed, peak: Mapping[str, float]) -> list[list[str]]:
    """The table's lines, those that take less than a hundredth of the time together in the last."""
    total = sum(kind.milliseconds for kind in found.kinds.values())
    rows, rest = [], 0.0
    for name, kind in found.kinds.items():
        share = kind.milliseconds / total
        if share < 0.01:
            rest += share
            continue
        pace = kind.operations / kind.milliseconds / 1e6
        of_peak = f"{pace / peak[kind.precision]:.0%} of {kind.precision}" if kind.precision else ""
        rows.append(
            [name, str(kind.nodes), f"{share:.1%}", f"{pace:,.0f}" if kind.precision else "", of_peak]
        )
    return [*rows, ["all others", "", f"{rest:.1%}", "", ""]]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.encoding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    parser.add_argument("--tokens", type=positive, default=203, help="of the text (%(default)s)")
    parser.add_argument("--rounds", type=positive, default=30, help="runs of each graph (%(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where results go"
    )
    args = parser.parse_args(argv)
    try:
        bundle = open_bundle(args.bundle)
        graphs = graphs_of(bundle)
    except (SetError, ModstarError) as error:
        print(f"bench.encoding: {error}", file=sys.stderr)
        return 2
    peak = peaks(args.rounds)
    record = Record("encoding", command_line("bench.encoding", argv), bundle.digest, {})
    record.results = {"peaks": peak, "tokens": args.tokens}
    record.notes = [f"at most here: {', '.join(f'{pace:,.0f} in {name}' for name, pace in peak.items())}"]
    with tempfile.TemporaryDirectory(prefix="modstar-bench-") as scratch:
        for name, graph in graphs.items():
            found = timed(graph, bundle, args.tokens, args.rounds, Path(scratch))
            record.results[name] = {
                "milliseconds": found.milliseconds,
                "kinds": {
                    kind: [one.nodes, one.milliseconds, one.operations] for kind, one in found.kinds.items()
                },
            }
            title = f"{name}: {found.milliseconds:.1f} ms of a core for {args.tokens} tokens"
            head = ["nodes", "how many", "share of the time", "GOP/s", "of the most"]
            record.tables.append(table(title, head, rows_of(found, peak)))
    written = record.write(args.out)
    print(*record.notes, *record.tables, f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
