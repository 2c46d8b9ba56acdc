#!/usr/bin/env bash
# Unpacks the Neovim of Debian 13 (0.10.4), which no wheel has, into $nvim_home, with the libraries that it needs: it
# runs on any Debian, from 12 on say, and nothing of the system is changed. Sourced by scripts/editors/nvim.sh.
(
  set -euo pipefail
  uri="$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null | head -n 1 || true)"
  if [ -z "$uri" ]; then
    echo "Neovim $nvim_version is taken from Debian's packages, and this is no Debian: set MODSTAR_NVIM." >&2
    exit 1
  fi
  rm -rf "$nvim_home"
  mkdir -p "$nvim_home"/{bin,root,lists/partial,cache/archives/partial}
  cd "$nvim_home"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" >sources.list
  : >status # nothing is installed there, so all that it needs comes along
  apt() {
    apt-get -qq -o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null \
      -o Dir::State::Status="$PWD/status" -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" \
      -o Debug::NoLocking=true -o APT::Sandbox::User="$(id -un)" "$@" >/dev/null
  }
  apt update
  apt install --download-only -y --no-install-recommends neovim
  for package in cache/archives/*.deb; do
    dpkg-deb -x "$package" root
  done
  rm -rf lists cache
  cat >bin/nvim <<'RUN'
#!/usr/bin/env bash
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/root"
libraries="$(echo "$root"/usr/lib/*-linux-gnu)"
export VIM="$root/usr/share/nvim" VIMRUNTIME="$root/usr/share/nvim/runtime" LUA_CPATH="$libraries/lua/5.1/?.so"
exec "$(echo "$root"/usr/lib*/ld-linux-*.so.*)" --library-path "$libraries" "$root/usr/bin/nvim" "$@"
RUN
  chmod +x bin/nvim
)
