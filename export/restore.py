"""The reranker of a bundle as a checkpoint again, so that training can go on from what ships.

    python -m export.restore BUNDLE CHECKPOINT

The weights are the int8 ones times their scales: a token's vector is as faithful as the bundle's validation
says. An MLP's neurons come in another order (the loud ones last), which changes nothing. There are the exits
that the bundle has graphs of; `python -m train rerank` begins the heads of others anew.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from export.errors import ExportError
from export.outliers import LOUD
from model.encoder import CheckpointError
from model.reranker import Reranker, RerankerConfig
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.bundle import RerankerExit, RerankerFiles
from modstar_lsp.errors import ModstarError

# Products of a layer in int8, in the order of the graph: attention's q, k and v in one, its output, the MLP.
_OF_A_LAYER = 4
_INT8 = "DynamicQuantizeMatMul"


class _Graph:
    """One segment: its weights by name, its products in order."""

    def __init__(self, file: Path) -> None:
        graph = onnx.load(str(file)).graph
        self.weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.nodes = list(graph.node)

    def products(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(weight [out, in], bias) of each product in int8."""
        for node in self.nodes:
            if node.op_type == _INT8:
                rows, scale, zero = (self.weights[name] for name in node.input[1:4])
                weight = (rows.astype(np.float32) - zero.astype(np.float32)) * scale
                bias = self.weights[node.input[4]] if len(node.input) > 4 and node.input[4] else None
                yield _tensor(weight.T), None if bias is None else _tensor(bias)

    def loud(self) -> Iterator[Tensor]:
        """The weights [out, in] of the loud neurons, inward and outward by turns."""
        for node in self.nodes:
            found = [self.weights[name] for name in node.input if name in self.weights]
            if node.op_type == "MatMul" and len(found) == 1 and LOUD in found[0].shape:
                yield _tensor(found[0].T)

    def attribute(self, operator: str, name: str) -> onnx.AttributeProto:
        """What the first node of a kind says under a name."""
        node = next(node for node in self.nodes if node.op_type == operator)
        return next(one for one in node.attribute if one.name == name)

    def norms(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(weight, bias) of each LayerNorm in order."""
        for node in self.nodes:
            if node.op_type in ("LayerNormalization", "SkipLayerNormalization"):  # the latter adds two first
                weight, bias = (self.weights[name] for name in node.input[-2:])
                yield _tensor(weight), _tensor(bias)

    def loud_biases(self) -> Iterator[Tensor]:
        """The biases of the loud neurons, a layer each."""
        for node in self.nodes:
            if node.op_type == "BiasGelu":
                yield _tensor(self.weights[node.input[1]])

    def weigh(self) -> tuple[Tensor, Tensor]:
        """(weight [1, hidden], bias [1]) of what a token counts for; the exporter drops a bias of zero."""
        weight = next(
            self.weights[name]
            for node in self.nodes
            if node.op_type == "Mul"
            for name in node.input
            if name in self.weights and self.weights[name].ndim == 1
        )
        bias = self.weights.get("head.weigh.bias")
        return _tensor(weight)[None], torch.zeros(1) if bias is None else _tensor(bias)


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def restored(bundle: Path) -> tuple[Reranker, str]:
    """The reranker of a bundle in float32, and its tokenizer as JSON.

    ExportError in one line where the bundle has none, or graphs that this version does not write.
    """
    opened = open_bundle(bundle)
    files = opened.reranker
    if files is None:
        raise ExportError(f"{bundle}: this bundle has no reranker")
    try:
        graphs = [_Graph(opened.folder / one.file) for one in files.exits]
        words = (opened.folder / files.tokenizer).read_text("utf-8")
        told = {
            "question_tokens": files.question_tokens,
            "code_tokens": files.code_tokens,
            "before": opened.reranker_section.get("provenance", {}),
        }
        model = Reranker(_config(graphs[0], files, told))
        model.load_state_dict(_state(graphs, files))
    except (KeyError, StopIteration, OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"{bundle}: not a reranker that this version wrote ({error})") from error
    return model, words


def _config(first: _Graph, files: RerankerFiles, training: dict[str, Any]) -> RerankerConfig:
    """The shape, as the first segment's graph shows it. training: what the checkpoint tells of its making."""
    positions, vectors = first.weights["embed_positions.weight"], first.weights["embed_tokens.weight.rows"]
    heads = first.attribute("MultiHeadAttention", "num_heads").i
    return RerankerConfig(
        vocab_size=vectors.shape[0],
        hidden_size=vectors.shape[1],
        intermediate_size=first.weights["layers.mlps.0.c_fc.bias"].size + LOUD,
        num_hidden_layers=files.exits[-1].depth,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=positions.shape[0],
        positions="learned",
        norm="post",
        embedding_norm=True,
        final_norm=False,
        exit_layers=[one.depth for one in files.exits],
        dimension=files.dimension,
        nested_dimensions=[],
        pooling="mean",
        norm_epsilon=first.attribute("LayerNormalization", "epsilon").f,
        activation="gelu",
        training=training,
    )


def _state(graphs: Sequence[_Graph], files: RerankerFiles) -> dict[str, Tensor]:
    """All weights by their names in the checkpoint."""
    first = graphs[0]
    norm, bias = next(first.norms())
    rows = first.weights["embed_tokens.weight.rows"].astype(np.float32)
    state = {
        "embed_tokens.weight": _tensor(rows * first.weights["embed_tokens.weight.scales"]),
        "embed_positions.weight": _tensor(first.weights["embed_positions.weight"]),
        "embedding_norm.weight": norm,
        "embedding_norm.bias": bias,
    }
    begin = 0
    for graph, told in zip(graphs, files.exits, strict=True):
        state |= _segment(graph, begin, told)
        begin = told.depth
    return state


def _segment(graph: _Graph, begin: int, told: RerankerExit) -> dict[str, Tensor]:
    """The weights of the layers from `begin` to an exit, and of the head there."""
    end = told.depth
    state: dict[str, Tensor] = {}
    products = list(graph.products())
    loud, norms = list(graph.loud()), list(graph.norms())[-2 * (end - begin) :]
    loud_biases = list(graph.loud_biases())
    if len(products) != _OF_A_LAYER * (end - begin) + 1 or len(loud) != 2 * (end - begin):
        raise ValueError(f"{len(products)} products in {end - begin} layers")
    for at in range(end - begin):
        layer = f"layers.{begin + at}."
        (qkv, offset), (out, out_bias), (fc, fc_bias), (proj, proj_bias) = products[
            _OF_A_LAYER * at : _OF_A_LAYER * (at + 1)
        ]
        assert offset is not None and fc_bias is not None and out_bias is not None and proj_bias is not None
        for name, weight, bias in zip("qkv", qkv.chunk(3), offset.chunk(3), strict=True):
            state |= {
                f"{layer}self_attn.{name}_proj.weight": weight,
                f"{layer}self_attn.{name}_proj.bias": bias,
            }
        inward, outward = loud[2 * at : 2 * at + 2]
        state |= {
            f"{layer}self_attn.o_proj.weight": out,
            f"{layer}self_attn.o_proj.bias": out_bias,
            f"{layer}mlp.c_fc.weight": torch.cat((fc, inward)),
            f"{layer}mlp.c_fc.bias": torch.cat((fc_bias, loud_biases[at])),
            f"{layer}mlp.c_proj.weight": torch.cat((proj, outward), dim=1),
            f"{layer}mlp.c_proj.bias": proj_bias,
        }
        for norm, (weight, bias) in zip(
            ("attention_layernorm", "output_layernorm"), norms[2 * at : 2 * at + 2], strict=True
        ):
            state |= {f"{layer}{norm}.weight": weight, f"{layer}{norm}.bias": bias}
    weigh, weigh_bias = graph.weigh()
    head = f"heads.{end}."
    return state | {
        f"{head}proj.weight": products[-1][0],
        f"{head}weigh.weight": weigh,
        f"{head}weigh.bias": weigh_bias,
        f"{head}late_scale": torch.tensor(math.log(told.late_scale)),
        f"{head}mean_scale": torch.tensor(math.log(told.mean_scale)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 an error told in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m export.restore",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("checkpoint", type=Path, help="a folder that is made")
    options = parser.parse_args(arguments)
    try:
        model, words = restored(options.bundle)
        model.save_pretrained(options.checkpoint)
        (options.checkpoint / "tokenizer.json").write_text(json.dumps(json.loads(words)), "utf-8")
    except (ExportError, CheckpointError, ModstarError, OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    print(f"{options.checkpoint}: a reranker with exits {', '.join(map(str, model.depths))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
