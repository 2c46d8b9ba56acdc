"""Questions against a snapshot of the index: analysis, candidates, ranking, calibrated hits."""

from modstar_lsp.search.query import Query, analyse
from modstar_lsp.search.search import Hit, Options, Results, search, similar

__all__ = ["Hit", "Options", "Query", "Results", "analyse", "search", "similar"]
