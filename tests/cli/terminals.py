"""A pseudo-terminal around a command, to see what a user would see."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.cli.conftest import TIMEOUT, Shell


@dataclass(frozen=True)
class Seen:
    """What a command wrote to its terminal."""

    status: int
    screen: str


def on_terminal(shell: Shell, module: str, *arguments: str, columns: int = 100, **environment: str) -> Seen:
    """Run a command with its input, output and errors on one terminal."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        process = shell.start(module, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    finally:
        os.close(theirs)
    written = b""
    deadline = time.monotonic() + TIMEOUT
    with suppress(OSError):  # Linux ends a terminal nobody holds with an error
        while time.monotonic() < deadline and (piece := os.read(ours, 65536)):
            written += piece
    os.close(ours)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT)
    return Seen(process.returncode, written.decode("utf-8", "replace").replace("\r\n", "\n"))
