"""CHECKPOINT -> BUNDLE: truncated, quantised, validated ONNX graphs and exit 0's table, in one folder."""

# Before Optimum imports it in its own way.
from modstar_lsp.encoder.runtime import onnxruntime as _  # noqa: F401
