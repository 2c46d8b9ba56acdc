#!/usr/bin/env bash
# Finds Emacs with eglot for the tests, or installs Debian's when root.
# Sourced by scripts/editors.sh; leaves the path in MODSTAR_EMACS.
if [ -z "${MODSTAR_EMACS:-}" ]; then
  # eglot is part of Emacs from 29 on; Debian's elpa-eglot is for those before.
  has_eglot() {
    command -v emacs >/dev/null && emacs --batch --eval '(progn (package-initialize) (require (quote eglot)))' \
      2>/dev/null
  }
  if ! has_eglot; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
      echo "Emacs with eglot is missing and cannot be installed here (that needs root and apt-get):" \
        "install Emacs 29 or newer, or set MODSTAR_EMACS." >&2
      exit 1
    fi
    echo "Installing Emacs (emacs-nox, elpa-eglot) ..." >&2
    apt-get -q update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends emacs-nox elpa-eglot >/dev/null
    has_eglot || { echo "Emacs was installed, but it does not load eglot." >&2; exit 1; }
  fi
  MODSTAR_EMACS="$(command -v emacs)"
fi
export MODSTAR_EMACS
