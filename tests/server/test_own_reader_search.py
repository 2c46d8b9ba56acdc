"""The language server with a reader of the user's own: from its environment, never from settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from lsp_process import Client

from tests.reader_endpoint import Endpoint, completion, playing

CANCELLED = -32800
QUESTION = "where do we try again when sending a file fails"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with playing() as it:
        yield it


@pytest.fixture
def reading(start: Callable[..., Client], project: Path, endpoint: Endpoint) -> Client:
    """A server that has indexed the project, whose environment names the reader."""
    client = start(environment={"MODSTAR_READER": endpoint.url})
    client.initialize(project)
    client.ready()
    return client


def test_the_order_is_the_readers_and_the_message_says_so(reading: Client, endpoint: Endpoint) -> None:
    before = reading.search(QUESTION, minScore=0)
    after = reading.search(QUESTION, minScore=0, budget=60_000)
    assert len(endpoint.requests) == 1
    assert [hit["path"] for hit in after["hits"][1:]] == [hit["path"] for hit in before["hits"][:-1]]
    assert [hit["score"] for hit in after["hits"]] == [hit["score"] for hit in before["hits"]]
    assert "the order is that of 127.0.0.1:" in after["message"] and not before.get("message")


def test_no_order_is_one_line_and_nothing_is_lost(reading: Client, endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: completion("[]")
    after = reading.search(QUESTION, minScore=0, budget=60_000)
    assert "no list of numbers" in after["message"] and "\n" not in after["message"]
    before = reading.search(QUESTION, minScore=0)
    assert {hit["path"] for hit in after["hits"]} == {hit["path"] for hit in before["hits"]}


def test_the_first_list_is_there_before_the_reader_answers_and_cancelling_hangs_up(
    reading: Client, endpoint: Endpoint
) -> None:
    endpoint.hold = Event()
    asked = reading.ask("modstar/search", {"query": QUESTION, "minScore": 0, "partialResultToken": "t"})
    first = reading.wait(lambda message: message.get("params", {}).get("token") == "t")
    assert first["params"]["value"]["hits"]
    assert endpoint.was_asked.wait(30)
    reading.notify("$/cancelRequest", {"id": asked})
    assert reading.answer(asked)["error"]["code"] == CANCELLED
    assert endpoint.was_left.wait(30)


@pytest.mark.parametrize("how", ["initializationOptions", "configuration"])
def test_settings_name_no_reader(
    start: Callable[..., Client], project: Path, endpoint: Endpoint, how: str
) -> None:
    settings = {"reader": {"url": endpoint.url}, "MODSTAR_READER": endpoint.url}
    client = start(configuration=settings if how == "configuration" else None)
    options = {"settings": settings, **settings}
    client.initialize(project, options=options if how == "initializationOptions" else None)
    client.ready()
    assert client.search(QUESTION, minScore=0, budget=60_000)["hits"]
    assert not endpoint.requests
