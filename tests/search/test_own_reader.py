"""A reader of the user's own: a model behind an endpoint on this machine, which orders the best."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Event

import pytest

from modstar_lsp.encoder.readings import KeptReadings
from modstar_lsp.errors import ReaderError
from modstar_lsp.search import Options, Results
from modstar_lsp.search.listwise import order_in
from modstar_lsp.search.own_reader import own_reader
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question
from tests.reader_endpoint import Endpoint, completion, playing

QUESTION = "what happens when the network goes away in the middle of sending a file?"
# Seconds that are never used up.
PLENTY = 600.0


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint that is the user's reader, and puts the last first unless a test says otherwise."""
    with playing() as it:
        monkeypatch.setenv("MODSTAR_READER", it.url)
        yield it


def asked(shop: Workspace, text: str = QUESTION, budget: float = PLENTY, **more: object) -> Results:
    return shop.search(text, Options(budget=budget, min_score=0.0, **more))  # type: ignore[arg-type]


def by_reader(shop: Workspace, text: str = QUESTION, **more: object) -> Results:
    return asked(shop, text, own_reader=True, **more)  # type: ignore[arg-type]


def places(results: Results) -> list[tuple[str, int]]:
    return [(hit.path, hit.start_line) for hit in results.hits]


def failure(results: Results) -> str:
    """The one line that says why the reader gave no order."""
    assert results.stage is not None and results.stage.order is None
    assert results.stage.note and "\n" not in results.stage.note
    return results.stage.note


# -- an order comes back


def test_the_order_is_the_readers(shop: Workspace, endpoint: Endpoint) -> None:
    first = places(asked(shop, budget=0))
    results = by_reader(shop)
    count = results.stage.read if results.stage else 0
    assert count == len(first) > 2
    assert places(results) == [first[-1], *first[:-1]]


def test_the_reader_sees_the_question_and_every_candidate(shop: Workspace, endpoint: Endpoint) -> None:
    by_reader(shop)
    (request,) = endpoint.requests
    assert request.path == "/v1/chat/completions" and "model" not in request.body
    said = request.body["messages"][-1]["content"]
    assert QUESTION in said
    assert "Piece 1: " in said and "app/transfer/uploads.py" in said and "def " in said


def test_the_model_that_was_named_is_asked_for(
    shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODSTAR_READER_MODEL", "coder:7b")
    results = by_reader(shop)
    assert endpoint.requests[0].body["model"] == "coder:7b"
    assert results.stage is not None and "coder:7b at 127.0.0.1" in results.stage.note


def test_probabilities_stay_with_the_places(shop: Workspace, endpoint: Endpoint) -> None:
    before, after = asked(shop, budget=0), by_reader(shop)
    assert [hit.score for hit in after.hits] == [hit.score for hit in before.hits]


def test_the_explanation_says_what_the_reader_moved_and_adds_up(shop: Workspace, endpoint: Endpoint) -> None:
    before, after = asked(shop, budget=0), by_reader(shop)
    assert after.hits[0].explanation["own_reader"] > 0 > after.hits[1].explanation["own_reader"]
    totals = [[sum(hit.explanation.values()) for hit in results.hits] for results in (before, after)]
    assert totals[1] == pytest.approx(totals[0], abs=1e-4)
    assert not any("reading" in hit.explanation for hit in after.hits)


def test_all_pieces_together_are_bounded(shop: Workspace, endpoint: Endpoint) -> None:
    for number in range(12):
        lines = "".join(f"    picture.send(part_{line})\n" for line in range(120))
        file = shop.root / f"app/sending{number}.py"
        file.write_text(f"def send_file_{number}(network):\n{lines}", "utf-8")
    shop.refresh()
    by_reader(shop, "sending a file over the network when it goes away " * 2_000)
    said = "".join(message["content"] for message in endpoint.requests[0].body["messages"])
    assert 10_000 < len(said) < 22_000


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ("[3, 1, 2]", [3, 1, 2]),
        ("```json\n[3, 1, 2]\n```", [3, 1, 2]),
        ("Piece [3] is best, so the order is [3, 1, 2]. It sends files.", [3, 1, 2]),
        ("<think>First I thought [1, 2, 3, 4].</think>\n[4, 2]", [4, 2]),
        ('["2", "1"]', [2, 1]),
        ("[2, 2, 1, 2]", [2, 1]),
        ("[0, 9, 2, 99999999999999999999, 1]", [2, 1]),
        ("[2]", [2]),
        ("[2,\n 3,\n 1,]", [2, 3, 1]),
        ("either [1, 2] or rather [2, 1]", [2, 1]),
    ],
)
def test_an_order_is_found_in_what_stands_around_it(answer: str, order: list[int]) -> None:
    assert order_in(answer, 4) == order


@pytest.mark.parametrize(
    "answer", ["", "[]", "I cannot tell.", "[9, 12]", "3, 1, 2", "[" * 100_000, "[" + "1, " * 100_000]
)
def test_an_answer_without_an_order_is_told(answer: str) -> None:
    with pytest.raises(ReaderError, match="no list of numbers"):
        order_in(answer, 4)


def test_what_the_reader_leaves_out_follows_as_it_was(shop: Workspace, endpoint: Endpoint) -> None:
    first = places(asked(shop, budget=0))
    endpoint.answer = lambda request: completion("[3, 3, 77]")
    assert places(by_reader(shop)) == [first[2], *first[:2], *first[3:]]


# -- no order comes back: nothing is lost


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (completion("I cannot tell."), "no list of numbers"),
        ((200, b"<html>"), "no chat completion"),
        ((200, b"[" * 100_000), "no chat completion"),
        ((200, b'{"choices": []}'), "no chat completion"),
        (completion(None), "no chat completion"),
        ((404, b'{"error": {"message": "model \\"x\\"\\nnot found"}}'), 'answers 404 model "x" not found'),
        ((401, b""), "answers 401"),
        ((302, b""), "answers 302"),
        ((500, b"\xff\xfe"), "answers 500"),
        ((200, b" " * 1_000_001), "1,000,000 bytes"),
    ],
)
def test_a_broken_answer_is_one_line_and_the_own_order_stands(
    shop: Workspace, endpoint: Endpoint, answer: tuple[int, bytes], said: str
) -> None:
    endpoint.answer = lambda request: answer
    results = by_reader(shop)
    assert said in failure(results)
    assert places(results) == places(asked(shop))
    assert results.stage is not None and results.stage.read > 1  # the built-in stage read them


def test_an_endpoint_that_hangs_up_is_one_line(shop: Workspace, endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: None
    assert "no whole HTTP answer" in failure(by_reader(shop))


def test_where_nothing_listens_it_is_one_line(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MODSTAR_READER", f"http://127.0.0.1:{free.getsockname()[1]}")
    results = by_reader(shop)
    assert "refused" in failure(results).lower()
    assert places(results) == places(asked(shop))


def test_a_slow_endpoint_is_waited_for_no_longer_than_it_may_take(
    shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODSTAR_READER_SECONDS", "0.2")
    endpoint.hold = Event()  # never set: the test ends only if nobody waits for it
    results = by_reader(shop, budget=0.1)
    assert "no answer within 0.2 s" in failure(results)
    assert places(results) == places(asked(shop, budget=0))
    assert endpoint.was_left.wait(30)


def test_a_longer_budget_counts(shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODSTAR_READER_SECONDS", "0.000001")
    results = by_reader(shop, budget=PLENTY)
    assert results.stage is not None and results.stage.order is not None


def test_cancelling_hangs_up(shop: Workspace, endpoint: Endpoint) -> None:
    shop.encoder.reranker().kept = KeptReadings()  # type: ignore[union-attr]
    endpoint.hold = Event()
    options = Options(budget=PLENTY, min_score=0.0, own_reader=True)
    results = shop.ask(Question(QUESTION), options, cancelled=endpoint.was_asked.is_set)
    assert places(results) == places(asked(shop, budget=0))
    assert endpoint.was_left.wait(30)


# -- when it is not asked


def test_no_budget_asks_nobody(shop: Workspace, endpoint: Endpoint) -> None:
    assert by_reader(shop, budget=0).stage is None
    assert not endpoint.requests


def test_a_name_says_itself(shop: Workspace, endpoint: Endpoint) -> None:
    assert by_reader(shop, "parse_json").stage is None
    assert not endpoint.requests


def test_measurements_do_not_ask_it(shop: Workspace, endpoint: Endpoint) -> None:
    assert asked(shop).stage is not None
    assert not endpoint.requests


def test_without_the_variable_nobody_is_asked(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODSTAR_READER", raising=False)
    results = by_reader(shop)
    assert results.stage is not None and results.stage.order is None and not results.stage.note


# -- only this machine


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/v1",
        "http://10.0.0.1:8080/v1",
        "http://0.0.0.0:8080",
        "http://127.0.0.1.example.org/v1",
        "http://localhost@example.org/v1",
        "http://localhost.example.org",
        "http://[fe80::1]:8080/v1",
        "http://2130706433/v1",
    ],
)
def test_another_machine_is_refused_in_one_line(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("MODSTAR_READER", url)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    results = by_reader(shop)
    assert "only 127.0.0.1, ::1 and localhost are asked" in failure(results)
    assert places(results) == places(asked(shop))


def test_a_name_that_leads_elsewhere_is_sent_nothing(
    shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.1", 80

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected = Elsewhere()
        connected.connect(address)
        return connected

    monkeypatch.setattr(socket, "create_connection", connect)
    assert "another machine (192.0.2.1)" in failure(by_reader(shop))
    assert not endpoint.requests


@pytest.mark.parametrize(
    "url", ["8080", "https://127.0.0.1/v1", "http://", "http://127.0.0.1:port", "http://[::1"]
)
def test_what_is_no_address_is_one_line(shop: Workspace, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MODSTAR_READER", url)
    assert "must be like http://127.0.0.1:8080/v1" in failure(by_reader(shop))


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "1e9"])
def test_a_wrong_time_is_one_line(
    shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, seconds: str
) -> None:
    monkeypatch.setenv("MODSTAR_READER_SECONDS", seconds)
    assert "MODSTAR_READER_SECONDS must be a number" in failure(by_reader(shop))
    assert not endpoint.requests


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://127.0.0.1:8080/v1", "127.0.0.1", 8080, "/v1/chat/completions"),
        ("http://localhost:11434/", "localhost", 11434, "/v1/chat/completions"),
        ("http://[::1]:8080/v1/", "::1", 8080, "/v1/chat/completions"),
        ("http://127.8.9.10/api/v3", "127.8.9.10", 80, "/api/v3/chat/completions"),
        ("http://LOCALHOST:1/v1/chat/completions", "localhost", 1, "/v1/chat/completions"),
    ],
)
def test_the_ways_to_write_an_endpoint(
    monkeypatch: pytest.MonkeyPatch, url: str, host: str, port: int, path: str
) -> None:
    monkeypatch.setenv("MODSTAR_READER", url)
    reader = own_reader()
    assert reader is not None and reader[:3] == (host, port, path)


def test_no_proxy_is_used(shop: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    results = by_reader(shop)
    assert results.stage is not None and results.stage.order is not None
