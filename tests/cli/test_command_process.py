"""A command as a process: what it imports, what it says on a terminal, how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from modstar_lsp.cli.process import ERROR, INTERRUPTED, run
from modstar_lsp.errors import StoreError
from tests.cli.conftest import TIMEOUT, Shell, write_files

# Each costs a warm query milliseconds that it can do without.
HEAVY = {
    "asyncio",
    "concurrent",
    "ctypes",
    "email",
    "hnswlib",
    "http",
    "logging",
    "lsprotocol",
    "multiprocessing",
    "onnxruntime",
    "optimum",
    "pathspec",
    "platformdirs",
    "pygls",
    "requests",
    "shutil",
    "socket",
    "ssl",
    "tempfile",
    "tokenizers",
    "torch",
    "transformers",
    "tree_sitter",
    "urllib.request",
    "watchdog",
    "xml",
}


@pytest.mark.imports
def test_a_warm_query_imports_nothing_heavy(indexed: Shell) -> None:
    probe = (
        "import json, os, sys; from modstar_lsp.cli import query; real = os._exit\n"
        "def told(status):\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.stderr, flush=True); real(status)\n"
        "os._exit = told; query.main()"
    )
    command = [sys.executable, "-c", probe, "retry failed uploads"]
    done = subprocess.run(
        command, cwd=indexed.cwd, env=dict(indexed.environment), capture_output=True, timeout=TIMEOUT
    )
    assert b"retry_failed_uploads" in done.stdout
    modules = set(json.loads(done.stderr))
    assert "numpy" in modules
    # what numpy and site bring along in any case is not ours to forbid
    floor = subprocess.run(
        [sys.executable, "-c", "import sys, numpy, sqlite3, json; print(json.dumps(sorted(sys.modules)))"],
        env=dict(indexed.environment),
        capture_output=True,
        timeout=TIMEOUT,
    )
    extra = modules - set(json.loads(floor.stdout))
    assert not {name for name in extra if name in HEAVY or name.split(".")[0] in HEAVY}


def test_version_needs_neither_numpy_nor_the_index(indexed: Shell) -> None:
    probe = (
        "import sys\nfrom modstar_lsp.cli import query\n"
        "sys.exit('numpy' in sys.modules or 'modstar_lsp.workspace' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], env=dict(indexed.environment), timeout=TIMEOUT)
    assert done.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
def test_progress_is_drawn_on_a_terminal_and_taken_away(shell: Shell) -> None:
    from tests.cli.terminals import on_terminal

    body = "\n".join(f"def step_{n}(value):\n    return value * {n}\n" for n in range(200))
    write_files(shell.cwd, {f"src/big{n}.py": f"# {n}\n{body}" for n in range(240)})
    seen = on_terminal(shell, "query", "parse_json", "-k", "1", columns=70)
    assert seen.status == 0
    bars = [frame for frame in seen.screen.split("\r\x1b[K") if "%" in frame and "█" in frame + "░"]
    assert bars, seen.screen
    assert all(len(bar) <= 70 for bar in bars if "\n" not in bar)
    assert re.search(r"\r\x1b\[K\x1b\[35msrc/shop/jsonio\.py", seen.screen), "the line is free for the answer"
    warm = on_terminal(shell, "query", "parse_json", "-k", "1")
    assert "%" not in warm.screen, "no bar flashes up when there is nothing to wait for"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (StoreError("the index is\nlocked\x1b[2J"), ERROR, "x: the index is locked\\x1b[2J\n"),
        (KeyboardInterrupt(), INTERRUPTED, ""),
        (OSError(28, "No space left on device", "/tmp/x"), ERROR, "x: No space left on device: /tmp/x\n"),
        (
            ValueError("odd"),
            ERROR,
            "x: unexpected ValueError: odd (set MODSTAR_DEBUG=1 for the traceback)\n",
        ),
    ],
)
def test_every_error_is_one_line(
    error: BaseException, status: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert run("x", fail) == status
    assert capfd.readouterr().err == line


def test_the_traceback_is_there_for_who_asks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ValueError("odd")

    monkeypatch.setenv("MODSTAR_DEBUG", "1")
    assert run("x", fail) == ERROR
    assert "Traceback" in capfd.readouterr().err
