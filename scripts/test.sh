#!/usr/bin/env bash
# Sets up a virtual environment in .venv-test, checks the style and the types, and runs every test.
#   scripts/test.sh                        all but the tests that drive real editors
#   scripts/test.sh --editors              those too: installs Neovim, Emacs and VS Code's workbench into .venv-editors
#   scripts/test.sh tests/search -x        arguments go to pytest
#   scripts/test.sh -n 0 tests/search      all in one process, which a debugger needs
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
  # What is imported is compiled then; most of it never is.
  install=("$venv/bin/pip" install -q --disable-pip-version-check --no-compile -c constraints.txt)
  # torch first and alone: any looser request would bring several gigabytes of GPU libraries along
  "${install[@]}" torch
  "${install[@]}" -e '.[ann,scale,train,dev,docs]'
  touch "$stamp"
fi
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
# One thread for a minute, so beside the rest; what it found is told at the end.
"$venv/bin/mypy" >"$venv/types" 2>&1 &
types=$!
PATH="$PWD/$venv/bin:$PATH" bash scripts/check_workflows.sh
PYTHON="$PWD/$venv/bin/python" bash scripts/docs.sh "$venv/site"
# Each process takes tests that stand together, which share what is dear to make.
pytest=(${around[@]+"${around[@]}"} "$venv/bin/python" -m pytest --maxprocesses 8 --dist worksteal)
status=0
if [ $# -gt 0 ]; then
  "${pytest[@]}" -n logical "$@" || status=$?
else
  # Most tests wait for processes of their own, so two at once for each core; but for those that look at a screen or
  # at a process while it waits, which a busy machine makes wait longer.
  undisturbed=(tests/editors tests/cli/test_resident.py)
  processes="$("$venv/bin/python" -c 'import os; print(2 * (os.cpu_count() or 1))')"
  "${pytest[@]}" -n "$processes" tests "${undisturbed[@]/#/--ignore=}" || status=$?
  "${pytest[@]}" -n logical "${undisturbed[@]}" || status=$?
fi
wait "$types" || status=$?
cat "$venv/types"
exit "$status"
