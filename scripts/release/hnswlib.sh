#!/usr/bin/env bash
# Builds wheels of hnswlib for this platform, for those who have no compiler: its makers give it out as source alone.
#   scripts/release/hnswlib.sh OUT
# For every Python that modstar takes, where `cibuildwheel` is installed (and docker, on Linux); else for PYTHON alone.
set -euo pipefail
out="$(mkdir -p "$1" && cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python="${PYTHON:-python3}"
hnswlib="$(grep '^hnswlib==' constraints.txt)"
# As it comes it is built for the processor that builds it, and would end on an older one by an illegal instruction.
# That costs: .34 ms of processor a search where it has .25, 2.0 s to put in 8,000 rows of 256 where it has 1.2.
export HNSWLIB_NO_NATIVE=1

if ! "$python" -m cibuildwheel --help >/dev/null 2>&1; then
  exec "$python" -m pip wheel -q --no-deps --no-binary hnswlib --no-cache-dir --wheel-dir "$out" "$hnswlib"
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" -m pip download -q --no-deps --no-binary hnswlib --dest "$work" "$hnswlib"
export CIBW_BUILD="cp310-* cp311-* cp312-* cp313-* cp314-*" CIBW_SKIP="*-musllinux_*" CIBW_ARCHS=native
export CIBW_ENVIRONMENT_PASS_LINUX=HNSWLIB_NO_NATIVE
export CIBW_TEST_COMMAND="python -c \"import hnswlib; hnswlib.Index('ip', 4).init_index(8)\""
"$python" -m cibuildwheel --output-dir "$out" "$work"/*.tar.gz
