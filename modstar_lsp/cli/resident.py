"""The process that runs `modstar-query` for others, with everything imported that takes long.

A running server keeps one (background/residency.py). It never asks anything itself: a copy of it (fork) waits
for the next command, takes over arguments, folder, environment and streams of who sent it, runs the command
as any process would, and ends with it. So nothing is left of one command when the next comes, and what is
answered is what would have been answered without. Nobody but the same user is listened to.

Once a command has ended, another copy warms up for the next (warmup.py), and then waits. A command that comes
earlier gets a copy that is made for it; and where nobody asks nothing is done.

It runs no thread, as a copy would have its locks and not its threads.
"""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from modstar_lsp import private_socket
from modstar_lsp.cli import asking
from modstar_lsp.cli.handover import ALIVE, ALIVE_SECONDS, GO, MOST_REQUESTED, READY, USED, heard
from modstar_lsp.cli.process import flushed
from modstar_lsp.startup import hasten_numpy, spare_garbage

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from _typeshed import ReadableBuffer, WriteableBuffer

    from modstar_lsp.encoder import Bundle, Encoder
    from modstar_lsp.workspace import Workspace

# Whoever connects says what is wanted at once.
_REQUEST_SECONDS = 2.0
# A copy is made at once when a command comes and none waits; while one answers, not before so long: beside it
# that takes 2 to 3 of its 34 ms, and most have ended by then.
_SPARE_SECONDS = 0.1
# After a copy that ended before it was asked anything.
_RESIDENT_RETRY_SECONDS = 1.0
_STREAM_COUNT = 3
# What a copy tells the process that made it: that it has warmed up, and has taken a command.
_WARM, _ASKED = b"w", b"a"
# Bytes of what it tells besides: two paths, at once.
_MOST_TOLD = 4_000


def main() -> NoReturn:
    """Serve until standard input ends. Arguments: the socket's path and the model's folder, "" for ours."""
    path, bundle = sys.argv[1:3]
    greeting = private_socket.stamp().encode("utf-8", "replace") + b"\n"  # of what is loaded, whatever comes
    spare_garbage()
    hasten_numpy()
    model = _prepared(Path(bundle) if bundle else None)
    listener = private_socket.listen(path)
    if listener is None:
        os._exit(1)
    listener.setblocking(False)  # several copies may see the same command
    inode = os.stat(path).st_ino
    gc.collect()
    gc.freeze()  # what is here stays, and looking through it would copy it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a copy ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_copies(listener, greeting, model)
    with suppress(OSError):
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    os._exit(0)


class _Model(NamedTuple):
    """A model, and what the file system said of it when it was loaded."""

    encoder: Encoder
    stamp: str

    def unchanged(self) -> Encoder | None:
        """The model, if its files are those that were loaded."""
        try:
            return self.encoder if _stamp(self.encoder.bundle) == self.stamp else None
        except OSError:
            return None


def _stamp(bundle: Bundle) -> str:
    from modstar_lsp.encoder.bundle import MANIFEST

    manifest = (bundle.folder / MANIFEST).stat()
    return f"{bundle.stamp()} {manifest.st_ino} {manifest.st_mtime_ns}"


def _prepared(bundle: Path | None) -> _Model | None:
    """The model, loaded as far as exit 0 needs it, and imported what a command needs; None when it is bad."""
    import encodings.utf_8_sig  # noqa: F401
    import locale  # noqa: F401
    import resource  # noqa: F401

    import modstar_lsp.cli.arguments
    import modstar_lsp.cli.indexing
    import modstar_lsp.cli.output
    import modstar_lsp.cli.warmup
    import modstar_lsp.files.walk
    import modstar_lsp.index.reading.snapshot
    import modstar_lsp.index.store.inventory
    import modstar_lsp.index.writing.refresh
    import modstar_lsp.search.suggest
    import modstar_lsp.workspace.description
    import modstar_lsp.workspace.english
    import modstar_lsp.workspace.grammar
    import modstar_lsp.workspace.scope  # noqa: F401
    from modstar_lsp.encoder import Encoder, open_bundle
    from modstar_lsp.errors import ModstarError

    try:
        encoder = Encoder(open_bundle(bundle))
        stamp = _stamp(encoder.bundle)
        encoder.encode(["a word"])
    except ModstarError:  # each command says so itself
        return None
    return _Model(encoder, stamp)


class _Copy:
    """A copy, as seen by the process that made it.

    told: the pipe that says what it does, and ends with it.  living: the pipe whose end has it go, unless it
    is at a command.  warm_up: what it warms up with, b"" for nothing.
    """

    def __init__(self, told: int, living: int, warm_up: bytes) -> None:
        self.told = told
        self.living = living
        self.warm_up = warm_up
        self.said = b""
        self.is_dismissed = False

    @property
    def is_asked(self) -> bool:
        """Whether it is at a command."""
        return _ASKED in self.said

    @property
    def is_waiting(self) -> bool:
        """Whether the next command may be its."""
        return not self.is_asked and not self.is_dismissed and (not self.warm_up or self.said == _WARM)

    def dismiss(self) -> None:
        """Has it go, if it is at no command."""
        if not self.is_dismissed:
            os.close(self.living)
            self.is_dismissed = True

    def close(self) -> None:
        """Lets go of the pipes."""
        self.dismiss()
        os.close(self.told)


def _keep_copies(listener: socket.socket, greeting: bytes, model: _Model | None) -> None:
    """Has a copy wait for the next command, or makes it when that comes, until the server is gone."""
    copies: list[_Copy] = []
    warm_up = b""  # for the next command, b"" where one has done so
    while True:
        is_answering = any(copy.is_asked for copy in copies)
        if not is_answering:
            if warm_up and not any(copy.warm_up == warm_up for copy in copies):
                copies.append(_copied(copies, listener, greeting, model, warm_up))
            elif not any(copy.is_waiting or copy.warm_up for copy in copies):
                copies.append(_copied(copies, listener, greeting, model, b""))
            warm_up = b""
        watched = [0, *(copy.told for copy in copies)]
        if any(copy.is_waiting for copy in copies):
            ready, _, _ = select.select(watched, [], [])
        else:
            seconds = _SPARE_SECONDS if is_answering else None
            ready, _, _ = select.select([*watched, listener.fileno()], [], [], seconds)
            if not ready or listener.fileno() in ready:
                copies.append(_copied(copies, listener, greeting, model, b""))
        if 0 in ready:
            return
        for copy in [copy for copy in copies if copy.told in ready]:
            said = os.read(copy.told, _MOST_TOLD)
            copy.said += said
            if said == _WARM:
                for other in copies:
                    if other is not copy and other.is_waiting:
                        other.dismiss()
            if said:
                continue
            copies.remove(copy)
            if copy.is_waiting and not copy.warm_up:
                time.sleep(_RESIDENT_RETRY_SECONDS)
            if copy.is_asked:
                warm_up = copy.said.partition(_ASKED)[2] or copy.warm_up or warm_up
            copy.close()


def _copied(
    others: Sequence[_Copy], listener: socket.socket, greeting: bytes, model: _Model | None, warm_up: bytes
) -> _Copy:
    """A copy that waits for a command, once it has warmed up."""
    told, tell = os.pipe()
    alive, living = os.pipe()
    if not os.fork():
        os.close(told)
        os.close(living)
        for other in others:
            other.close()  # a pipe ends when nobody holds it
        _wait_and_serve(listener, tell, alive, greeting, model, warm_up)
    os.close(tell)
    os.close(alive)
    return _Copy(told, living, warm_up)


def _wait_and_serve(
    listener: socket.socket, tell: int, alive: int, greeting: bytes, model: _Model | None, warm_up: bytes
) -> NoReturn:
    """A copy's life: it ends with the command, or when it is dismissed."""
    try:
        if warm_up:
            _warm_up(model, warm_up)
            os.write(tell, _WARM)
        there = _next_command(listener, alive)
        if there is not None:
            os.write(tell, _ASKED)
            listener.close()
            os.close(alive)
            _serve(there, greeting, model, tell)
    finally:
        os._exit(0)


def _warm_up(model: _Model | None, warm_up: bytes) -> None:
    """Raises ModstarError and OSError: the copy that waits is then as good as this one."""
    from modstar_lsp.cli.warmup import WarmUp

    encoder = model and model.unchanged()
    if encoder is not None:
        WarmUp.read(warm_up).run(encoder)


def _next_command(listener: socket.socket, alive: int) -> socket.socket | None:
    """Who sends a command; None when this copy is to go."""
    while listener.fileno() in select.select([listener.fileno(), alive], [], [])[0]:
        with suppress(BlockingIOError):  # another copy took it
            return listener.accept()[0]
    return None


def _serve(there: socket.socket, greeting: bytes, model: _Model | None, tell: int) -> None:
    """Runs a command. tell: the pipe that is told what to warm up with for the next."""
    there.settimeout(_REQUEST_SECONDS)
    if not private_socket.is_same_user(there):
        return
    there.sendall(greeting)
    texts, streams = _received(there)
    _become(texts, streams, there)
    _say_ready(there)
    if heard(there, len(GO), _REQUEST_SECONDS) != GO:
        return  # it does the work itself
    there.settimeout(None)
    threading.Thread(target=_obey, args=(there,), daemon=True).start()
    encoder = model and model.unchanged()

    def then(workspace: Workspace) -> None:
        # Before the status is sent: who has got that goes, and so does this process.
        if workspace.encoder is encoder:
            _tell_warm_up(workspace, tell)

    status = asking.status(encoder, then)
    there.sendall(bytes([flushed(status)]))


def _tell_warm_up(workspace: Workspace, tell: int) -> None:
    from modstar_lsp.cli.warmup import WarmUp

    told = bytes(WarmUp.of(workspace))
    if len(told) <= _MOST_TOLD:
        with suppress(OSError):  # the server is gone
            os.write(tell, told)


def _say_ready(there: socket.socket) -> None:
    """That everything is taken over, and how to end this process should it be stopped."""
    try:
        handles = [os.pidfd_open(os.getpid())]
    except (OSError, AttributeError):  # Linux before 5.3, and a Python that was built on one
        handles = []
    private_socket.send_files(there, READY, handles)
    for handle in handles:
        os.close(handle)


def _received(there: socket.socket) -> tuple[list[str], list[int]]:
    """(the texts of a request, its streams). Raises OSError or ValueError for what is none."""
    data, streams = private_socket.receive_files(there, 4, _STREAM_COUNT)
    size = int.from_bytes(data, "big")
    if len(data) < 4 or size > MOST_REQUESTED or len(streams) != _STREAM_COUNT:
        raise ValueError("no request with its streams")
    body = heard(there, size, _REQUEST_SECONDS)
    if len(body) < size:
        raise ValueError("the request ends early")
    return [os.fsdecode(text) for text in body.split(b"\0")], streams


class _Stream(io.FileIO):
    """A stream of the sender's, who is told before it is used first: from then on nobody else can answer."""

    def __init__(self, number: int, mode: str, use: Callable[[], None]) -> None:
        super().__init__(number, mode, closefd=False)
        self._use = use

    def write(self, data: ReadableBuffer) -> int:
        self._use()
        return super().write(data)

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._use()
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._use()
        return super().readall()


def _become(texts: list[str], streams: list[int], there: socket.socket) -> None:
    """Takes over folder, streams, arguments and environment of the process that sent them, over `there`.

    Raises OSError and ValueError.
    """
    used = False

    def use() -> None:
        nonlocal used
        if not used:
            there.sendall(USED)  # fails when the sender waits no longer
            used = True

    folder, *encodings, count = texts[: 2 + _STREAM_COUNT]
    arguments, environment = texts[2 + _STREAM_COUNT :][: int(count)], texts[2 + _STREAM_COUNT + int(count) :]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(dict(entry.split("=", 1) for entry in environment))  # type: ignore[arg-type]
    time.tzset()
    sys.argv[1:] = arguments
    for number, (name, encoding) in enumerate(zip(("stdin", "stdout", "stderr"), encodings, strict=True)):
        raw = _Stream(number, "w" if number else "r", use)
        buffer = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
        is_line_buffered = name == "stderr" or raw.isatty()
        setattr(sys, name, io.TextIOWrapper(buffer, encoding, line_buffering=is_line_buffered))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _obey(there: socket.socket) -> None:
    """Says that this process is alive, and passes on signals that the sender got.

    When that is gone, or waits no longer, so is this process.
    """
    import socket

    with suppress(OSError):
        while True:
            if select.select([there], [], [], ALIVE_SECONDS)[0]:
                if not (told := there.recv(1)):
                    break
                os.kill(os.getpid(), told[0])
            else:
                with suppress(BlockingIOError):  # the sender is stopped itself
                    there.send(ALIVE, socket.MSG_DONTWAIT)
    os._exit(1)


if __name__ == "__main__":
    main()
