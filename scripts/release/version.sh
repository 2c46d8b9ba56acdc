# Sourced by the steps of a release, at the top of the project: the version, in $version.
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' modstar_lsp/__init__.py)"
