from __future__ import annotations

import os
import sys

# `python -m` puts the current folder first on the path: in an editor that is a workspace, and modules in it
# are data. Nothing else may be imported before.
sys.path[:] = [entry for entry in sys.path if entry not in ("", os.getcwd())]  # noqa: PTH109

from modstar_lsp.server.main import main  # noqa: E402

if __name__ == "__main__":
    main()
