#!/usr/bin/env bash
# Installs the editors that tests/editors drives into .venv-editors/ (once), then runs the command given, with
# their paths in MODSTAR_NVIM, MODSTAR_EMACS and what scripts/editors/vscode.sh sets:
#   scripts/editors.sh                                    only install
#   scripts/editors.sh python -m pytest tests/editors     install, then run
#   EDITORS="nvim emacs" scripts/editors.sh ...           only these
#   EDITORS="vscode bundled" scripts/editors.sh ...   the extension with the server inside, which takes minutes to build
#   NVIM_VERSION=0.10.4 EDITORS=nvim scripts/editors.sh ...   an older Neovim
set -euo pipefail
project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export EDITORS_HOME="$project/.venv-editors"
# Also read by tests/editors: the tests of the editors named here are run, the others are deselected.
export EDITORS="${EDITORS:-nvim emacs vscode}"
mkdir -p "$EDITORS_HOME"
for editor in $EDITORS; do
  # shellcheck source=/dev/null
  source "$project/scripts/editors/$editor.sh"
done
if [ $# -gt 0 ]; then
  exec "$@"
fi
