"""Local, private, semantic code search, for Python programs and notebooks.

    import modstar

    with modstar.open("~/src/shop") as project:
        for hit in project.search("where do we retry failed uploads", k=3):
            print(hit.path, hit.line, hit.symbol, hit.score)

docs/api.md shows all of it. What `__all__` names is meant to stay as it is: docs/versions.md.

project.py   a folder with its index: search, similar, outline, refresh, watch
results.py   what comes back
notebook.py  tables, as notebooks show them
"""

from modstar.project import Place, Project, Watch, open  # noqa: A004
from modstar.results import Answer, Hit
from modstar_lsp import __version__
from modstar_lsp.errors import BundleError, ModstarError, QueryError, StoreError, WorkspaceError
from modstar_lsp.index.records import Progress, RefreshReport
from modstar_lsp.workspace.outline import Definition

__all__ = [
    "Answer",
    "BundleError",
    "Definition",
    "Hit",
    "ModstarError",
    "Place",
    "Progress",
    "Project",
    "QueryError",
    "RefreshReport",
    "StoreError",
    "Watch",
    "WorkspaceError",
    "__version__",
    "open",
]
