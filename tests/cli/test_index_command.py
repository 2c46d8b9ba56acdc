"""modstar-index: one line about the work, nothing written in a dry run, fresh while it watches."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Shell, make_shell, write_files


def test_the_work_is_told_in_one_line(shell: Shell) -> None:
    answer = shell.index()
    assert (answer.status, answer.err) == (0, "")
    assert re.fullmatch(
        r"\d+ files; \d+ chunks; python 3(, \w+ \d+)*; skipped \d+: [^;]+; [\d.]+ s, index [\d.]+ [kM]?B\n",
        answer.out,
    )
    write_files(shell.cwd, {"src/new.py": "def new():\n    pass\n", "README.md": "# Other\n"})
    assert "; 1 added, 1 changed; " in shell.index().out
    assert "; up to date; " in shell.index().out


def test_verbose_lists_what_was_skipped_and_why(shell: Shell) -> None:
    lines = shell.index("--verbose").out.splitlines()
    skipped = dict(line.removeprefix("skipped ").split(": ", 1) for line in lines[:-1])
    assert ".env" in skipped
    assert "logo.png" in skipped
    assert all(skipped.values())


def test_quiet_says_nothing(shell: Shell) -> None:
    answer = shell.index("--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert shell.query("parse_json", "--no-refresh").status == 0


def test_json(shell: Shell) -> None:
    told = json.loads(shell.index("--json").out)
    assert told["root"] == str(shell.cwd)
    assert told["languages"]["python"] == 3
    assert told["added"] == told["files"]
    assert {"path": "logo.png"}.items() <= next(s for s in told["skipped"] if s["path"] == "logo.png").items()
    assert told["bytes"] > 0


def test_a_dry_run_lists_the_files_and_writes_nothing(shell: Shell) -> None:
    answer = shell.index("--dry-run")
    assert answer.status == 0
    files = answer.out.splitlines()
    assert "src/shop/jsonio.py" in files
    assert not {"build/generated.py", ".env", "logo.png"} & set(files)
    assert answer.err.startswith(f"modstar-index: would index {len(files)} files")
    assert not Path(shell.environment["XDG_CACHE_HOME"]).exists()
    assert "skipped logo.png: " in shell.index("--dry-run", "-v").out
    assert json.loads(shell.index("--dry-run", "--json").out)["files"] == files


def test_include_and_exclude_choose_the_files(shell: Shell) -> None:
    assert shell.index("--dry-run", "--include", "*.go").out == "cmd/tax.go\n"
    left = shell.index("--dry-run", "--exclude", "src/**", "--exclude", "*.md").out.splitlines()
    assert "cmd/tax.go" in left
    assert not [path for path in left if path.startswith("src/") or path.endswith(".md")]


def test_status_tells_what_there_is(shell: Shell) -> None:
    none = shell.index("--status")
    assert (none.status, none.out) == (2, "")
    assert "no index" in none.err
    assert not Path(shell.environment["XDG_CACHE_HOME"]).exists()
    shell.index()
    told = dict(line.split(maxsplit=1) for line in shell.index("--status").out.splitlines())
    assert told["root"] == str(shell.cwd)
    assert told["index"].startswith(shell.environment["XDG_CACHE_HOME"])
    assert "python 3" in told["files"]
    assert told["exits"] == "0 (100%)"
    assert told["state"] == "up to date"
    write_files(shell.cwd, {"src/new.py": "def new():\n    pass\n", "README.md": "# Other\n"})
    (shell.cwd / "src/shop/pool.py").unlink()
    assert "3 files" in shell.index("--status").out.splitlines()[-1]
    assert json.loads(shell.index("--status", "--json").out)["pending"] == 3


def test_clear_removes_this_index_and_no_other(shell: Shell, tmp_path: Path) -> None:
    other = make_shell(tmp_path, write_files(tmp_path / "other", {"a.py": "def alone():\n    pass\n"}))
    assert shell.index().status == other.index(".").status == 0
    assert shell.index("--clear").status == 0
    assert json.loads(shell.index("--status", "--json").out)["files"] == 0
    assert other.index(".", "--status").status == 0
    assert (shell.cwd / "src/shop/jsonio.py").exists()
    assert shell.index("--clear").status == 0, "nothing left to remove is no error"


def test_an_interrupt_ends_a_watch_in_peace(shell: Shell) -> None:
    with shell.start("index", "--watch") as process:
        assert process.stdout
        try:
            assert b" files; " in process.stdout.readline()
            write_files(shell.cwd, {"src/shop/coupon.py": "def redeem_coupon(code):\n    return code\n"})
            line = process.stdout.readline().decode()
            assert re.fullmatch(r"\d\d:\d\d:\d\d  1 added: src/shop/coupon\.py \([\d.]+ s\)\n", line), line
            found = shell.query("redeem coupon", "--no-refresh")
            assert found.places[0] == "src/shop/coupon.py:1"
            (shell.cwd / "src/shop/coupon.py").unlink()
            assert b"1 removed" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert process.returncode == 0
    assert b"Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_index_says_what_it_kept_and_can_go_on(shell: Shell) -> None:
    body = "\n".join(f"def step_{n}(value):\n    return value * {n}\n" for n in range(300))
    write_files(shell.cwd, {f"src/big{n}.py": body for n in range(60)})
    with shell.start("index", start_new_session=True) as process:
        time.sleep(0.8)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the helpers too
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode in (0, 130)
    if process.returncode == 130 and not out:  # else it had just told that all was done
        # Before anything is read there is nothing to keep.
        assert not err or re.fullmatch(
            rb"modstar-index: interrupted: \d+ of 67 files are indexed and kept; the same command .*\n", err
        )
    if err:
        kept = json.loads(shell.index("--status", "--json").out)
        assert kept["files"] == int(err.split()[2]) == 67 - kept["pending"]
    assert shell.index().status == 0
    assert shell.query("parse_json", "--no-refresh").places[0] == "src/shop/jsonio.py:6"


def test_larger_files_are_let_in_on_request_and_stay_so(shell: Shell) -> None:
    text = "def the_one_in_the_large_file(x):\n    return x\n\n\n" * 30_000
    (shell.cwd / "src/large.py").write_text(text)
    nothing = shell.query("the_one_in_the_large_file", "--min-score", "1")
    assert nothing.status == 1
    assert "1 too large" in nothing.err
    assert shell.index("--max-file-bytes", "2000000").status == 0
    found = shell.query("the_one_in_the_large_file", "--json")
    assert json.loads(found.out)["hits"][0]["path"] == "src/large.py"
    refused = shell.index("--max-file-bytes", "99000000000")
    assert refused.status == 2
    assert refused.err.count("\n") == 1


def test_a_dry_run_and_the_index_agree(shell: Shell) -> None:
    write_files(
        shell.cwd,
        {
            "src/made.py": "# Generated by the protocol buffer compiler.  DO NOT EDIT!\nx = 1\n",
            "src/noise.py": "x = '\0\1\2'\n",
            "src/large.py": "def the_one_in_the_large_file(x):\n    return x\n\n\n" * 25_000,
        },
    )
    for bounds in ([], ["--exclude", "*.go"], [], ["--max-file-bytes", "2000000"], []):
        foretold = json.loads(shell.index("--dry-run", "--json", *bounds).out)
        made = json.loads(shell.index("--json", *bounds).out)
        assert len(foretold["files"]) == made["files"]
        by_path = sorted(foretold["skipped"], key=str), sorted(made["skipped"], key=str)
        assert by_path[0] == by_path[1]
    assert "src/large.py" in foretold["files"] and "cmd/tax.go" not in foretold["files"]


@pytest.mark.parametrize("size", ["0", "64000001"])
def test_a_size_that_no_file_may_have_is_refused_in_a_dry_run_too(shell: Shell, size: str) -> None:
    for dry in ([], ["--dry-run"]):
        refused = shell.index("--max-file-bytes", size, *dry)
        assert (refused.status, refused.out) == (2, "")
        assert "give 1 to 64,000,000" in refused.err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_watch_sees_what_was_let_in(shell: Shell) -> None:
    """A large file, and a file of a kind that is no source by itself."""
    line = "def the_one_in_the_large_file(x):\n    return x\n\n\n"
    write_files(shell.cwd, {"src/large.py": line * 25_000, "src/rules.dat": "rule one\n"})
    let_in = ["--include", "src/large.py", "--include", "*.dat", "--max-file-bytes", "2000000"]
    with shell.start("index", "--watch", *let_in) as process:
        assert process.stdout
        try:
            assert b" files; " in process.stdout.readline()
            for path in ("src/large.py", "src/rules.dat"):
                with (shell.cwd / path).open("a") as file:
                    file.write("# changed\n")
                told = process.stdout.readline().decode()
                assert f"1 changed: {path}" in told, told
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells a file's times with its name")
def test_of_a_large_tree_only_what_changed_is_listed_and_judged_again(shell: Shell, tmp_path: Path) -> None:
    write_files(shell.cwd, {f"large/{number}/f{name}.py": "" for number in range(50) for name in range(60)})
    time.sleep(2.2)  # until the folders could not change again without a trace
    assert shell.index().status == 0
    (folder,) = (tmp_path / "cache/modstar").iterdir()
    kept = folder / "listings.bin"
    assert kept.stat().st_mode & 0o777 == 0o600
    told = kept.stat().st_mtime_ns
    write_files(
        shell.cwd,
        {"large/7/new.py": "def weigh_elephants():\n    pass\n", "large/8/f3.py": "def in_place(): ...\n"},
    )
    (shell.cwd / "large/9/f3.py").unlink()
    write_files(shell.cwd, {"large/10/.gitignore": "f3.py\n"})
    assert "; 1 added, 1 changed, 2 removed; " in shell.index().out
    assert "large/7/new.py:1" in shell.query("weigh elephants").out
    assert kept.stat().st_mtime_ns == told, "too little changed to write all of it again"
    assert shell.index("--clear").status == 0
    assert not kept.exists()
