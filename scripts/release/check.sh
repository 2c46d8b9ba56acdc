#!/usr/bin/env bash
# Installs wheel and sdist, each into a bare environment without a compiler, and has them search and serve.
#   scripts/release/check.sh OUT
set -euo pipefail
out="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/release/version.sh
source scripts/release/version.sh
python="${PYTHON:-python3}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for package in "$out"/modstar-*.whl "$out"/modstar-*.tar.gz; do
  echo "Checking $(basename "$package") in a bare environment ..."
  rm -rf "${work:?}"/*
  "$python" -m venv "$work/venv"
  CC=no-compiler-here CXX=no-compiler-here "$work/venv/bin/pip" install -q --disable-pip-version-check "$package"
  "$work/venv/bin/pip" check
  mkdir "$work/project"
  printf 'def weigh_parcel(parcel):\n    return parcel.mass\n' >"$work/project/scale.py"
  (
    cd "$work/project"
    export XDG_CACHE_HOME="$work/cache"
    [ "$("$work/venv/bin/modstar-query" --version)" = "modstar-query $version" ]
    "$work/venv/bin/modstar-lsp" --check
    "$work/venv/bin/modstar-query" "weigh a parcel"
  )
done
