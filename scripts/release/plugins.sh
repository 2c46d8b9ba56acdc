#!/usr/bin/env bash
# Packs the plugins as their editors take them:
#   modstar.nvim-VERSION.tar.gz    for Neovim: unpacked below a folder pack/*/start it is there at the next start
#   modstar-VERSION.el             for Emacs: M-x package-install-file
# Packed twice from the same commit they are the same, byte for byte.
#   scripts/release/plugins.sh OUT
set -euo pipefail
out="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/release/version.sh
source scripts/release/version.sh

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp -r editors/nvim "$work/modstar.nvim"
cp LICENSE "$work/modstar.nvim"
# The order of names, dates and owners would differ from machine to machine.
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -c modstar.nvim |
  gzip -n >"$out/modstar.nvim-$version.tar.gz"
cp editors/emacs/modstar.el "$out/modstar-$version.el"
