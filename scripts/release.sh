#!/usr/bin/env bash
# Everything that a release consists of and that any machine can make, step by step; each step is a script of its own.
# Needs `build`, `twine` and `cyclonedx-bom` in the Python that runs it: pip install '.[release]'
#   scripts/release.sh               into dist/
#   scripts/release.sh OUT v0.1.0    into OUT, for that tag: it must be the version's
# Besides, for the platform that it runs on: scripts/release/vsix.sh OUT, before scripts/release/checksums.sh OUT.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out="$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)"

scripts/release/packages.sh "$out" "${2:-}"
scripts/release/check.sh "$out"
scripts/release/sbom.sh "$out"
scripts/release/plugins.sh "$out"
scripts/release/checksums.sh "$out"

echo "In $out. Other steps of their own: scripts/release/index.sh (uvx and pipx), scripts/release/vsix.sh (VS Code's extension"
echo "with the server inside, for this platform). The workflow alone does: other systems, attestations, publishing."
