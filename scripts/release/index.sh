#!/usr/bin/env bash
# Shows that `uvx modstar` and `pipx install modstar` work, by a package index of its own on loopback: a folder for each
# package, as PEP 503 has it. The packages that modstar needs come from the usual one, first; then nothing else is asked.
#   scripts/release/index.sh OUT       needs the wheel there, `uv` and `pipx`
set -euo pipefail
out="$(cd "$1" && pwd)"
python="${PYTHON:-python3}"

work="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
"$python" -m pip download -q --disable-pip-version-check --only-binary :all: -d "$work/wheels" "$out"/modstar-*.whl
for wheel in "$work"/wheels/*.whl; do
  # The name as PEP 503 writes it: lower case, with dashes.
  name="$(basename "$wheel" | sed 's/-.*//' | tr '[:upper:]_.' '[:lower:]--')"
  mkdir -p "$work/simple/$name"
  ln "$wheel" "$work/simple/$name/"
done
"$python" -u -m http.server --bind 127.0.0.1 -d "$work" 0 >"$work/said" 2>"$work/requests" &
server=$!
until grep -q "port" "$work/said"; do sleep 0.1; done
index="http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/said")/simple/"

mkdir "$work/project"
printf 'def weigh_parcel(parcel):\n    return parcel.mass\n' >"$work/project/scale.py"
cd "$work/project"
export XDG_CACHE_HOME="$work/cache" UV_CACHE_DIR="$work/uv" UV_TOOL_DIR="$work/tools" PIPX_HOME="$work/pipx"
export PIPX_BIN_DIR="$work/bin" PIP_INDEX_URL="$index" PIP_CONFIG_FILE=/dev/null
unset PIP_EXTRA_INDEX_URL PIP_FIND_LINKS UV_FIND_LINKS UV_INDEX UV_EXTRA_INDEX_URL

echo "uvx modstar search ..."
uvx --no-config --python "$(command -v "$python")" --default-index "$index" modstar search "weigh a parcel"
echo "pipx install modstar ..."
pipx install --index-url "$index" modstar
"$work/bin/modstar" search "weigh a parcel"
"$work/bin/modstar-lsp" --check
