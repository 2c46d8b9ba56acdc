#!/usr/bin/env bash
# Writes SHA256SUMS over all files of a release; `sha256sum -c SHA256SUMS` checks them.
#   scripts/release/checksums.sh OUT
set -euo pipefail
cd "$1"
rm -f SHA256SUMS
sums="$(sha256sum -- *)"
echo "$sums" | tee SHA256SUMS
