"""A pseudo-terminal around a command, to see what a user would see."""

from __future__ import annotations

import os
import re
import signal
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


def on_terminal(
    shell: Shell,
    module: str,
    *arguments: str,
    columns: int = 100,
    program: str = "",
    interrupt_at: str = "",
    **environment: str,
) -> Seen:
    """Run a command with its input, output and errors on one terminal.

    program: see `Shell.start`.  interrupt_at: Ctrl-C once this was written.
    """
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        process = shell.start(
            module,
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            program=program,
            start_new_session=bool(interrupt_at),
        )
    finally:
        os.close(theirs)
    written = b""
    deadline = time.monotonic() + TIMEOUT
    with suppress(OSError):  # Linux ends a terminal nobody holds with an error
        while time.monotonic() < deadline and (piece := os.read(ours, 65536)):
            written += piece
            if interrupt_at and interrupt_at.encode() in written:
                interrupt_at = ""
                os.killpg(process.pid, signal.SIGINT)
    os.close(ours)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT)
    return Seen(process.returncode, written.decode("utf-8", "replace").replace("\r\n", "\n"))


def screen_after(text: str) -> str:
    """What stands on a terminal after `text` was written to it."""
    lines, row = [""], 0
    for part in re.split(r"(\n|\r|\x1b\[\d*[A-Za-z])", text):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[J":
            lines = [*lines[:row], ""]
        elif part == "\x1b[K":
            lines[row] = ""
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part != "\r" and not part.startswith("\x1b"):
            lines[row] += part
    return "\n".join(lines)
