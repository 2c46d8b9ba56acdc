"""Emacs in batch: a real process that loads our library, or the configuration that the manual shows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.editors.editor_programs import PROJECT, program

PATIENCE = 120

Emacs = Callable[..., list[Any]]

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
