"""The process of `modstar mcp`: its arguments, its start and its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from modstar_lsp import __version__
from modstar_lsp.background.child import Launch
from modstar_lsp.errors import ModstarError, WorkspaceError
from modstar_lsp.mcp.folders import Folders
from modstar_lsp.mcp.rpc import INVALID_PARAMS, INVALID_REQUEST, Call, Connection, Message, RpcError
from modstar_lsp.mcp.tools import INSTRUCTIONS, Tools
from modstar_lsp.startup import hasten_numpy
from modstar_lsp.trusted_path import keep_to_trusted_path

PROGRAM = "modstar mcp"

#: Versions of the protocol that begin with `initialize`. Clients of later ones fall back to it.
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
# What was answered is still written for so long when the client has closed its end.
_LAST_WORDS_SECONDS = 1.0

_USAGE = f"""\
usage: {PROGRAM} [options] [FOLDER...]

Search for coding agents: a Model Context Protocol server on standard input and output.
FOLDER is what may be searched, by default the project around the current directory.

  --index-dir DIR  keep indexes here instead of the user's cache folder
  --bundle DIR     use this model instead of the built-in one"""


class Server:
    """One client's methods."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._begun = False
        self.quick = {"initialize": self._initialize, "ping": self._ping, "tools/list": self._list}
        self.slow = {"tools/call": self._call}

    def _initialize(self, params: Any) -> Message:
        asked = params.get("protocolVersion") if isinstance(params, dict) else None
        if not isinstance(asked, str):
            raise RpcError(INVALID_PARAMS, "initialize: protocolVersion must be a string")
        if self._begun:
            raise RpcError(INVALID_REQUEST, "initialize comes once")
        self._begun = True
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[-1],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "modstar", "title": "modstar code search", "version": __version__},
            "instructions": INSTRUCTIONS,
        }

    def _ping(self, params: Any) -> Message:
        return {}

    def _list(self, params: Any) -> Message:
        self._check_begun()
        return {"tools": [tool.listed() for tool in self._tools.all.values()]}

    def _call(self, params: Any, call: Call) -> Message:
        self._check_begun()
        name = params.get("name") if isinstance(params, dict) else None
        arguments = (params.get("arguments") or {}) if isinstance(params, dict) else None
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "tools/call: name must be a string")
        if not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, "tools/call: arguments must be an object")
        tool = self._tools.all.get(name)
        if tool is None:
            known = ", ".join(self._tools.all)
            raise RpcError(INVALID_PARAMS, f"unknown tool {name[:40]!r}; there are {known}")
        return tool.call(arguments, lambda: call.cancelled)

    def _check_begun(self) -> None:
        if not self._begun:
            raise RpcError(INVALID_REQUEST, "initialize comes first")


def main() -> NoReturn:
    """Serve one client until its end of the pipe closes."""
    keep_to_trusted_path()
    hasten_numpy()
    try:
        folders = _folders(sys.argv[1:])
    except (ModstarError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)

    def leave(status: int) -> NoReturn:
        folders.close()
        os._exit(status)  # threads may be in the middle of an answer that nobody waits for

    # Whatever else a library prints must not go where the answers go.
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    server = Server(Tools(folders))
    connection = Connection(sys.stdin.buffer, target, server.quick, server.slow, stuck=lambda: leave(1))
    try:
        connection.serve()
        connection.drain(_LAST_WORDS_SECONDS)
    except KeyboardInterrupt:
        pass
    leave(0)


def _folders(arguments: list[str]) -> Folders:
    """The folders and options of the command line; argparse would take a third of the start."""
    options: dict[str, Path] = {}
    roots: list[Path] = []
    rest = iter(arguments)
    for word in rest:
        if word in ("-h", "--help"):
            print(_USAGE)
            sys.exit(0)
        if word == "--version":
            print(f"{PROGRAM} {__version__}")
            sys.exit(0)
        if word in ("--index-dir", "--bundle"):
            value = next(rest, "")
            if not value:
                raise WorkspaceError(f"{word} needs a folder (see {PROGRAM} --help)")
            options[word.strip("-").replace("-", "_")] = Path(value).expanduser().absolute()
        elif word.startswith("-"):
            raise WorkspaceError(f"no such option: {word} (see {PROGRAM} --help)")
        elif not word.strip():
            raise WorkspaceError(f"FOLDER is empty (see {PROGRAM} --help)")
        else:
            roots.append(Path(word).expanduser().absolute())
    return Folders(roots or [_project_here()], Launch(options.get("index_dir"), options.get("bundle")))


def _project_here() -> Path:
    from modstar_lsp.workspace import is_a_lot, project_root

    root = project_root(Path.cwd())
    if is_a_lot(root):
        raise WorkspaceError(f"no project here, and {root} is a lot to index: {PROGRAM} FOLDER")
    return root


if __name__ == "__main__":
    main()
