"""What the machine, and not the user, has wrong: too few files, another's folders, a model that is none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Shell, write_files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits and owners")
_LIMITS = range(6, 22)
_NOBODY = 65534


def one_line(answer: Answer, *words: str) -> None:
    """The answer is status 2 and one line that holds every one of `words`."""
    assert answer.status == 2, answer
    assert re.fullmatch(r"modstar-(query|index): [^\n]+\n", answer.err), answer.err
    for word in words:
        assert word in answer.err


def _files(number: int) -> Callable[[], None]:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    return limit


@pytest.mark.parametrize("number", _LIMITS)
def test_too_few_open_files_are_called_so_or_suffice(indexed: Shell, number: int) -> None:
    answer = indexed.query("parse_json", preexec_fn=_files(number))
    if answer.status == 0:
        assert answer.places[0] == "src/shop/jsonio.py:6"
    else:
        one_line(answer)
        assert re.search("too many open files|Too many open files|cannot be loaded", answer.err), answer.err


@pytest.mark.parametrize("number", [8, 12, 16, 20])
def test_an_index_is_made_with_few_open_files_or_not_at_all(shell: Shell, number: int) -> None:
    answer = shell.index(preexec_fn=_files(number))
    if answer.status:
        one_line(answer)
        assert re.search("too many open files|Too many open files|cannot be loaded", answer.err), answer.err
    assert shell.query("parse_json").places[0] == "src/shop/jsonio.py:6"


def _memory(limit: str, number: int) -> Callable[[], None]:
    def set_limit() -> None:
        import resource

        resource.setrlimit(getattr(resource, limit), (number, number))

    return set_limit


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory hold on Linux alone")
@pytest.mark.parametrize(
    ("limit", "number"),
    [("RLIMIT_AS", 100_000_000), ("RLIMIT_AS", 150_000_000), ("RLIMIT_DATA", 60_000_000)],
)
def test_too_little_memory_is_no_empty_answer(shell: Shell, limit: str, number: int) -> None:
    """numpy's linear algebra would end the process with the status of one."""
    assert shell.index().status == 0
    write_files(shell.cwd, {"new.py": "def fold_parcel(parcel):\n    return parcel\n"})
    little = _memory(limit, number)
    for module in ("cli.query", "cli.index", "server.main", "mcp.main"):
        words = ["fold_parcel"] if module == "cli.query" else []
        program = f"from modstar_lsp.{module} import main; main()"
        answer = shell.run("query", *words, program=program, preexec_fn=little)
        assert (answer.status, answer.err.count("\n")) == (2, 1), answer
        assert "out of memory" in answer.err and "ulimit" in answer.err
    assert shell.query("fold_parcel").places[0] == "new.py:1"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory hold on Linux alone")
@pytest.mark.parametrize("megabytes", [200, 235, 250])
def test_memory_that_runs_out_later_is_no_empty_answer_and_loses_nothing(
    shell: Shell, megabytes: int
) -> None:
    """onnxruntime would say it in lines of its own, importlib end with the status of an empty answer."""
    assert shell.index().status == 0
    write_files(shell.cwd, {"new.py": "def fold_parcel(parcel):\n    return parcel\n"})
    little = _memory("RLIMIT_AS", megabytes * 1_000_000)
    for options in (["--budget", "60s"], ["--exit", "6"]):
        answer = shell.query("who folds a parcel", *options, preexec_fn=little)
        one_line(answer, "out of memory", "ulimit -v")
    assert shell.query("parse_json").places[0] == "src/shop/jsonio.py:6"
    assert shell.query("fold_parcel").places[0] == "new.py:1"


@pytest.mark.parametrize(
    ("graph", "other", "options"),
    [
        ("reranker-6.onnx", "exit-4.onnx", ["--budget", "60s"]),
        ("exit-4.onnx", "reranker-6.onnx", ["--exit", "4"]),
    ],
)
def test_a_graph_in_place_of_another_is_named(
    indexed: Shell, bundle_copy: Path, graph: str, other: str, options: list[str]
) -> None:
    shutil.copy(bundle_copy / other, bundle_copy / graph)
    manifest = json.loads((bundle_copy / "modstar.json").read_text())
    manifest["files"][graph] = manifest["files"][other]
    (bundle_copy / "modstar.json").write_text(json.dumps(manifest))
    answer = indexed.query("who reads a document", "--bundle", str(bundle_copy), *options)
    one_line(answer, str(bundle_copy), "it takes attention_mask")


def test_a_tokenizer_of_garbage_is_named(indexed: Shell, bundle_copy: Path) -> None:
    garbage = b"\xff\xfenothing"
    (bundle_copy / "tokenizer.json").write_bytes(garbage)
    manifest = json.loads((bundle_copy / "modstar.json").read_text())
    manifest["files"]["tokenizer.json"] = {
        "bytes": len(garbage),
        "sha256": hashlib.sha256(garbage).hexdigest(),
    }
    (bundle_copy / "modstar.json").write_text(json.dumps(manifest))
    one_line(
        indexed.query("parse json", "--bundle", str(bundle_copy), "--exit", "4"),
        "tokenizer.json is no tokenizer",
        "export it again",
    )


def test_a_pipe_in_place_of_a_model_is_not_waited_for(indexed: Shell, tmp_path: Path) -> None:
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes/modstar.json")
    one_line(indexed.query("parse json", "--bundle", str(tmp_path / "pipes")), "modstar.json", "regular file")


def test_what_is_kept_is_its_users_alone_whatever_the_umask(shell: Shell, tmp_path: Path) -> None:
    assert shell.index(preexec_fn=lambda: os.umask(0)).status == 0
    kept = list((tmp_path / "cache").rglob("*"))
    assert len(kept) > 2
    for path in kept:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path}: {mode:o}"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_another_user_made_takes_no_index(shell: Shell, tmp_path: Path) -> None:
    assert shell.index().status == 0
    (folder,) = (tmp_path / "cache/modstar").iterdir()
    for path in (folder, *folder.iterdir()):
        os.chown(path, _NOBODY, _NOBODY)
    one_line(shell.index(), str(folder), "belongs to another user", "--index-dir")
    elsewhere = ["--index-dir", str(tmp_path / "mine")]
    assert shell.index(*elsewhere).status == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_an_index_of_roots_is_called_so(shell: Shell, tmp_path: Path) -> None:
    """What one `sudo modstar index` leaves behind."""
    assert shell.index().status == 0
    (folder,) = (tmp_path / "cache/modstar").iterdir()
    for above in (folder.parent, folder.parent.parent):
        os.chown(above, _NOBODY, _NOBODY)
    folders = 3 if "PYTEST_XDIST_WORKER" in os.environ else 2  # each of pytest's processes has one of its own
    for above in (tmp_path, *tmp_path.parents[:folders]):
        above.chmod(above.stat().st_mode | 0o055)
    nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    if shell.run("query", "--version", prefix=nobody).status:
        pytest.skip("another user cannot read these sources here")
    one_line(shell.query("parse_json", prefix=nobody), str(folder), "belongs to another user (root)")
    one_line(shell.index(prefix=nobody), str(folder), "belongs to another user (root)")
    one_line(shell.index("--status", prefix=nobody), str(folder), "belongs to another user (root)")


def test_an_error_while_an_error_is_told_is_no_empty_answer(shell: Shell) -> None:
    program = (
        "import modstar_lsp.cli.query as q, modstar_lsp.installation as i\n"
        "def fails(*a): raise MemoryError\n"
        "def unloadable(*a): raise ImportError('failed to map')\n"
        "q._command, i.packages_missing = unloadable, fails"
    )
    one_line(shell.query("x", program=program), "no memory is left")


def test_a_home_of_nobody_is_a_name_like_any_other(shell: Shell) -> None:
    one_line(shell.query("x", "~no-such-user/src"), "~no-such-user/src: no such folder or file")
    one_line(shell.index("~no-such-user/src"), "~no-such-user/src: no such folder")
