"""Products whose weights no traced graph holds: they are written from the checkpoint, a matrix at a time.

An exporter has a model's weights in memory several times over, more than a machine has for a model of a
billion. So its graph only names them, by an operator of ours, and `weightless` makes inputs of these.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional as F

_DOMAIN = "modstar"
_WEIGHT = f"{_DOMAIN}::Weight"

Make = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """A weight that is named in a traced graph and not part of it.

    name: no other's in the same graph. make: makes it, [out, in], anew whenever it is asked for. shape: the
    other way round, [in, out], as products of a graph have it.
    """

    name: str
    make: Make
    shape: tuple[int, int]


class StoredLinear(nn.Module):
    """x W^T + b, as `nn.Linear`, by a stored weight."""

    def __init__(self, name: str, make: Make, inward: int, bias: Tensor) -> None:
        super().__init__()
        self.stored = StoredWeight(name, make, (inward, len(bias)))
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, states: Tensor) -> Tensor:
        return self.bias + stored_product(states, self.stored)


def stored_product(states: Tensor, stored: StoredWeight) -> Tensor:
    """x W^T; in a graph a MatMul by the weight [in, out], which an operator names there."""
    if torch.compiler.is_exporting():
        weight = torch.onnx.ops.symbolic(
            _WEIGHT, (), {"name": stored.name}, dtype=states.dtype, shape=stored.shape, version=1
        )
        return states @ weight
    product: Tensor = StoredProduct.apply(states, stored)
    return product


class StoredProduct(torch.autograd.Function):
    """`stored_product` for TorchScript."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, stored: StoredWeight) -> Tensor:
        if torch.jit.is_tracing():  # when a function may use nothing but what it is given
            return states.new_zeros(*states.shape[:-1], stored.shape[1])
        return F.linear(states, stored.make())

    @staticmethod
    def symbolic(g: Any, states: Any, stored: StoredWeight) -> Any:
        weight = g.op(_WEIGHT, name_s=stored.name)
        weight.setType(states.type().with_sizes(list(stored.shape)))
        return g.op("MatMul", states, weight)


class Weightless(NamedTuple):
    """A graph in a file, and by the name of each of its inputs that are weights what these are."""

    file: Path
    weights: Mapping[str, StoredWeight]

    def values(self, name: str) -> NDArray[Any]:
        """A weight, [in, out]."""
        return np.ascontiguousarray(self.weights[name].make().detach().T.numpy())


def weightless(file: Path, module: nn.Module) -> Weightless:
    """The graph of `module` in `file`, rewritten there: the weights that it names are inputs then.

    The shapes within are told too.
    """
    model = onnx.load(file)
    stored = {one.stored.name: one.stored for one in module.modules() if isinstance(one, StoredLinear)}
    weights: dict[str, StoredWeight] = {}
    for node in [node for node in model.graph.node if node.domain == _DOMAIN]:
        name, weight = node.output[0], stored[node.attribute[0].s.decode()]
        weights[name] = weight
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, weight.shape))
        model.graph.node.remove(node)
    for domain in [one for one in model.opset_import if one.domain == _DOMAIN]:
        model.opset_import.remove(domain)
    _tell_shapes(model)
    onnx.save(model, file)
    return Weightless(file, weights)


def _tell_shapes(model: ModelProto) -> None:
    """Note the shapes within a graph, by which it is rewritten: TorchScript stops at fused operators."""
    simple = ModelProto()
    simple.CopyFrom(model)
    for node in simple.graph.node:
        if node.domain == "com.microsoft":  # onnx knows none of it; all that we use keep their input's shape
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output))
    del simple.graph.value_info[:], model.graph.value_info[:]
    model.graph.value_info.extend(onnx.shape_inference.infer_shapes(simple).graph.value_info)


def without_inputs(graph: GraphProto, names: Container[str]) -> None:
    """Take inputs out of a graph, whose initializers they have become."""
    kept = [one for one in graph.input if one.name not in names]
    del graph.input[:]
    graph.input.extend(kept)
