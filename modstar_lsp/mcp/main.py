"""The process of `modstar mcp`: its arguments, its start and its end."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from modstar_lsp import __version__
from modstar_lsp.background.child import Launch
from modstar_lsp.background.residency import Residency
from modstar_lsp.cache_folder import expanded
from modstar_lsp.errors import ModstarError, WorkspaceError, told_of
from modstar_lsp.mcp.folders import Folders
from modstar_lsp.mcp.rpc import INVALID_PARAMS, INVALID_REQUEST, Call, Connection, Message, Methods, RpcError
from modstar_lsp.mcp.tools import INSTRUCTIONS, READING_SECONDS, Tools
from modstar_lsp.startup import hasten_numpy, require_memory, require_streams
from modstar_lsp.trusted_path import keep_to_trusted_path

if TYPE_CHECKING:
    from modstar_lsp.mcp import http
    from modstar_lsp.stores.beside import StoreBeside

PROGRAM = "modstar mcp"

#: Versions of the protocol that begin with `initialize`. Clients of later ones fall back to it.
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
#: The variable with the token of HTTP clients, for those that keep it in their configuration.
TOKEN_VARIABLE = "MODSTAR_MCP_TOKEN"
# A shorter one could be tried out.
_TOKEN_CHARS = 16
# What was answered is still written for so long when the client has closed its end.
_LAST_WORDS_SECONDS = 1.0

_USAGE = f"""\
usage: {PROGRAM} [options] [FOLDER...]

Search for coding agents: a Model Context Protocol server on standard input and output.
FOLDER is what may be searched, by default the project around the current directory.

  --index-dir DIR  keep indexes here instead of the user's cache folder
  --bundle DIR     use this model instead of the built-in one
  --store URL      search a store of many repositories too (docs/scale.md): lance:FOLDER, ...
                   One that stands in a FOLDER is searched there alone, as it is now
  --label NAME     see what carries this label in the store, too; repeatable
  --budget TIME    read the best places with the question for so long, for a better
                   order: 300ms, 2s, 0 for never (1s)
  --exit N         the deepest exit of the model to use (all that it has)
  --http PORT      speak streamable HTTP on this machine alone, at that port (0: any that
                   is free); says the address and the token that clients need, which is
                   that of ${TOKEN_VARIABLE} or a new one"""


class AgentServer:
    """One client's methods. asked: called with every call of a tool."""

    def __init__(self, tools: Tools, asked: Callable[[], None]) -> None:
        self._tools = tools
        self._asked = asked
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
        self._asked()
        return tool.call(arguments, lambda: call.cancelled)

    def _check_begun(self) -> None:
        if not self._begun:
            raise RpcError(INVALID_REQUEST, "initialize comes first")


class Arguments(NamedTuple):
    """The command line. port: of HTTP, None for standard input and output.  budget: seconds for reading."""

    roots: list[Path]
    launch: Launch
    port: int | None
    budget: float


def main() -> NoReturn:
    """Serve one client until its end of the pipe closes, or clients by HTTP until it is told to end."""
    keep_to_trusted_path()
    hasten_numpy()
    try:
        require_streams()
        require_memory()
        arguments = _arguments(sys.argv[1:])
        folders = Folders(arguments.roots or _projects_here(arguments.launch), arguments.launch)
        tools = Tools(folders, _store(arguments.launch, folders), arguments.budget)
        residency = Residency(arguments.launch)

        def methods() -> Methods:
            server = AgentServer(tools, residency.begin)
            return Methods(server.quick, server.slow)

        web = None if arguments.port is None else _listening(arguments.port, methods)
    except (ModstarError, OSError) as error:
        told = told_of(error) if isinstance(error, OSError) else str(error)
        print(f"{PROGRAM}: {' '.join(told.split())}", file=sys.stderr)
        sys.exit(2)

    def leave(status: int) -> NoReturn:
        folders.close()
        os._exit(status)  # threads may be in the middle of an answer that nobody waits for

    try:
        if web is None:
            _serve_pipe(methods(), stuck=lambda: leave(1))
        else:
            signal.signal(signal.SIGTERM, lambda number, frame: leave(0))
            web.serve_forever()
    except KeyboardInterrupt:
        pass
    leave(0)


def _serve_pipe(methods: Methods, stuck: Callable[[], NoReturn]) -> None:
    # Whatever else a library prints must not go where the answers go.
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    connection = Connection(sys.stdin.buffer, target, methods, stuck)
    connection.serve()
    connection.drain(_LAST_WORDS_SECONDS)


def _listening(port: int, methods: Callable[[], Methods]) -> http.HttpServer:
    """Listens for HTTP clients, and says where and with which token. Raises WorkspaceError."""
    import secrets

    from modstar_lsp.mcp import http

    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(32)
    if len(token) < _TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise WorkspaceError(f"{TOKEN_VARIABLE} must be {_TOKEN_CHARS} letters or more, without blanks")
    try:
        server = http.HttpServer(port, token, methods, VERSIONS)
    except OSError as error:
        raise WorkspaceError(f"cannot listen on port {port} ({error.strerror}): name another") from None
    print(f"{server.url}\nAuthorization: Bearer {token}", flush=True)
    return server


def _arguments(given: list[str]) -> Arguments:
    """What the command line says; argparse would take a third of the start. Raises WorkspaceError."""
    options: dict[str, Path] = {}
    store = ""
    labels: list[str] = []
    roots: list[Path] = []
    port: int | None = None
    deepest: int | None = None
    budget = READING_SECONDS
    rest = iter(given)
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
            options[word.strip("-").replace("-", "_")] = expanded(value).absolute()
        elif word in ("--store", "--label"):
            value = next(rest, "")
            if not value:
                raise WorkspaceError(f"{word} needs a value (see {PROGRAM} --help)")
            store, labels = (value, labels) if word == "--store" else (store, [*labels, value])
        elif word == "--http":
            port = _port(next(rest, ""))
        elif word == "--budget":
            budget = _seconds(next(rest, ""))
        elif word == "--exit":
            deepest = _exit(next(rest, ""))
        elif word.startswith("-"):
            raise WorkspaceError(f"no such option: {word} (see {PROGRAM} --help)")
        elif not word.strip():
            raise WorkspaceError(f"FOLDER is empty (see {PROGRAM} --help)")
        else:
            roots.append(expanded(word).absolute())
    launch = Launch(options.get("index_dir"), options.get("bundle"), deepest, store, tuple(labels))
    return Arguments(roots, launch, port, budget)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise WorkspaceError(f"--http needs a port, 0 to 65535, not {text[:40]!r} (see {PROGRAM} --help)")
    return int(text)


def _store(launch: Launch, folders: Folders) -> StoreBeside | None:
    if not launch.store:
        return None
    from modstar_lsp.stores.beside import StoreBeside

    return StoreBeside(launch.store, launch.labels, folders.encoder)


def _projects_here(launch: Launch) -> list[Path]:
    """The project around the current folder; none where there is none, and a store to ask."""
    try:
        return [_project_here()]
    except WorkspaceError:
        if not launch.store:
            raise
        return []


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)?", text)
    if match is None or (match[2] is None and float(match[1])):
        raise WorkspaceError(
            f"--budget needs a time such as 300ms or 2s, not {text[:40]!r} (see {PROGRAM} --help)"
        )
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _exit(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise WorkspaceError(f"--exit needs a whole number, not {text[:40]!r} (see {PROGRAM} --help)")
    return int(text)


def _project_here() -> Path:
    from modstar_lsp.workspace import is_a_lot, project_root

    root = project_root(Path.cwd())
    if is_a_lot(root):
        raise WorkspaceError(f"no project here, and {root} is a lot to index: {PROGRAM} FOLDER")
    return root


if __name__ == "__main__":
    main()
