#!/usr/bin/env bash
# Builds wheel and sdist.
#   scripts/release/packages.sh OUT [TAG]
set -euo pipefail
out="$(cd "$1" && pwd)"
tag="${2:-}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/release/version.sh
source scripts/release/version.sh
python="${PYTHON:-python3}"

if [ -n "$tag" ] && [ "$tag" != "v$version" ]; then
  echo "scripts/release/packages.sh: the tag is $tag and the version $version: change one of them" >&2
  exit 2
fi
if [ -n "$(ls -A "$out")" ]; then
  echo "scripts/release/packages.sh: $out is not empty: name another folder" >&2
  exit 2
fi

"$python" -m build --outdir "$out" .
"$python" -m twine check --strict "$out"/*
