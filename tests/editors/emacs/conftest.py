"""Emacs in batch: a real process that loads our library, or the configuration that the manual shows."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.editors.editor_programs import PROJECT, program

PATIENCE = 120

Emacs = Callable[..., list[Any]]
Terminal = Callable[[Path, str], "Screen"]

# `note` leaves values for the test; they are written as JSON, one a line.
PRELUDE = """
(package-initialize)
(require 'json)
(defun note (value) (princ (concat (json-encode value) "\\n")))
(defun note-place (&optional buffer)
  (with-current-buffer (or buffer (window-buffer))
    (note (list (buffer-file-name) (line-number-at-pos) (current-column)))))
;; Until then an answer holds only what is known.
(defun wait-until-known ()
  (while (not (string-match ": ready," (or (modstar-status) ""))) (sleep-for 0.1)))
(defun note-list ()
  (with-current-buffer "*xref*" (note (split-string (buffer-substring-no-properties 1 (point-max)) "\\n" t))))
"""


@pytest.fixture
def emacs(home: dict[str, str], server_command: list[str], tmp_path: Path) -> Emacs:
    """Runs Lisp in Emacs, in a folder, and returns what it noted; `command` is what starts the server."""

    def run(folder: Path, body: str, command: Sequence[str] = tuple(server_command)) -> list[Any]:
        script = tmp_path / "script.el"
        words = " ".join(json.dumps(word) for word in command)
        settings = f"(setq modstar-command '({words}))" if "(require 'modstar)" in body else ""
        script.write_text(f"{PRELUDE}\n{body.replace('@settings', settings)}", "utf-8")
        library = str(PROJECT / "editors" / "emacs")
        # Standard input is at its end: a question that nobody expects ends the test instead of waiting.
        answer = subprocess.run(
            [program("emacs"), "--batch", "-q", "-L", library, "-l", str(script)],
            cwd=folder,
            env=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr + answer.stdout
        notes = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith(("[", '"', "{"))]
        return notes

    return run


@pytest.fixture
def terminal(home: dict[str, str], server_command: list[str], tmp_path: Path) -> Iterator[Terminal]:
    """Starts Emacs in a terminal of 100 by 30, in a folder, with a script of Lisp."""
    started: list[Screen] = []

    def start(folder: Path, body: str) -> Screen:
        script = tmp_path / "terminal.el"
        words = " ".join(json.dumps(word) for word in server_command)
        script.write_text(f"{PRELUDE}\n(require 'modstar) (setq modstar-command '({words}))\n{body}", "utf-8")
        library = str(PROJECT / "editors" / "emacs")
        command = [program("emacs"), "-nw", "-q", "-L", library, "-l", str(script)]
        started.append(Screen(command, folder, {**home, "TERM": "xterm"}))
        return started[-1]

    yield start
    for screen in started:
        screen.close()


class Screen:
    """A program in a terminal: what it has written, and keys to type."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # /dev/tty is what Emacs opens
        )
        os.close(inside)
        self._written = ""

    def see(self, text: str) -> None:
        """Wait until the program has written the text since the last keys."""
        end = monotonic() + PATIENCE
        while text not in self._written:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - monotonic()))
            assert ready, f"{text!r} never came: {self._written[-2000:]!r}"
            self._written += os.read(self._terminal, 65536).decode("utf-8", "replace")

    def type(self, keys: str) -> None:
        """Type the keys."""
        self._written = ""
        os.write(self._terminal, keys.encode())

    def close(self) -> None:
        """End the program."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._terminal)
