"""Whatever is wrong: one clear line, the right status, no traceback, and nothing lost."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Shell, make_shell, write_files

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and limits")
Find = Callable[[Shell], Path]


def one_line(answer: Answer, status: int, *words: str) -> None:
    """The answer is `status` and one line on stderr that holds every one of `words`."""
    assert answer.status == status, answer
    assert re.fullmatch(r"modstar-(query|index): [^\n]+\n", answer.err), answer.err
    for word in words:
        assert word in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["nothing to look for", "--help"]),
        ([""], ["query"]),
        (["  \t"], ["query"]),
        (["?!"], ["query"]),
        (["parse json", "-k", "0"], ["-k", "at least 1", "0"]),
        (["parse json", "-k", "-3"], ["-k"]),
        (["parse json", "-k", "many"], ["-k", "many"]),
        (["parse json", "--min-score", "2"], ["--min-score", "between 0 and 1"]),
        (["parse json", "--min-score", "nan"], ["--min-score"]),
        (["parse json", "--lines", "0"], ["--lines"]),
        (["parse json", "--exit", "99"], ["exit 99"]),
        (["parse json", "--exit", "-1"], ["--exit"]),
        (["parse json", "--lang", "klingon"], ["klingon", "language"]),
        (["parse json", "--lang", ""], ["--lang"]),
        (["parse json", "--glob", ""], ["--glob"]),
        (["parse json", "--color", "purple"], ["--color", "purple"]),
        (["parse json", "--json", "--vimgrep"], ["--vimgrep", "--json"]),
        (["parse json", "--frobnicate"], ["--frobnicate"]),
        (["parse", "json", "now"], ["quotes", '"parse json now"']),
        (["parse", "json"], ["json", "no such folder", '"parse json"']),
        (["parse json", "no/where"], ["no/where", "no such folder"]),
        (["parse json", "logo.png"], ["logo.png", "no source file"]),
        (["parse json", "--index-dir", ""], ["--index-dir"]),
        (["parse json", "--bundle", "no/where"], ["no/where", "bundle"]),
    ],
)
def test_a_mistake_on_the_command_line(indexed: Shell, arguments: list[str], words: list[str]) -> None:
    answer = indexed.query(*arguments)
    one_line(answer, 2, *words)
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/where"], ["no/where", "no such folder"]),
        (["README.md"], ["README.md", "not a folder"]),
        (["--dry-run", "no/where"], ["no/where", "no such folder"]),
        (["--dry-run", "README.md"], ["README.md", "not a folder"]),
        (["src", "web"], ["web"]),
        (["--watch", "--clear"], ["--watch", "--clear"]),
        (["-q", "-v"], ["-q"]),
        (["--exit", "99"], ["exit 99"]),
        (["--include", ""], ["--include"]),
        (["--bundle", "src"], ["src", "bundle"]),
    ],
)
def test_a_mistake_on_the_command_line_of_index(
    indexed: Shell, arguments: list[str], words: list[str]
) -> None:
    one_line(indexed.index(*arguments), 2, *words)


def test_filters_that_match_nothing(indexed: Shell) -> None:
    one_line(indexed.query("parse json", "--glob", "*.nope"), 2, "*.nope")
    one_line(indexed.query("parse json", "--lang", "haskell"), 2, "haskell", "python")


def test_an_empty_workspace(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shell = make_shell(tmp_path, tmp_path)
    one_line(shell.query("parse json", "empty"), 1, "no file")
    indexed = shell.index("empty")
    assert (indexed.status, indexed.err) == (0, "")
    assert indexed.out.startswith("0 files")


def test_a_question_of_ten_thousand_words(indexed: Shell) -> None:
    question = "parse the json document " * 2500
    answer = indexed.query(question)
    assert answer.status in (0, 1)
    assert "Traceback" not in answer.err
    assert len(answer.err) < 500


def test_a_question_of_strange_characters(indexed: Shell) -> None:
    for question in ("parse\x1b[31m json", "parse json 漢字 \U0001f600", "parse' OR 1=1; --", "%s {0} parse"):
        assert indexed.query(question, "--min-score", "0").status == 0
    if os.name == "posix":
        assert indexed.query(os.fsdecode(b"parse \xff\xfe json"), "--min-score", "0").status == 0


def test_a_bundle_with_a_wrong_digest(indexed: Shell, bundle_copy: Path) -> None:
    largest = max(bundle_copy.glob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1
    largest.write_bytes(content)
    one_line(indexed.query("parse json", "--bundle", str(bundle_copy)), 2, "digest")


def test_a_bundle_cut_short(indexed: Shell, bundle_copy: Path) -> None:
    (bundle_copy / "modstar.json").write_text('{"format": 1, "na')
    one_line(indexed.query("parse json", "--bundle", str(bundle_copy)), 2, "modstar.json")


def test_a_truncated_database_is_made_anew(shell: Shell, database: Find) -> None:
    shell.index()
    file = database(shell)
    os.truncate(file, file.stat().st_size // 2)
    answer = shell.query("parse_json")
    one_line(answer, 0)
    assert answer.places[0] == "src/shop/jsonio.py:6"
    assert shell.query("parse_json").err == "", "told once"


def test_a_database_with_damaged_pages_is_made_anew(shell: Shell, database: Find) -> None:
    shell.index()
    file = database(shell)
    content = file.read_bytes()
    file.write_bytes(content[:16384] + os.urandom(len(content) - 16384))
    answer = shell.query("parse_json")
    one_line(answer, 0, "damaged")
    assert answer.places[0] == "src/shop/jsonio.py:6"
    file.write_bytes(content[:16384] + os.urandom(len(content) - 16384))
    assert shell.index().status == 0
    assert shell.query("parse_json", "--no-refresh").places[0] == "src/shop/jsonio.py:6"


def test_a_database_of_garbage_is_made_anew(shell: Shell, database: Find) -> None:
    shell.index()
    database(shell).write_bytes(os.urandom(10_000))
    answer = shell.query("parse_json")
    one_line(answer, 0)
    assert answer.places[0] == "src/shop/jsonio.py:6"


def test_an_index_from_a_newer_version_is_left_alone(shell: Shell, database: Find) -> None:
    shell.index()
    file = database(shell)
    newer = file.rename(file.with_name("index-999.sqlite"))
    content = newer.read_bytes()
    answer = shell.query("parse_json")
    one_line(answer, 0, "newer")
    assert answer.places[0] == "src/shop/jsonio.py:6"
    assert newer.read_bytes() == content, "the newer program finds its index again"


@pytest.mark.parametrize("module", ["query", "index"])
def test_a_cache_that_cannot_be_written(shell: Shell, module: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder is expected")
    question = ["parse_json"] if module == "query" else []
    one_line(shell.run(module, *question), 2, "cache")


@posix
def test_a_full_disk_loses_nothing(shell: Shell) -> None:
    shell.index()
    many = {f"src/more{n}.py": f"def more_{n}(value_{n}):\n    return value_{n} + {n}\n" for n in range(400)}
    write_files(shell.cwd, many)

    def small() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    full = shell.query("parse_json", preexec_fn=small)
    one_line(full, 0, "as it is")
    assert full.places[0] == "src/shop/jsonio.py:6"
    assert shell.query("parse_json", "--no-refresh").places[0] == "src/shop/jsonio.py:6"
    assert shell.query("more_7").places[0].startswith("src/more7.py")


def without_privileges(shell: Shell) -> list[str]:
    """What to put before a command so that permissions hold for it, even for root."""
    if os.geteuid() != 0:
        return []
    powers = "-dac_override,-dac_read_search"
    prefix = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"]
    try:
        works = shell.query("--version", prefix=prefix).status == 0
    except OSError:
        works = False
    if not works:
        pytest.skip("root cannot give up its privileges here")
    return prefix


@posix
def test_an_unreadable_folder(shell: Shell) -> None:
    prefix = without_privileges(shell)
    (shell.cwd / "src").chmod(0o000)
    try:
        answer = shell.query("value added tax", prefix=prefix)
        assert answer.status == 0, "the rest is searched"
        assert answer.places[0] == "cmd/tax.go:4"
        one_line(shell.query("value added tax", "src", prefix=prefix), 2, "src", "cannot be read")
    finally:
        (shell.cwd / "src").chmod(0o755)


@posix
def test_a_read_only_cache_is_still_searched(shell: Shell, tmp_path: Path) -> None:
    prefix = without_privileges(shell)
    assert shell.index().status == 0
    inside = sorted((tmp_path / "cache").rglob("*"))
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        answer = shell.query("parse_json", prefix=prefix)
        one_line(answer, 0, "as it is")
        assert answer.places[0] == "src/shop/jsonio.py:6"
        one_line(shell.index(prefix=prefix), 2, "cannot write")
    finally:
        for path in inside:
            path.chmod(0o755)
