"""modstar-query finds things, in the place and to the extent that it was asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Shell, make_shell, write_files


def test_a_sentence_finds_its_function(indexed: Shell) -> None:
    answer = indexed.query("where do we retry failed uploads")
    assert answer.status == 0
    assert re.fullmatch(
        r"src/shop/upload\.py:22  Uploader\.retry_failed_uploads  \(method\)  [01]\.\d\d", answer.headers[0]
    )
    assert answer.err == ""


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("parse_json", "src/shop/jsonio.py:6"),
        ("parseJson", "web/client.ts:4"),
        ("ConnectionPool.close_connections", "src/shop/pool.py:5"),
        ("parse_json comments", "src/shop/jsonio.py:6"),
    ],
)
def test_a_name_finds_its_definition(indexed: Shell, question: str, place: str) -> None:
    assert indexed.query(question).places[0] == place


def test_first_use_makes_the_index(shell: Shell) -> None:
    answer = shell.query("value added tax")
    assert answer.status == 0
    assert answer.places[0] == "cmd/tax.go:4"
    assert answer.err == "", "progress is for terminals"


def test_what_was_saved_is_found_and_what_was_deleted_is_not(shell: Shell) -> None:
    shell.index()
    write_files(shell.cwd, {"src/shop/coupon.py": "def redeem_coupon(code):\n    return code.strip()\n"})
    (shell.cwd / "src/shop/pool.py").unlink()
    assert shell.query("redeem coupon").places[0] == "src/shop/coupon.py:1"
    assert "pool.py" not in shell.query("close idle database connection", "--min-score", "0").out


def test_no_refresh_searches_the_index_as_it_is(shell: Shell) -> None:
    shell.index()
    write_files(shell.cwd, {"src/shop/coupon.py": "def redeem_coupon(code):\n    return code.strip()\n"})
    assert "coupon" not in shell.query("redeem coupon", "--no-refresh", "--min-score", "0").out
    assert shell.query("redeem coupon").places[0] == "src/shop/coupon.py:1"


def test_an_index_that_was_begun_and_holds_nothing_is_no_folder_without_sources(shell: Shell) -> None:
    begin = "from modstar_lsp.workspace import Workspace; Workspace.open('.').close()"
    assert shell.query("parse json", "--no-refresh", program=begin).status == 1
    answer = shell.query("parse json", "--no-refresh")
    assert answer.status == 1 and "not indexed yet" in answer.err


def test_no_refresh_without_an_index_says_so_and_makes_none(shell: Shell) -> None:
    answer = shell.query("parse json", "--no-refresh")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "no index" in answer.err
    assert not Path(shell.environment["XDG_CACHE_HOME"]).exists()


def test_options_that_say_what_holds_anyway_change_nothing(indexed: Shell) -> None:
    said = ("-k", "10", "--lines", "4", "--snippet", "--color", "auto")
    assert indexed.query("parse json", *said).out == indexed.query("parse json").out != ""


def test_k_limits_the_hits(indexed: Shell) -> None:
    assert len(indexed.query("json document", "--min-score", "0", "-k", "2").headers) == 2


@pytest.mark.parametrize(
    ("language", "ending"),
    [("python", ".py"), ("py", ".py"), ("ts", ".ts"), ("golang", ".go"), (".md", ".md"), ("TSX", ".tsx")],
)
def test_lang_takes_names_nicknames_and_endings(indexed: Shell, language: str, ending: str) -> None:
    places = indexed.query("json items tax", "--lang", language, "--min-score", "0").places
    assert places
    assert all(place.split(":")[0].endswith(ending) or ending == ".ts" for place in places)
    assert any(place.split(":")[0].endswith(ending) for place in places)


def test_lang_and_glob_can_be_repeated(indexed: Shell) -> None:
    answer = indexed.query("tax prices json", "--lang", "go", "--lang", "md", "--min-score", "0")
    assert {place.split(":")[0] for place in answer.places} == {"cmd/tax.go", "README.md"}
    answer = indexed.query("json prices", "--glob", "web/*.ts", "--glob", "*.go", "--min-score", "0")
    assert {place.split(":")[0] for place in answer.places} == {"web/client.ts", "cmd/tax.go"}


def test_options_may_follow_or_precede_the_question(indexed: Shell) -> None:
    first = indexed.query("-k", "1", "parse json", "--min-score", "0", ".")
    last = indexed.query("parse json", ".", "--min-score", "0", "-k", "1")
    assert first.out == last.out != ""


def test_a_question_may_begin_with_a_dash(indexed: Shell) -> None:
    assert indexed.query("--", "-parse_json").places[0] == "src/shop/jsonio.py:6"


def test_nothing_good_enough_is_told_with_the_closest(indexed: Shell) -> None:
    answer = indexed.query("parse json", "--min-score", "1")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert "no good match" in answer.err
    assert "closest is" in answer.err


def test_the_project_around_the_current_folder_is_searched(indexed: Shell) -> None:
    answer = indexed.query("parse_json", cwd=indexed.cwd / "src")
    assert answer.places[0] == "shop/jsonio.py:6", "paths are those of the current folder"
    answer = indexed.query(
        "parse_json",
        cwd=indexed.cwd / "web",
    )
    assert answer.places[0] == "../src/shop/jsonio.py:6"


def test_a_named_folder_is_searched_and_nothing_around_it(shell: Shell, tmp_path: Path) -> None:
    answer = shell.query("parse json", "web", "--min-score", "0")
    assert answer.places
    assert all(place.startswith("web/") for place in answer.places)
    elsewhere = shell.query("parseJson", str(shell.cwd / "web"), cwd=tmp_path / "home")
    assert elsewhere.places[0] == f"{shell.cwd / 'web' / 'client.ts'}:4"


def test_an_index_may_live_elsewhere(shell: Shell, tmp_path: Path) -> None:
    assert shell.query("parse_json", "--index-dir", str(tmp_path / "other")).status == 0
    assert any((tmp_path / "other").iterdir())
    assert not Path(shell.environment["XDG_CACHE_HOME"]).exists()


def test_the_home_folder_is_not_indexed_unasked(tmp_path: Path) -> None:
    shell = make_shell(tmp_path, tmp_path / "home")
    write_files(shell.cwd, {"notes.md": "# Tax\n\nvalue added tax\n"})
    refused = shell.query("tax")
    assert refused.status == 2
    assert "name" in refused.err
    assert shell.query("tax", ".", "--min-score", "0").status == 0


def test_a_typing_error_in_a_name_is_answered_with_the_name(indexed: Shell) -> None:
    answer = indexed.query("parse_jsno", "--min-score", "1")
    assert answer.status == 1
    assert "; did you mean parse_json? (left out " in answer.err


def test_explain_says_where_the_score_came_from(indexed: Shell) -> None:
    answer = indexed.query("parse_json", "--explain", "-k", "1", "--no-snippet")
    header, explanation = answer.out.splitlines()
    assert header.startswith("src/shop/jsonio.py:6")
    assert re.fullmatch(r"  (\w+ [+-]\d+\.\d\d  )+= -?\d+\.\d\d", explanation)


def test_what_explain_adds_up_is_the_sum_that_it_says(indexed: Shell) -> None:
    answer = indexed.query("json", "--explain", "--no-snippet", "--min-score", "0", "-k", "20")
    sums = []
    for line in answer.out.splitlines()[1::3]:
        *addends, total = re.findall(r"-?\d+\.\d\d", line)
        assert round(sum(map(float, addends)), 2) == float(total)
        sums.append(float(total))
    assert len(sums) > 2
    assert sums == sorted(sums, reverse=True)


def test_version_and_help(indexed: Shell) -> None:
    assert re.fullmatch(r"modstar-query \d+\.\d+\.\d+\S*\n", indexed.query("--version").out)
    text = indexed.query("--help")
    assert text.status == 0
    assert all(option in text.out for option in ("--similar", "--vimgrep", "--min-score", "exit status"))


def test_a_question_in_an_unknown_language_without_an_answer_is_told_that_english_is_best(
    indexed: Shell,
) -> None:
    for question in ("dove viene controllata la parola e il nome", "где восстанавливается пароль"):
        answer = indexed.query(question)
        assert (answer.status, answer.err.count("\n")) == (1, 1)
        assert "best asked in English" in answer.err
    assert "English" not in indexed.query("turn the lamp over").err
