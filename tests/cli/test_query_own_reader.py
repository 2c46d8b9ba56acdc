"""`modstar-query` with a reader of the user's own, named by the environment alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Answer, Shell
from tests.cli.terminals import on_terminal, screen_after
from tests.reader_endpoint import Endpoint, completion, playing

QUESTION = "what happens when sending a picture fails?"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with playing() as it:
        yield it


def query(shell: Shell, url: str, *options: str) -> Answer:
    environment = {"MODSTAR_READER": url, "MODSTAR_READER_MODEL": "coder:7b"}
    return shell.query(QUESTION, "--min-score", "0", *options, env=environment)


def test_the_order_is_the_readers_and_explain_says_so(shell: Shell, endpoint: Endpoint) -> None:
    before = json.loads(query(shell, endpoint.url, "--json", "-k", "30").out)["hits"]
    answer = query(shell, endpoint.url, "--json", "-k", "30", "--explain", "--budget", "60s")
    hits = json.loads(answer.out)["hits"]
    assert answer.status == 0 and len(endpoint.requests) == 1  # none without a budget
    assert [hit["path"] for hit in hits[1:3]] == [hit["path"] for hit in before[:2]]
    assert [hit["score"] for hit in hits] == [hit["score"] for hit in before]
    assert hits[0]["explanation"]["own_reader"] > 0
    assert answer.err == f"modstar-query: the order is that of coder:7b at {endpoint.url[7:-3]}\n"


def test_without_explain_an_order_is_no_news(shell: Shell, endpoint: Endpoint) -> None:
    assert query(shell, endpoint.url, "--budget", "60s").err == ""


def test_no_order_is_one_line_and_nothing_is_lost(shell: Shell, endpoint: Endpoint) -> None:
    plain = shell.query(QUESTION, "--min-score", "0", "--budget", "60s")
    endpoint.answer = lambda request: completion("I cannot tell.")
    answer = query(shell, endpoint.url, "--budget", "60s")
    assert (answer.status, answer.out) == (0, plain.out)
    assert answer.err.count("\n") == 1 and "no list of numbers" in answer.err


def test_another_machine_is_refused_in_one_line(shell: Shell) -> None:
    answer = query(shell, "http://example.org/v1", "--budget", "60s")
    assert answer.status == 0 and answer.out
    assert answer.err.count("\n") == 1 and "only 127.0.0.1, ::1 and localhost are asked" in answer.err


@pytest.mark.parametrize("name", [".env", ".modstar.toml", "modstar.json", ".vscode/settings.json"])
def test_a_file_of_the_workspace_names_no_reader(shell: Shell, endpoint: Endpoint, name: str) -> None:
    file = shell.cwd / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'MODSTAR_READER={endpoint.url}\n{{"modstar.reader.url": "{endpoint.url}"}}\n')
    shell.query(QUESTION, "--budget", "60s")
    assert not endpoint.requests


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_ends_with_the_readers_order(
    shell: Shell, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--color", "never", "--no-snippet", "--min-score", "0")
    piped = query(shell, endpoint.url, "--budget", "60s", *options)
    named = Shell(shell.cwd, {**shell.environment, "MODSTAR_READER": endpoint.url})
    seen = on_terminal(named, "query", QUESTION, *options)
    assert seen.status == piped.status == 0 and len(endpoint.requests) == 2
    assert screen_after(seen.screen).strip() == piped.out.strip()
