"""Find similar: by lines of a file, by a line in a definition, by code on standard input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import FILES, Shell


def test_selected_lines_find_the_other_implementation_and_not_themselves(indexed: Shell) -> None:
    answer = indexed.query("--similar", "src/shop/jsonio.py:6-9", "--min-score", "0")
    assert answer.status == 0
    assert "src/shop/jsonio.py:6" not in answer.places
    assert answer.places[0] == "web/client.ts:4"


def test_one_line_stands_for_the_definition_around_it(indexed: Shell) -> None:
    answer = indexed.query("--similar", "web/client.ts:5", "--min-score", "0")
    assert "web/client.ts:4" not in answer.places
    assert answer.places[0] == "src/shop/jsonio.py:6"


def test_code_on_standard_input(indexed: Shell) -> None:
    code = b"function parse(text) { return JSON.parse(stripComments(text.split(lines))) }"
    answer = indexed.query("--similar", "-", stdin=code)
    assert answer.status == 0
    assert answer.places[0] in ("web/client.ts:4", "src/shop/jsonio.py:6")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_code_on_standard_input_begins_with_a_byte_order_mark(indexed: Shell, encoding: str) -> None:
    """As PowerShell writes it."""
    code = "ValueAddedTax(cents int, percent int) int { return cents * percent / 100 }"
    answer = indexed.query("--similar", "-", stdin=code.encode(encoding))
    assert answer.places[0] == "cmd/tax.go:4"


def test_the_file_is_found_from_here_and_from_the_root(indexed: Shell) -> None:
    here = indexed.query("--similar", "jsonio.py:6-9", "--min-score", "0", cwd=indexed.cwd / "src/shop")
    root = indexed.query("--similar", "src/shop/jsonio.py:6-9", "--min-score", "0", cwd=indexed.cwd / "web")
    assert here.places[0] == "../../web/client.ts:4"
    assert root.places[0] == "client.ts:4"


def test_a_file_outside_of_the_workspace_will_do(indexed: Shell, tmp_path: Path) -> None:
    other = tmp_path / "old.py"
    other.write_text(FILES["src/shop/jsonio.py"])
    answer = indexed.query("--similar", f"{other}:6-9", str(indexed.cwd), "--min-score", "0")
    assert answer.places[0] == "src/shop/jsonio.py:6"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["src/shop/jsonio.py"], None),
        (["src/shop/jsonio.py:9-6"], None),
        (["src/shop/jsonio.py:0"], None),
        (["src/shop/jsonio.py:900"], None),
        (["src/shop/none.py:1"], None),
        (["src/shop:1"], None),
        (["logo.png:1"], None),
        (["src/shop/jsonio.py:6", "parse json", "."], None),
        (["-"], b""),
        (["-"], b"((( )))"),
    ],
)
def test_mistakes_are_told_in_one_line(indexed: Shell, arguments: list[str], code: bytes | None) -> None:
    answer = indexed.query("--similar", *arguments, stdin=code)
    assert (answer.status, answer.out) == (2, "")
    assert re.fullmatch(r"modstar-query: .+\n", answer.err)
