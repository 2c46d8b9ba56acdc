#!/usr/bin/env bash
# Builds wheel and sdist, checks each in a bare environment without a compiler, and writes their checksums.
# Needs `build` and `twine` in the Python that runs it.
#   scripts/release.sh            into dist/
#   scripts/release.sh OUT v0.1.0    into OUT, for that tag: it must be the version's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out="$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)"
tag="${2:-}"
python="${PYTHON:-python3}"

version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' modstar_lsp/__init__.py)"
if [ -n "$tag" ] && [ "$tag" != "v$version" ]; then
  echo "scripts/release.sh: the tag is $tag and the version $version: change one of them" >&2
  exit 2
fi
if [ -n "$(ls -A "$out")" ]; then
  echo "scripts/release.sh: $out is not empty: name another folder" >&2
  exit 2
fi

"$python" -m build --outdir "$out" .
"$python" -m twine check --strict "$out"/*

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for package in "$out"/*.whl "$out"/*.tar.gz; do
  echo "Checking $(basename "$package") in a bare environment ..."
  rm -rf "$work"/*
  "$python" -m venv "$work/venv"
  CC=no-compiler-here CXX=no-compiler-here "$work/venv/bin/pip" install -q --disable-pip-version-check "$package"
  "$work/venv/bin/pip" check
  mkdir "$work/project"
  printf 'def weigh_parcel(parcel):\n    return parcel.mass\n' > "$work/project/scale.py"
  cd "$work/project"
  export XDG_CACHE_HOME="$work/cache"
  [ "$("$work/venv/bin/modstar-query" --version)" = "modstar-query $version" ]
  "$work/venv/bin/modstar-lsp" --check
  "$work/venv/bin/modstar-query" "weigh a parcel"
  cd - > /dev/null
done

cd "$out"
sha256sum -- *.whl *.tar.gz > SHA256SUMS
cat SHA256SUMS
