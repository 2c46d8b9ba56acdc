"""`modstar-lsp`: arguments, logging, and the start and end of the process."""

from __future__ import annotations

import argparse
import functools
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from modstar_lsp import __version__
from modstar_lsp.background.child import Child, Launch
from modstar_lsp.background.residency import Residency
from modstar_lsp.background.stuck import end_when_stuck
from modstar_lsp.cache_folder import expanded
from modstar_lsp.errors import ModstarError
from modstar_lsp.installation import packages_missing
from modstar_lsp.startup import hasten_numpy, require_memory, require_streams
from modstar_lsp.trusted_path import keep_to_trusted_path

PROGRAM = "modstar-lsp"

_LOCAL_HOST = "127.0.0.1"
# Waiting for the interpreter, the event loop gets it after this long: a fifth of Python's own choice, so that
# a key press does not wait for a question.
_SWITCH_SECONDS = 0.001


def main() -> NoReturn:
    """Serve one client until it says so or is gone."""
    keep_to_trusted_path()
    arguments = make_parser().parse_args()
    try:
        require_streams()
        require_memory()
    except ModstarError as error:
        _fail(str(error))
    hasten_numpy()
    sys.setswitchinterval(_SWITCH_SECONDS)
    # It loads what indexing needs while this process loads what the protocol needs: 0.3 s on another core.
    spare = Child()
    _start_log(arguments)
    try:
        _load_protocol()
    except ImportError as error:
        _fail(packages_missing(error))
    from modstar_lsp.server.server import Server
    from modstar_lsp.server.transport import serve_socket

    launch = Launch(
        arguments.index_dir, arguments.bundle, arguments.exit, arguments.store, tuple(arguments.label)
    )
    if arguments.check:
        _check(launch, spare)
    server = Server(launch, spare)
    Residency(launch).begin()
    end_when_stuck()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: server.leave(128 + number))
    if arguments.tcp:
        try:
            serve_socket(server, *arguments.tcp)
        except OSError as error:
            print(f"{PROGRAM}: cannot listen on {arguments.tcp} ({error.strerror})", file=sys.stderr)
            server.leave(2)
    else:
        _serve_pipe(server)
    server.leave(0)


def _check(launch: Launch, spare: Child) -> NoReturn:
    """Say whether everything works, in one line."""
    from modstar_lsp.server.check import check

    try:
        found = check(launch, spare)
    except ImportError as error:
        _fail(packages_missing(error))
    except ModstarError as error:
        _fail(str(error))
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error}")
    print(f"{PROGRAM} {__version__}: {found}")
    sys.exit(0)


def _fail(reason: str) -> NoReturn:
    print(f"{PROGRAM}: {' '.join(reason.split())}", file=sys.stderr)
    sys.exit(2)


def _load_protocol() -> None:
    """Import the protocol's 550 classes in 0.15 s instead of 0.27 s.

    Nearly half of the time goes into compiling comparisons and representations, which nobody here uses, and a
    tenth into looking for garbage where there is none.
    """
    gc.disable()
    import attrs

    define = attrs.define
    attrs.define = functools.partial(define, repr=False, eq=False)  # type: ignore[assignment]
    try:
        import lsprotocol.types  # noqa: F401
        import pygls  # noqa: F401
    finally:
        attrs.define = define  # type: ignore[assignment]
        gc.freeze()
        gc.enable()


def _serve_pipe(server: Any) -> None:
    """Speak on standard output alone: whatever else a library prints goes to standard error."""
    from modstar_lsp.server.transport import serve_pipe

    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    serve_pipe(server, sys.stdin.buffer, target)


def make_parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Semantic code search for editors: a language server on standard input and output.",
        epilog="Indexes live in the user's cache folder. Nothing leaves this machine, but for a --store.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
    add("--check", action="store_true", help="try everything that the server needs, say so, and exit")
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="standard input and output (the default)")
    transport.add_argument("--tcp", type=_address, metavar="[HOST:]PORT", help="wait for one client there")
    add(
        "--index-dir",
        type=_folder,
        metavar="DIR",
        help="keep indexes here instead of the user's cache folder",
    )
    add("--bundle", type=_folder, metavar="DIR", help="use this model instead of the built-in one")
    add(
        "--exit",
        type=_exit,
        metavar="N|auto",
        help="the deepest exit of the model to use (auto, the default: all that it has)",
    )
    add("--store", default="", metavar="URL", help="search a store of many repositories too (docs/scale.md)")
    add(
        "--label",
        action="append",
        default=[],
        metavar="NAME",
        help="see what carries this label in the store, too; repeatable",
    )
    add("--log-file", type=Path, metavar="FILE", help="write the log there instead of to standard error")
    add("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"must be PORT or HOST:PORT, not {text[:60]!r}")
    return host.strip("[]") or _LOCAL_HOST, number


def _folder(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("must name a folder")
    return expanded(text).absolute()


def _exit(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number or auto, not {text[:40]!r}")
    return int(text)


def _start_log(arguments: argparse.Namespace) -> None:
    level = arguments.log_level.upper()
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    try:
        if arguments.log_file is not None:
            logging.basicConfig(filename=arguments.log_file, level=level, format=form, encoding="utf-8")
        else:
            logging.basicConfig(stream=sys.stderr, level=level, format=form)
    except OSError as error:
        sys.exit(
            f"{PROGRAM}: cannot write the log {arguments.log_file} ({error.strerror}): name another file"
        )
    if level != "DEBUG":
        # Its warnings and tracebacks are about messages that were answered, each with its error.
        logging.getLogger("pygls").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
