#!/usr/bin/env bash
# Builds the documentation as a site, and checks that it is whole and loads nothing from elsewhere.
# Needs the extra [docs] in the Python that runs it: pip install -c constraints.txt '.[docs]'
#   scripts/docs.sh            into site/; python -m http.server -d site shows it, with its search
#   scripts/docs.sh OUT        into OUT
set -euo pipefail
out="$(realpath -m "${1:-"$(dirname "${BASH_SOURCE[0]}")/../site"}")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python3}"
# The bounds in pyproject.toml keep mkdocs 2 away, of which Material warns at every start.
export NO_MKDOCS_2_WARNING=1
"$python" -m mkdocs build --clean --strict --site-dir "$out"
"$python" scripts/docs/check.py "$out"
