"""modstar: local, private, semantic code search."""

import sys

__version__ = "0.1.0"
#: As in `typing`, whose import takes 3 ms of a query that a server answers in 25. For what comes before that.
TYPE_CHECKING = False

# Python says so while it looks for the module of `python -m modstar_lsp...`, and has put the current folder
# first on its path. Nothing may be imported before this; a script that imports us keeps its path.
if sys.argv[:1] == ["-m"]:
    from modstar_lsp.trusted_path import keep_to_trusted_path

    keep_to_trusted_path()
