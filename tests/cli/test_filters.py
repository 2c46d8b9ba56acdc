"""What bounds a search on the command line, as people know it from ripgrep and its like."""

from __future__ import annotations

import os
import time

import pytest

from tests.cli.conftest import Answer, Shell, write_files

EVERYTHING = ("--min-score", "0", "-k", "50")


def files(answer: Answer) -> set[str]:
    return {place.split(":")[0] for place in answer.places}


@pytest.fixture
def wide(shell: Shell) -> Shell:
    """The shop with tests and settings."""
    write_files(
        shell.cwd,
        {
            "tests/test_upload.py": "def test_upload_is_sent_again(session):\n    assert session.retry()\n",
            "web/tests/cart.test.ts": "test('upload a cart', () => { expect(upload()).toBe(1) })\n",
            "upload.toml": "[upload]\nattempts = 5\n",
        },
    )
    assert shell.index().status == 0
    return shell


@pytest.mark.parametrize(
    ("bounds", "out"),
    [
        (("--glob", "!tests/**"), "tests/test_upload.py"),
        (("-g", "!*.py"), ".py"),
        (("-g", "!tests"), "test"),
        (("--exclude", "*.test.ts"), ".test.ts"),
        (("--exclude", "src/"), "src/"),
        (("-T", "py", "-T", "ts"), ".py"),
        (("--in", "code"), "test"),
    ],
)
def test_what_is_excluded_is_not_found(wide: Shell, bounds: tuple[str, ...], out: str) -> None:
    answer = wide.query("upload", *EVERYTHING, *bounds)
    assert answer.status == 0
    assert not any(out in file for file in files(answer))
    assert any(out in file for file in files(wide.query("upload", *EVERYTHING)))


def test_a_glob_with_and_one_without_a_mark_hold_together(wide: Shell) -> None:
    answer = wide.query("upload session", *EVERYTHING, "-g", "*.py", "-g", "!tests/**")
    assert files(answer) and all(file.startswith("src/") for file in files(answer))


@pytest.mark.parametrize(
    ("what", "ending"), [("tests", ("_upload.py", ".test.ts")), ("docs", (".md",)), ("config", (".toml",))]
)
def test_in_leaves_one_kind_of_file(wide: Shell, what: str, ending: tuple[str, ...]) -> None:
    found = files(wide.query("upload tax", *EVERYTHING, "--in", what))
    assert found and all(file.endswith(ending) for file in found)


def test_types_are_named_as_ripgrep_names_them(wide: Shell) -> None:
    assert files(wide.query("upload", *EVERYTHING, "-t", "py")) == files(
        wide.query("upload", *EVERYTHING, "--lang", "python")
    )


def test_lines_must_match_a_regex_too(wide: Shell) -> None:
    answer = wide.query("send pictures", *EVERYTHING, "--regex", r"status\s*!=\s*\d+")
    assert files(answer) == {"src/shop/upload.py"}
    both = wide.query("send pictures", *EVERYTHING, "--regex", "status", "--regex", "^package ")
    assert (both.status, both.out, both.err.count("\n")) == (1, "", 1)
    assert "no place holds" in both.err


def test_of_neighbours_in_a_hit_the_one_that_matches_a_regex_is_shown(wide: Shell) -> None:
    code = 'def {0}_door(host):\n    """Open a door of the host."""\n    return {0}(host)\n\n\n'
    (wide.cwd / "doors.py").write_text(code.format("plain") + code.format("legacy"))
    assert wide.query("open a door of the host").places[0] == "doors.py:1"
    assert wide.query("open a door of the host", "--regex", r"legacy_\w+").places == ["doors.py:6"]


def test_since_leaves_what_was_written_since(wide: Shell) -> None:
    old = time.time() - 30 * 86_400
    for path in wide.cwd.rglob("*.*"):
        if path.is_file() and path.name != "pool.py":
            os.utime(path, (old, old))
    assert files(wide.query("connection", *EVERYTHING, "--since", "2w")) == {"src/shop/pool.py"}
    assert len(files(wide.query("connection", *EVERYTHING, "--since", "3mo"))) > 1
    os.utime(wide.cwd / "src/shop/pool.py", (old, old))
    none = wide.query("connection", *EVERYTHING, "--since", "2w")
    assert (none.status, none.out, none.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    "mistake",
    [
        ("--regex", "("),
        ("--since", "soon"),
        ("--since", "2m"),
        ("--in", "space"),
        ("-t", "klingon"),
        ("-g", ""),
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_2(indexed: Shell, mistake: tuple[str, str]) -> None:
    answer = indexed.query("parse json", *mistake)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)


def test_a_question_may_hold_its_own_filters(indexed: Shell) -> None:
    assert files(indexed.query("json lang:ts", *EVERYTHING)) == {"web/client.ts", "web/Basket.tsx"}
    assert files(indexed.query('json "comments allowed" -path:web', *EVERYTHING)) == {"src/shop/jsonio.py"}


def test_a_quotation_that_stands_nowhere_is_said_and_searched_as_words(indexed: Shell) -> None:
    answer = indexed.query('cannot "parse the JSON document"')
    assert answer.status == 0 and answer.places
    assert answer.err.count("\n") == 1
    assert 'no place holds "parse the JSON document"' in answer.err
