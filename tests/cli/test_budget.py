"""Time to read the best hits with the question: asked for in a pipe, on a terminal by itself."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.conftest import Shell
from tests.cli.terminals import on_terminal, screen_after

QUESTION = "what happens when sending a picture fails?"


def rules(shell: Shell, *options: str) -> set[str]:
    """The rules that the scores of an answer came from."""
    answer = shell.query(QUESTION, "--json", "--explain", "--min-score", "0", *options)
    return {rule for hit in json.loads(answer.out)["hits"] for rule in hit["explanation"]}


def test_in_a_pipe_hits_are_read_for_who_asks(shell: Shell) -> None:
    assert "reading" in rules(shell, "--budget", "60s")
    assert "reading" not in rules(shell)
    assert "reading" not in rules(shell, "--budget", "0")


def test_reading_changes_the_order_and_loses_nothing(shell: Shell) -> None:
    first = json.loads(shell.query(QUESTION, "--json", "--min-score", "0").out)["hits"]
    better = json.loads(shell.query(QUESTION, "--json", "--min-score", "0", "--budget", "60s").out)["hits"]
    assert {(hit["path"], hit["start_line"]) for hit in better} == {
        (hit["path"], hit["start_line"]) for hit in first
    }


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_ends_with_the_better_order(shell: Shell) -> None:
    options = ("--color", "never", "--no-snippet", "--min-score", "0")
    seen = on_terminal(shell, "query", QUESTION, "--budget", "60s", *options)
    piped = shell.query(QUESTION, "--budget", "60s", *options)
    assert seen.status == piped.status == 0
    assert screen_after(seen.screen).strip() == piped.out.strip()


@pytest.mark.parametrize("wrong", ["soon", "-1", "5", "300", "1h", "99999s", ""])
def test_a_wrong_time_is_one_line(shell: Shell, wrong: str) -> None:
    answer = shell.query(QUESTION, f"--budget={wrong}")
    assert answer.status == 2 and answer.err.count("\n") == 1 and "--budget" in answer.err
