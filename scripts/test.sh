#!/usr/bin/env bash
# Sets up a virtual environment in .venv-test, checks the style and the types, and runs every test.
#   scripts/test.sh                        all but the tests that drive real editors
#   scripts/test.sh --editors              those too: installs Neovim, Emacs and VS Code's workbench into .venv-editors
#   scripts/test.sh tests/search -x        arguments go to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
around=()
if [ "${1:-}" = --editors ]; then
  around=(bash scripts/editors.sh)
  shift
fi
python="${PYTHON:-python3}"
venv=.venv-test
stamp="$venv/installed"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  echo "Setting up $venv (once; some minutes) ..."
  "$python" -m venv "$venv"
  # torch first and alone: any looser request would bring several gigabytes of GPU libraries along
  "$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt torch
  "$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt -e '.[ann,scale,train,dev,docs]'
  touch "$stamp"
fi
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
PATH="$PWD/$venv/bin:$PATH" bash scripts/check_workflows.sh
PYTHON="$PWD/$venv/bin/python" bash scripts/docs.sh "$venv/site"
${around[@]+"${around[@]}"} "$venv/bin/python" -m pytest "$@"
