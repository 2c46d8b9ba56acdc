"""The commands `modstar-index` and `modstar-query`: they parse, call the workspace and print."""
