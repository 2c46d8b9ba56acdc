"""The reranker or the encoder of a bundle as a checkpoint again, so that training can go on from what ships.

    python -m export.restore BUNDLE CHECKPOINT
    python -m export.restore BUNDLE CHECKPOINT --encoder

The weights are the int8 ones times their scales: a vector is as faithful as the bundle's validation says.
An MLP's neurons come in another order (the loud ones last), which changes nothing. There are the exits that
the bundle has graphs of; `python -m train` begins the heads of others anew.
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
from model.config import ModularStarConfig
from model.encoder import CheckpointError, ModularStarEncoder
from model.reranker import Reranker, RerankerConfig
from modstar_lsp.encoder import Bundle, open_bundle
from modstar_lsp.encoder.bundle import RerankerExit, RerankerFiles
from modstar_lsp.errors import ModstarError

# Products of a layer in int8, in the order of the graph: attention's q, k and v in one, its output, the MLP.
_OF_A_LAYER = 4
_INT8 = "DynamicQuantizeMatMul"


class _Graph:
    """An exit, or a reranker's segment: its weights by name, its products in order."""

    def __init__(self, file: Path) -> None:
        graph = onnx.load(str(file)).graph
        self.weights = {_bare(one.name): numpy_helper.to_array(one) for one in graph.initializer}
        self.nodes = list(graph.node)
        for node in self.nodes:
            node.input[:] = map(_bare, node.input)

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

    def gain(self) -> Tensor:
        """What the head's vector counts for beside exit 0's."""
        added = next(set(node.input) - {"bag"} for node in self.nodes if "bag" in node.input)
        product = next(node for node in self.nodes if set(node.output) & added)
        scales = [self.weights[name] for name in product.input if name in self.weights]
        return _tensor(scales[0]) if product.op_type == "Mul" and scales else torch.ones(())

    def shape(self) -> dict[str, Any]:
        """What the weights show of a configuration."""
        positions, vectors = self.weights["embed_positions.weight"], self.vectors()
        heads = self.attribute("MultiHeadAttention", "num_heads").i
        inward = list(self.products())[2][0]
        return {
            "vocab_size": vectors.shape[0],
            "hidden_size": vectors.shape[1],
            "intermediate_size": len(inward) + LOUD,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": positions.shape[0],
            "positions": "learned",
            "norm": "post",
            "embedding_norm": True,
            "final_norm": False,
            "pooling": "mean",
            "norm_epsilon": self.attribute("LayerNormalization", "epsilon").f,
            "activation": "gelu",
        }

    def vectors(self) -> Tensor:
        """The embedding [vocabulary, hidden], which is left in float32 where it is small."""
        if "embed_tokens.weight" in self.weights:
            return _tensor(self.weights["embed_tokens.weight"])
        rows, scales = (self.weights[f"embed_tokens.weight.{part}"] for part in ("rows", "scales"))
        return _tensor(rows.astype(np.float32) * scales)

    def embedding(self) -> dict[str, Tensor]:
        """What the first layer reads, by name in a checkpoint."""
        norm, bias = next(self.norms())
        return {
            "embed_tokens.weight": self.vectors(),
            "embed_positions.weight": _tensor(self.weights["embed_positions.weight"]),
            "embedding_norm.weight": norm,
            "embedding_norm.bias": bias,
        }

    def layers(self, begin: int, end: int) -> dict[str, Tensor]:
        """The layers from `begin` to `end`, all that are in the graph, by name in a checkpoint."""
        count = end - begin
        products, loud, norms = list(self.products()), list(self.loud()), list(self.norms())[-2 * count :]
        biases = list(self.loud_biases())
        if len(products) < _OF_A_LAYER * count or len(loud) != 2 * count:
            raise ValueError(f"{len(products)} products in {count} layers")
        state: dict[str, Tensor] = {}
        for at in range(count):
            parts = products[_OF_A_LAYER * at : _OF_A_LAYER * (at + 1)]
            state |= _layer(
                f"layers.{begin + at}.", parts, loud[2 * at : 2 * at + 2], biases[at], norms[2 * at :]
            )
        return state


def _bare(name: str) -> str:
    """The name of a weight without that of the module which an exit's encoder is part of."""
    return name.removeprefix("exit.").removeprefix("truncated.")


def _layer(
    name: str,
    products: Sequence[tuple[Tensor, Tensor | None]],
    loud: Sequence[Tensor],
    loud_bias: Tensor,
    norms: Sequence[tuple[Tensor, Tensor]],
) -> dict[str, Tensor]:
    """The weights of one layer by name. loud: of its loud neurons, inward and outward."""
    (qkv, offset), (out, out_bias), (fc, fc_bias), (proj, proj_bias) = products
    assert offset is not None and fc_bias is not None and out_bias is not None and proj_bias is not None
    state = {
        f"{name}self_attn.o_proj.weight": out,
        f"{name}self_attn.o_proj.bias": out_bias,
        f"{name}mlp.c_fc.weight": torch.cat((fc, loud[0])),
        f"{name}mlp.c_fc.bias": torch.cat((fc_bias, loud_bias)),
        f"{name}mlp.c_proj.weight": torch.cat((proj, loud[1]), dim=1),
        f"{name}mlp.c_proj.bias": proj_bias,
    }
    for part, weight, bias in zip("qkv", qkv.chunk(3), offset.chunk(3), strict=True):
        state |= {f"{name}self_attn.{part}_proj.weight": weight, f"{name}self_attn.{part}_proj.bias": bias}
    for part, (weight, bias) in zip(("attention_layernorm", "output_layernorm"), norms, strict=False):
        state |= {f"{name}{part}.weight": weight, f"{name}{part}.bias": bias}
    return state


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
    return RerankerConfig(
        **first.shape(),
        num_hidden_layers=files.exits[-1].depth,
        exit_layers=[one.depth for one in files.exits],
        dimension=files.dimension,
        nested_dimensions=[],
        training=training,
    )


def _state(graphs: Sequence[_Graph], files: RerankerFiles) -> dict[str, Tensor]:
    """All weights by their names in the checkpoint."""
    state = graphs[0].embedding()
    begin = 0
    for graph, told in zip(graphs, files.exits, strict=True):
        state |= graph.layers(begin, told.depth) | _token_head(graph, told)
        begin = told.depth
    return state


def _token_head(graph: _Graph, told: RerankerExit) -> dict[str, Tensor]:
    """The weights of a reranker's head, the last product of its segment among them."""
    weigh, weigh_bias = graph.weigh()
    head = f"heads.{told.depth}."
    return {
        f"{head}proj.weight": list(graph.products())[-1][0],
        f"{head}weigh.weight": weigh,
        f"{head}weigh.bias": weigh_bias,
        f"{head}late_scale": torch.tensor(math.log(told.late_scale)),
        f"{head}mean_scale": torch.tensor(math.log(told.mean_scale)),
    }


def restored_encoder(bundle: Path) -> tuple[ModularStarEncoder, str]:
    """The encoder of a bundle in float32, exit 0 with it, and its tokenizer as JSON.

    ExportError in one line where the bundle has exit 0 alone, or graphs that this version does not write.
    """
    opened = open_bundle(bundle)
    deeper = opened.exits[1:]
    if not deeper:
        raise ExportError(f"{bundle}: this bundle has exit 0 alone")
    try:
        graphs = {one.depth: _Graph(opened.folder / one.file) for one in deeper}
        deepest = deeper[-1]
        model = ModularStarEncoder(
            ModularStarConfig(
                **graphs[deepest.depth].shape(),
                num_hidden_layers=deepest.depth,
                exit_layers=[one.depth for one in opened.exits],
                dimension=opened.dimension,
                nested_dimensions=[opened.indexed] if opened.indexed < opened.dimension else [],
                exit0_table="own",
                exit0_tf=opened.static.tf,
                residual=deepest.residual,
                query_ground=deepest.query_ground,
                training={**opened.provenance.get("training", {}), "restored": opened.digest},
            )
        )
        model.load_state_dict(_exits_state(opened, graphs))
        words = (opened.folder / opened.tokenizer).read_text("utf-8")
    except (KeyError, StopIteration, IndexError, OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"{bundle}: not an encoder that this version wrote ({error})") from error
    return model, words


def _exits_state(opened: Bundle, graphs: dict[int, _Graph]) -> dict[str, Tensor]:
    """All weights of an encoder by name: the deepest graph has every layer, the others their heads."""
    deepest = max(graphs)
    state = graphs[deepest].embedding() | graphs[deepest].layers(0, deepest)
    for depth, graph in graphs.items():
        state |= {
            f"heads.{depth}.proj.weight": _tensor(graph.weights["head.proj.weight"].T),
            f"heads.{depth}.proj.bias": _tensor(graph.weights["head.proj.bias"]),
        }
        if opened.exit(depth).residual:
            state[f"heads.{depth}.gain"] = graph.gain()
    rows, scales = (np.load(opened.folder / one) for one in (opened.static.table, opened.static.scales))
    table = np.zeros((len(state["embed_tokens.weight"]), opened.dimension), np.float32)
    table[: len(rows)] = rows * scales[:, None]
    return state | {
        "heads.0.table": _tensor(table),
        "heads.0.is_word": _tensor(np.abs(table).max(axis=1) > 0),
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
    parser.add_argument("--encoder", action="store_true", help="the exits, not the reranker")
    options = parser.parse_args(arguments)
    try:
        model, words = (restored_encoder if options.encoder else restored)(options.bundle)
        model.save_pretrained(options.checkpoint)
        (options.checkpoint / "tokenizer.json").write_text(json.dumps(json.loads(words)), "utf-8")
    except (ExportError, CheckpointError, ModstarError, OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    what = "an encoder" if options.encoder else "a reranker"
    print(f"{options.checkpoint}: {what} with exits {', '.join(map(str, model.depths))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
