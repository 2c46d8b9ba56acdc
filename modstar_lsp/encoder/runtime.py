"""onnxruntime as we want it: import it from here, never by itself.

Its builds from 1.31 on report to their maker what they run, from a thread and a file in the user's cache
folder that begin with the import, unless the environment forbids it before. Nothing leaves the machine here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["CPU", "expect_inputs", "in_a_line", "onnxruntime", "open_session"]

CPU = "CPUExecutionProvider"


def open_session(
    graph: Path | bytes,
    *,
    threads: int = 1,
    optimised: bool = True,
    before_cpu: Mapping[str, Mapping[str, str]] | None = None,
) -> onnxruntime.InferenceSession:
    """A graph ready to run. Raises what onnxruntime does, which has a dozen classes for it.

    threads: that one run may use.  optimised: the file holds the graph as it is to be run.  before_cpu: the
    execution providers to prefer, with their options.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimised:
        # When it was exported: doing it again costs three times the load.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # With a busy neighbour on the cores spinning took twice as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [(name, dict(how)) for name, how in {**(before_cpu or {}), CPU: {}}.items()]
    # Its own way to the CPU is told by print, into whatever standard output is read by.
    return onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), options, providers=providers, enable_fallback=0
    )


def expect_inputs(session: onnxruntime.InferenceSession, names: Set[str]) -> None:
    """Raises ValueError when a graph takes something else: its file holds another one."""
    takes = {one.name for one in session.get_inputs()}
    if takes != names:
        raise ValueError(f"it takes {', '.join(sorted(takes))}, not {', '.join(sorted(names))}")


def in_a_line(error: Exception) -> str:
    """What went wrong, in a line: the first of what onnxruntime tells."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
