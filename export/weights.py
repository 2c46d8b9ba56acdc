"""One file of weights for all graphs of a bundle: what two exits have in common is stored once.

onnxruntime maps the file into memory, so that loading a graph copies nothing and two exits share their pages.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

# Smaller tensors stay in the graph: an entry of the table costs as much.
LEAST_BYTES = 1024

# Page borders for matrices, cache lines for vectors.
PAGE, LINE = 4096, 64
PAGE_FROM = 1 << 16


class SharedWeights:
    """The weights file while it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> SharedWeights:
        self._stream = self._path.open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def pack(self, graph: Path, target: Path) -> None:
        """Write `graph` to `target` with its weights in the shared file, each distinct tensor once."""
        model = onnx.load(graph, load_external_data=False)
        for tensor in model.graph.initializer:
            self.keep(tensor, numpy_helper.to_array(tensor, str(graph.parent)))
        self._tidy(model)
        target.write_bytes(model.SerializeToString())

    def keep(self, tensor: TensorProto, values: NDArray[Any]) -> None:
        """Have `tensor` be `values`: in the file, but for small ones."""
        content = values.tobytes()
        if len(content) < LEAST_BYTES:
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            return
        place, length = self._place(content)
        kept = TensorProto(name=tensor.name, dims=values.shape)
        kept.data_type = helper.np_dtype_to_tensor_dtype(values.dtype)
        kept.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._path.name), ("offset", place), ("length", length)):
            kept.external_data.add(key=key, value=str(value))
        tensor.CopyFrom(kept)

    def _place(self, content: bytes) -> tuple[int, int]:
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._places:
            border = PAGE if len(content) >= PAGE_FROM else LINE
            self._stream.write(b"\0" * (-self._stream.tell() % border))
            self._places[digest] = (self._stream.tell(), len(content))
            self._stream.write(content)
        return self._places[digest]

    def _tidy(self, model: ModelProto) -> None:
        """Drop what only tracing needed: notes, and source positions with paths of the exporting machine."""
        model.doc_string = ""
        del model.metadata_props[:]
        del model.graph.value_info[:]
        for node in model.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
