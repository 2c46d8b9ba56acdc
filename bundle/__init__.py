"""Writing a bundle's files, which `modstar_lsp.encoder.bundle` reads. Neither torch nor onnx is needed."""
