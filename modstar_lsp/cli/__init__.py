"""The commands `modstar-index` and `modstar-query`: they parse, call the workspace and print."""

from modstar_lsp.startup import spare_garbage

spare_garbage()  # here, since the commands' own imports come first
