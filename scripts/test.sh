#!/usr/bin/env bash
# Sets up a virtual environment in .venv-test, checks the style and the types, and runs every test.
# Arguments go to pytest: `scripts/test.sh tests/search -x`.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
venv=.venv-test
stamp="$venv/installed"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  echo "Setting up $venv (once; some minutes) ..."
  "$python" -m venv "$venv"
  # torch first and alone: any looser request would bring several gigabytes of GPU libraries along
  "$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt torch
  "$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt -e '.[ann,train,dev]'
  touch "$stamp"
fi
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/python" -m pytest "$@"
