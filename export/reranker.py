"""A reranker as ONNX: a graph up to its deepest exit, or one to each exit that is chosen and on to the next.

the first: input_ids, attention_mask -> onward, vectors, weights, mean    (see model.reranker.Reading)
others:    states, attention_mask    -> onward, vectors, weights, mean
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bundle.manifest import add_files
from export.bias import corrected_biases
from export.errors import ExportError
from export.fused import FusedLayers
from export.graphs import OPSET, export_graph
from export.optimum_onnx import DummyTextInputGenerator, NormalizedTextConfig, OnnxConfig
from export.outliers import loud_neurons
from export.quantise import optimised, quantised
from export.tracing import EXPORTERS, Exporter, tracing_by
from export.validate import read_texts
from export.weights import SharedWeights
from model.encoder import CheckpointError
from model.reranker import Reranker, RerankerConfig, load_reranker
from modstar_lsp.encoder import open_bundle
from modstar_lsp.encoder.reranker import Reranker as Runtime
from modstar_lsp.encoder.tokens import open_tokenizer

WEIGHTS, TOKENIZER = "reranker.bin", "reranker-tokenizer.json"
# Least mean cosine of a token's vector in int8 to the same in torch.
LEAST_COSINE = 0.98
OUTPUTS = ("onward", "vectors", "weights", "mean")


def export_reranker(
    source: Path,
    bundle: Path,
    question_tokens: int,
    code_tokens: int,
    provenance: dict[str, Any] | None = None,
    depths: Sequence[int] | None = None,
    exporter: Exporter = "torchscript",
) -> str:
    """Add the reranker of checkpoint `source` to a bundle, in place; one line that says how faithful it is.

    question_tokens, code_tokens: longest question and longest code.  depths: the exits whose vectors are to
    be had, the last of which the search reads with; None: the deepest alone. ExportError in one line when the
    checkpoint is none, or int8 is too far from it; the bundle is as before then.
    """
    open_bundle(bundle)
    try:
        model = load_reranker(source).eval().float()
        words = (source / "tokenizer.json").read_text("utf-8")
    except (CheckpointError, OSError) as error:
        raise ExportError(str(error)) from error
    depths = sorted(depths or model.depths[-1:])
    if missing := set(depths) - set(model.depths):
        raise ExportError(f"{source} has no exit {min(missing)}; it has {', '.join(map(str, model.depths))}")
    texts, _ = read_texts(None)
    with tempfile.TemporaryDirectory(prefix=".reranker.", dir=bundle.parent) as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        (folder / TOKENIZER).write_text(
            json.dumps(json.loads(words), ensure_ascii=False, separators=(",", ":")), "utf-8"
        )
        tokenizer = open_tokenizer(folder / TOKENIZER)
        tokens = [list(tokenizer.encode(text, code_tokens).ids) for text in texts]
        with tracing_by(exporter):
            files = _write_segments(model, depths, tokens, code_tokens, folder)
        section = {
            "exits": [
                {
                    "depth": depth,
                    "file": file,
                    "late_scale": round(float(model.head(depth).late_scale.exp()), 4),
                    "mean_scale": round(float(model.head(depth).mean_scale.exp()), 4),
                }
                for depth, file in zip(depths, files, strict=True)
            ],
            "data": WEIGHTS,
            "tokenizer": TOKENIZER,
            "dimension": model.config.dimension,
            "question_tokens": question_tokens,
            "code_tokens": code_tokens,
            "provenance": provenance or {},
        }
        worst = _faithful(model, folder, section, tokens[:: max(len(tokens) // 60, 1)])
        if min(worst.values()) < LEAST_COSINE:
            raise ExportError(f"{source}: int8 tokens are only {min(worst.values()):.3f} like torch's")
        section["validation"] = {str(depth): round(cosine, 5) for depth, cosine in worst.items()}
        add_files(bundle, sorted(folder.iterdir()), reranker=section)
    told = ", ".join(f"exit {depth} {cosine:.4f}" for depth, cosine in worst.items())
    return f"reranker added; mean cosine of a token's int8 vector to torch's: {told}"


def remove_reranker(bundle: Path) -> None:
    """Take the reranker out of a bundle."""
    add_files(bundle, [], reranker=None)


def _write_segments(
    model: Reranker, depths: Sequence[int], tokens: Sequence[Sequence[int]], longest: int, folder: Path
) -> list[str]:
    """The graphs of all segments and their weights, below `folder`; their names, shallowest first."""
    loud = loud_neurons(model, tokens)
    names = [f"reranker-{depth}.onnx" for depth in depths]
    scratch, graphs = folder.parent, []
    with corrected_biases(model, tokens, loud):
        for name, segment in zip(names, _segments(model, depths, longest, loud), strict=True):
            config = SegmentOnnxConfig(model.config, first=segment.first)
            graphs.append(quantised(export_graph(segment.eval(), config, scratch / name)))
    with SharedWeights(folder / WEIGHTS) as weights:
        for name, graph in zip(names, graphs, strict=True):
            weights.pack(optimised(graph), folder / name)
    return names


def _segments(
    model: Reranker, depths: Sequence[int], longest: int, loud: Sequence[Tensor]
) -> Iterator[FusedSegment]:
    for start, end in pairwise([0, *depths]):
        yield FusedSegment(model, start, end, longest, loud[start:end])


class FusedSegment(nn.Module):
    """The layers between two exits and the head of the deeper, in operators that onnxruntime has."""

    def __init__(self, model: Reranker, start: int, end: int, longest: int, loud: Sequence[Tensor]) -> None:
        super().__init__()
        self.config = model.config
        self.start, self.end = start, end
        self.first = start == 0
        self.embed_tokens = model.embed_tokens if self.first else None
        self.embed_positions = model.embed_positions if self.first else None
        self.embedding_norm = model.embedding_norm if self.first else None
        self.layers = FusedLayers(model.config, model.blocks[start:end], longest, loud)
        self.norm = model.norm if end == model.config.num_hidden_layers else nn.Identity()
        self.head = model.head(end)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        states: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        assert attention_mask is not None
        if self.embed_tokens is not None:
            assert input_ids is not None and self.embedding_norm is not None
            states = self.embed_tokens(input_ids)
            if self.embed_positions is not None:
                states = states + self.embed_positions.weight[: input_ids.shape[1]]
            states = self.embedding_norm(states)
        assert states is not None
        states = self.layers(states, attention_mask)
        return (states, *self.head(self.norm(states), attention_mask))


class SegmentInputs(DummyTextInputGenerator):
    """Example inputs with a padded text among them, so that tracing meets the mask."""

    SUPPORTED_INPUT_NAMES = ("input_ids", "attention_mask", "states")

    def generate(self, input_name: str, framework: str = "pt", *dtypes: str, **kinds: str) -> Any:
        if input_name == "states":
            generator = torch.Generator().manual_seed(0)
            width = self.normalized_config.hidden_size
            return torch.randn(self.batch_size, self.sequence_length, width, generator=generator)
        if input_name != "attention_mask":
            return super().generate(input_name, framework, *dtypes, **kinds)
        mask = torch.ones(self.batch_size, self.sequence_length, dtype=torch.int64)
        mask[-1, self.sequence_length // 2 :] = 0
        return mask if framework == "pt" else mask.numpy()


class SegmentOnnxConfig(OnnxConfig):
    """What Optimum must know about one segment."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (SegmentInputs,)
    DEFAULT_ONNX_OPSET = OPSET

    def __init__(self, config: RerankerConfig, *, first: bool) -> None:
        super().__init__(config)
        self._first = first

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        axes = {0: "batch_size", 1: "sequence_length"}
        given = "input_ids" if self._first else "states"
        # In the order of `FusedSegment.forward`.
        return (
            {"input_ids": axes, "attention_mask": dict(axes)}
            if self._first
            else {
                "attention_mask": dict(axes),
                given: axes,
            }
        )

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        axes = {0: "batch_size", 1: "sequence_length"}
        return {name: {0: "batch_size"} if name == "mean" else dict(axes) for name in OUTPUTS}


@torch.inference_mode()
def _faithful(
    model: Reranker, folder: Path, section: dict[str, Any], tokens: Sequence[Sequence[int]]
) -> dict[int, float]:
    """The mean cosine of a token's vector as the runtime computes it to torch's, by exit."""
    runtime = Runtime.in_folder(folder, section, threads=1)
    cosines: dict[int, list[float]] = {depth: [] for depth in runtime.depths}
    for ids in tokens:
        row = torch.tensor([list(ids)])
        wanted = model(row, torch.ones_like(row))
        for depth, vectors in runtime.token_vectors(list(ids)).items():
            cosines[depth].append(float(np.mean((wanted[depth].vectors[0].numpy() * vectors).sum(axis=1))))
    return {depth: float(np.mean(found)) for depth, found in cosines.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """python -m export.reranker CHECKPOINT BUNDLE: add a trained reranker to a bundle."""
    import argparse
    import logging
    import sys
    import warnings

    from modstar_lsp.errors import ModstarError

    parser = argparse.ArgumentParser(prog="python -m export.reranker", description=main.__doc__)
    parser.add_argument("checkpoint", type=Path, help="a folder of `python -m train rerank`")
    parser.add_argument("bundle", type=Path, help="the bundle that it is added to")
    parser.add_argument(
        "--exits", type=int, nargs="+", help="exits to write, the last to be read with (default: the deepest)"
    )
    parser.add_argument(
        "--code-tokens", type=int, help="tokens that are read of a code (default: as many as in training)"
    )
    parser.add_argument(
        "--exporter",
        choices=EXPORTERS,
        default="torchscript",
        help="torch's way of tracing (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")  # torch's exporter deprecates itself, at length
    logging.disable(logging.WARNING)
    try:
        training = json.loads((options.checkpoint / "config.json").read_text("utf-8")).get("training", {})
        print(
            export_reranker(
                options.checkpoint,
                options.bundle,
                training.get("question_tokens", 40),
                options.code_tokens or training.get("code_tokens", 176),
                training,
                options.exits,
                options.exporter,
            )
        )
    except (ExportError, ModstarError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"export: {options.checkpoint}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
