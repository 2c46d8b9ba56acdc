"""What git is run for: to fetch a repository, and to read one without a work tree at its HEAD.

A repository names no command, no file outside of it and no further repository: no hooks, no filters, no
submodules, no prompts, no protocol but those that were allowed, no name taken for an option.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple
from weakref import WeakSet

from modstar_lsp.errors import WorkspaceError, reason

#: Ways to a repository. `git://` and `http://` can be listened to and altered, others run commands.
PROTOCOLS = ("https", "ssh", "file")
# Seconds: for a question about HEAD, for a clone, for reading one.
_ASKING, _CLONING, _READING = 60.0, 1_800.0, 1_800.0
# Bytes of a clone, and of the files in one: many times a large repository without its history. And files.
MOST_CLONED = 4_000_000_000
_MOST_BLOBS = 1_000_000
_GIT_LOOK_SECONDS = 0.2
_OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "credential.interactive": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "advice.detachedHead": "false",
}
# What a surrounding git command says of its own repository.
_INHERITED = (
    "GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES "
    "GIT_COMMON_DIR GIT_NAMESPACE GIT_PREFIX GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_SHALLOW_FILE "
    "GIT_TEMPLATE_DIR"
).split()
_SILENT_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
# Links and submodules are no files.
_FILE_MODES = (b"100644", b"100755", b"100664")
_NO_COMMIT = "nothing was committed there yet: what the store has of it is kept"
_PASSWORD = r"(://[^/@:\s]*):[^/@\s]*@"


class _Blob(NamedTuple):
    """A file in a commit."""

    name: bytes
    size: int
    path: str


def head_of(place: str) -> str:
    """The commit that HEAD is, at a URL. Raises WorkspaceError, also when there is none yet."""
    told = _run(["ls-remote", "--", place, "HEAD"], place, _ASKING, protocols=PROTOCOLS)
    for line in told.decode("utf-8", "replace").splitlines():
        commit, _, name = line.partition("\t")
        if name == "HEAD":
            return commit
    raise WorkspaceError(_NO_COMMIT)


def bare_head(folder: Path) -> str:
    """The commit that HEAD is, in a bare clone. Raises WorkspaceError, also when there is none yet."""
    where = f"--git-dir={folder}"
    if not _run([where, "for-each-ref", "--count=1"], str(folder), _ASKING).strip():
        raise WorkspaceError(_NO_COMMIT)
    arguments = [where, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"]
    return _run(arguments, str(folder), _ASKING).decode("ascii", "replace").strip()


def clone(place: str, folder: Path) -> None:
    """Fetches the newest commit at a URL into `folder`, bare. Raises WorkspaceError."""
    arguments = ["clone", "--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template="]
    arguments += ["--no-recurse-submodules", "--", place, str(folder)]
    _run(arguments, place, _CLONING, protocols=PROTOCOLS, watched=folder)


def unpack_commit(git_folder: Path, commit: str, root: Path, max_file_bytes: int) -> None:
    """Writes the files of a commit below `root`, an empty folder, and the index that says which git tracks.

    max_file_bytes: larger files are left out. Nothing is written outside of `root`. Raises WorkspaceError.
    """
    where = [f"--git-dir={git_folder}"]
    shown = str(git_folder)
    (root / ".git").mkdir()
    # git itself refuses a commit with paths that lead out, or into .git.
    index = {"GIT_INDEX_FILE": str(root / ".git" / "index")}
    _run([*where, "read-tree", commit], shown, _READING, environment=index)
    (root / ".git" / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    listed = _run([*where, "ls-tree", "-r", "-z", "-l", "--full-tree", commit], shown, _READING)
    blobs = [blob for blob in _blobs(listed) if blob.size <= max_file_bytes]
    total = sum(blob.size for blob in blobs)
    if len(blobs) > _MOST_BLOBS or total > min(MOST_CLONED, shutil.disk_usage(root).free // 2):
        raise WorkspaceError(f"{len(blobs):,} files of {total:,} bytes: more than there is room for")
    with _started([*where, "cat-file", "--batch"], _READING) as (source, sink):
        for blob in blobs:
            sink.write(blob.name + b"\n")
            sink.flush()
            told = source.readline().split()  # its name, its type, its size; or its name, `missing`
            if told[1:] != [b"blob", b"%d" % blob.size]:
                raise WorkspaceError(f"{shown} lacks a file of its HEAD ({blob.path}): fetch it anew")
            _write(root, blob.path, source.read(blob.size + 1)[:-1])


def _blobs(listed: bytes) -> Iterator[_Blob]:
    """The files in what `git ls-tree -r -z -l` says."""
    for entry in listed.split(b"\0"):
        about, _, path = entry.partition(b"\t")
        told = about.split()
        if len(told) == 4 and told[0] in _FILE_MODES and _stays_inside(path):
            yield _Blob(told[2], int(told[3]), os.fsdecode(path))


def _stays_inside(path: bytes) -> bool:
    parts = path.replace(b"\\", b"/").split(b"/") if os.name == "nt" else path.split(b"/")
    return not any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts)


def _write(root: Path, path: str, text: bytes) -> None:
    target = root / path
    with suppress(
        OSError, ValueError
    ):  # two names that this file system takes for one, or none that it takes
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)


# -- processes

_running: WeakSet[subprocess.Popen[bytes]] = WeakSet()


def stop_all() -> None:
    """Ends every git that this process still runs: threads that wait for one then go on."""
    for process in list(_running):
        if process.poll() is None:
            _kill(process)


def _environment(protocols: Sequence[str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    return {**kept, **_SILENT_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": ":".join(protocols)}


def _command(arguments: Sequence[str]) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise WorkspaceError("git is not installed: install it, or name folders")
    return [
        git,
        *(part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")),
        *arguments,
    ]


def _run(
    arguments: Sequence[str],
    place: str,
    seconds: float,
    *,
    protocols: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    watched: Path | None = None,
) -> bytes:
    """What git writes. watched: a folder that may grow to MOST_CLONED. Raises WorkspaceError."""
    process = _popen(arguments, {**_environment(protocols), **(environment or {})}, subprocess.DEVNULL)
    deadline = time.monotonic() + seconds
    while True:
        try:
            out, err = process.communicate(timeout=_GIT_LOOK_SECONDS if watched else seconds)
            break
        except subprocess.TimeoutExpired:
            late = time.monotonic() >= deadline
            if late or (watched is not None and _bytes_below(watched) > MOST_CLONED):
                _kill(process)
                process.communicate()
                why = f"no answer within {seconds:.0f} s" if late else f"more than {MOST_CLONED:,} bytes"
                raise WorkspaceError(f"{why}: given up") from None
        except BaseException:
            _kill(process)
            raise
    if process.returncode != 0:
        raise WorkspaceError(_said(err, place))
    return out


@contextmanager
def _started(arguments: Sequence[str], seconds: float) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A git process that is spoken with: (what it says, what it is told). Killed after `seconds`."""
    process = _popen(arguments, _environment(()), subprocess.PIPE, errors=subprocess.DEVNULL)
    timer = threading.Timer(seconds, _kill, (process,))
    timer.daemon = True
    timer.start()
    assert process.stdout is not None and process.stdin is not None
    try:
        yield process.stdout, process.stdin
    except BrokenPipeError:
        raise WorkspaceError("git ended in the middle of reading it") from None
    finally:
        timer.cancel()
        _kill(process)
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _popen(
    arguments: Sequence[str], environment: Mapping[str, str], source: int, errors: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            _command(arguments),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C is for us to pass on, and its helpers end with it
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise WorkspaceError(f"git cannot be started ({reason(error)})") from None
    _running.add(process)
    return process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends git and the helpers that it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # git renames and removes what it is writing
            total += path.lstat().st_size
    return total


def without_password(place: str) -> str:
    """A URL, or a text with one in it, as it may be shown."""
    return re.sub(_PASSWORD, r"\1:***@", place)


def _said(err: bytes, place: str) -> str:
    """What git complains of, in one line."""
    lines = [line.strip() for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))), "")
    text = told or (lines[-1] if lines else "git failed and did not say why")
    return without_password(" ".join(text.replace(place, without_password(place)).split()))[:300]
