#!/usr/bin/env bash
# Writes what a plain install consists of, as a CycloneDX bill of materials: modstar-VERSION.cdx.json.
# The versions are the newest of this day; an environment that is installed later may have others.
#   scripts/release/sbom.sh OUT        needs the wheel there, and `cyclonedx-bom` in the Python that runs it
set -euo pipefail
out="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/release/version.sh
source scripts/release/version.sh
python="${PYTHON:-python3}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" -m venv --without-pip "$work/venv"
"$python" -m pip --python "$work/venv/bin/python" install -q --disable-pip-version-check "$out"/modstar-*.whl
# Its version stands elsewhere, where the tool does not look.
sed "s/^dynamic = .*/version = \"$version\"/" pyproject.toml >"$work/pyproject.toml"
"$python" -m cyclonedx_py environment --pyproject "$work/pyproject.toml" --mc-type application --output-reproducible \
  --output-file "$out/modstar-$version.cdx.json" "$work/venv/bin/python"
