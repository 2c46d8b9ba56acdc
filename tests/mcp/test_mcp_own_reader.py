"""An agent's places in the order of the user's own reader, or a line that says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mcp_process import Client

from tests.reader_endpoint import completion, playing

QUESTION = "send a file again after a failure"


def test_places_are_in_the_readers_order_or_a_line_says_why_not(
    start: Callable[..., Client], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing() as endpoint:
        monkeypatch.setenv("MODSTAR_READER", endpoint.url)
        client = start(shop)
        by_reader = client.call("search", query=QUESTION)
        assert endpoint.requests[0].pieces > 2 and "(reader" not in by_reader
        endpoint.answer = lambda request: completion("I cannot tell.")
        without = client.call("search", query=QUESTION)
    assert "src/upload.py" in without.splitlines()[1]
    assert "src/upload.py" not in by_reader.splitlines()[1]
    assert without.splitlines()[-1].startswith("(reader 127.0.0.1:") and "no list of numbers" in without
