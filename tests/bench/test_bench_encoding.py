"""Where an exit's time goes, asked of the bundle that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import encoding
from modstar_lsp.encoder import open_bundle


def test_every_graph_is_told_node_by_node(tmp_path: Path) -> None:
    assert encoding.main(["--tokens", "20", "--rounds", "2", "--out", str(tmp_path)]) == 0
    (written,) = tmp_path.glob("*-encoding-*.json")
    results = json.loads(written.read_text())["results"]
    assert results["peaks"]["int8"] > 0 and results["peaks"]["float32"] > 0
    bundle = open_bundle()
    assert bundle.reranker is not None
    graphs = [f"exit {one.depth}" for one in bundle.exits if one.depth]
    graphs += [f"reranker, exit {one.depth}" for one in bundle.reranker.exits]
    assert [name for name in results if name not in ("peaks", "tokens")] == graphs
    for depth in (4, 6):
        nodes, milliseconds, operations = results[f"exit {depth}"]["kinds"]["DynamicQuantizeMatMul"]
        # In each layer: query, key and value at once, what comes of them, and the two of the wide part.
        assert nodes == 4 * depth and milliseconds > 0
        assert operations == pytest.approx(2 * 20 * depth * 384 * (3 * 384 + 384 + 2 * 1536), rel=0.01)
        nodes, _, operations = results[f"exit {depth}"]["kinds"]["MultiHeadAttention"]
        assert nodes == depth and operations == pytest.approx(4 * 20 * 20 * 384 * depth)


def test_a_bundle_that_is_none_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert encoding.main(["--bundle", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
