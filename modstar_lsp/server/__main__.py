"""`python -m modstar_lsp.server`: the same as `modstar-lsp`."""

from __future__ import annotations

from modstar_lsp.server.main import main

if __name__ == "__main__":
    main()
