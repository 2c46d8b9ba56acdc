"""CHECKPOINT -> BUNDLE: truncated, quantised, validated ONNX graphs and exit 0's table, in one folder."""
