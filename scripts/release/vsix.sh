#!/usr/bin/env bash
# Builds VS Code's extension for the platform that this runs on, with the server and a Python of its own inside:
# modstar-PLATFORM-VERSION.vsix. Nothing else has to be installed to use it.
#   scripts/release/vsix.sh OUT
# Needs a wheel in OUT, node 22 or newer with npm, and in PYTHON a Python that can be moved (see interpreter.py).
set -euo pipefail
out="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/release/version.sh
source scripts/release/version.sh
python="${PYTHON:-python3}"
platform="$(node -p 'process.platform + "-" + process.arch')"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" scripts/release/interpreter.py "$work/server"
own="$work/server/bin/python3"
[ -e "$own" ] || own="$work/server/python.exe"
"$python" -m pip --python "$own" install -q --disable-pip-version-check --no-compile --no-warn-script-location \
  "$out"/modstar-*.whl
# Programs name the path of their Python, which will be another; packages bring their tests along.
find "$work/server/bin" -mindepth 1 ! -name python3 -delete 2>/dev/null || rm -rf "$work/server/Scripts"
find "$work/server" -path '*site-packages*' -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
"$own" -I -m modstar_lsp.server --check

# The extension shows pictures of the pages.
mkdir "$work/editors" "$work/docs"
cp -r editors/vscode "$work/editors"
cp -r docs/images "$work/docs"
mv "$work/server" "$work/editors/vscode/server"
cd "$work/editors/vscode"
[ -e node_modules ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
# Packages that were published are not searched for secrets: that takes far longer than all else. The package without
# a server, which has the same files of our own, is.
npx vsce package --no-dependencies --allow-missing-repository --allow-package-all-secrets --target "$platform" \
  --out "$out/modstar-$platform-$version.vsix"
