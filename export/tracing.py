"""Which of torch's two exporters makes a graph.

Optimum asks for the older one, which traces by TorchScript and is being retired. `tracing_by` puts the newer
one in its place, which takes the graph of `torch.export` (dynamo). The graphs are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import torch

Exporter = Literal["torchscript", "dynamo"]
EXPORTERS: tuple[Exporter, ...] = get_args(Exporter)


@contextmanager
def tracing_by(exporter: Exporter) -> Iterator[None]:
    """Inside, Optimum's `export_models` uses this one."""
    if exporter == "torchscript":
        yield
        return
    import onnx
    import torch

    export: Any = torch.onnx.export

    def by_dynamo(
        module: torch.nn.Module,
        args: tuple[Mapping[str, torch.Tensor]],
        f: str,
        input_names: Sequence[str],
        output_names: Sequence[str],
        dynamic_axes: Mapping[str, Mapping[int, str]],
        opset_version: int,
        **_: Any,
    ) -> None:
        (inputs,) = args
        export(
            module,
            (),
            f,
            kwargs=dict(inputs),
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes={name: dict(dynamic_axes[name]) for name in inputs},
            opset_version=opset_version,
            dynamo=True,
            external_data=False,  # a graph only names its large weights: see export/stored.py
            verbose=False,
        )
        # What it notes of the shapes of weights does not follow when one is turned round later.
        model = onnx.load(f, load_external_data=False)
        weights = {tensor.name for tensor in model.graph.initializer}
        noted = [info for info in model.graph.value_info if info.name not in weights]
        del model.graph.value_info[:]
        model.graph.value_info.extend(noted)
        onnx.save(model, f)

    # Optimum looks it up whenever it exports.
    torch.onnx.export = by_dynamo  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.onnx.export = export
