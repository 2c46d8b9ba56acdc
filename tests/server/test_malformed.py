"""Whatever is sent, every request is answered with an error of one line, and the next one is served."""

from __future__ import annotations

from typing import Any

import pytest
from lsp_process import Client

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_INITIALIZED = -32002

FITS = {"query": "parse json"}


def is_served(client: Client) -> bool:
    return client.search("parse a json document")["hits"][0]["symbol"] == "parse_json"


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        "parse json",
        7,
        {},
        {"query": None},
        {"query": 7},
        {"query": ["parse"]},
        *(FITS | {"limit": limit} for limit in (0, -1, 201, 1.5, "20", True, [])),
        *(FITS | {"minScore": score} for score in (-0.1, 1.1, "high", True)),
        *(FITS | {"languages": languages} for languages in ("python", [7], [""], {"a": 1}, 3)),
        *(FITS | {"globs": globs} for globs in ("*.py", [None], 3)),
        *(FITS | {"folders": folders} for folders in ("file:///a", [7])),
        *(FITS | {"snippetLines": lines} for lines in (-1, 1_000, "8", 0.5)),
        {"query": "a" * 1_000_000},
    ],
    ids=lambda params: str(params)[:50],
)
def test_search_params_that_do_not_fit(served: Client, params: Any) -> None:
    error = served.error("modstar/search", params)
    assert error["code"] == INVALID_PARAMS
    assert error["message"].startswith("modstar/search")
    assert "\n" not in error["message"]
    assert len(error["message"]) < 300


RANGE = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
PLACE = {"line": 0, "character": 0}


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"text": 7},
        {"textDocument": "file:///a"},
        {"textDocument": {"uri": "file:///a.py"}},
        {"textDocument": {"uri": 7}, "range": RANGE},
        {"textDocument": {}, "range": RANGE},
        {"textDocument": {"uri": "file:///nowhere/a.py"}, "range": RANGE},
        {"textDocument": {"uri": "nonsense"}, "range": RANGE},
        {"textDocument": {"uri": ""}, "position": PLACE},
        {"range": RANGE},
        {"text": "x = 1", "range": 7},
        *(
            {"textDocument": {"uri": "file:///a.py"}, "range": span}
            for span in ([], {"start": PLACE}, {"start": PLACE, "end": {"line": -1, "character": 0}})
        ),
        *(
            {"textDocument": {"uri": "file:///a.py"}, "position": place}
            for place in ("0:0", {"line": 0}, {"line": "0", "character": 0}, {"line": 1.5, "character": 0})
        ),
    ],
    ids=lambda params: str(params)[:60],
)
def test_similar_params_that_do_not_fit(served: Client, params: Any) -> None:
    error = served.error("modstar/similar", params)
    assert error["code"] == INVALID_PARAMS
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("workspace/symbol", None),
        ("workspace/symbol", {}),
        ("workspace/symbol", []),
        ("textDocument/codeAction", {"textDocument": {"uri": "file:///a.py"}}),
        ("textDocument/codeAction", {"textDocument": {"uri": "file:///a.py"}, "range": RANGE, "context": 3}),
        ("textDocument/codeLens", {}),
        ("codeLens/resolve", {"range": RANGE}),
        ("codeLens/resolve", {"range": RANGE, "data": {"uri": 7}}),
        ("codeLens/resolve", {"range": RANGE, "data": {"uri": "file:///nowhere.py", "range": RANGE}}),
        ("workspace/executeCommand", {}),
        ("workspace/executeCommand", {"command": 7}),
        ("workspace/executeCommand", {"command": "modstar.nonsense"}),
        ("workspace/executeCommand", {"command": "modstar.showSimilar"}),
        ("workspace/executeCommand", {"command": "modstar.showSimilar", "arguments": {}}),
        ("workspace/executeCommand", {"command": "modstar.showSimilar", "arguments": [{"uri": "file:///a"}]}),
    ],
    ids=str,
)
def test_params_of_standard_requests_that_do_not_fit(served: Client, method: str, params: Any) -> None:
    error = served.error(method, params)
    assert error["code"] == INVALID_PARAMS
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    "method", ["$/cancelRequest", "modstar/nonsense", "textDocument/hover", "$/nonsense", ""]
)
def test_an_unknown_request_is_refused(served: Client, method: str) -> None:
    assert served.error(method, {})["code"] == NO_METHOD


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("modstar/nonsense", {}),
        ("modstar/trust", None),
        ("modstar/trust", {"trusted": "yes"}),
        ("textDocument/didOpen", None),
        ("textDocument/didOpen", {"textDocument": {"uri": "file:///a.py"}}),
        (
            "textDocument/didChange",
            {"textDocument": {"uri": "file:///never-opened.py"}, "contentChanges": []},
        ),
        ("textDocument/didChange", {"textDocument": {}, "contentChanges": 3}),
        ("textDocument/didChange", []),
        ("textDocument/didClose", {"textDocument": {"uri": "file:///never-opened.py"}}),
        ("textDocument/didClose", {}),
        ("textDocument/didSave", {"textDocument": 3}),
        ("workspace/didChangeWatchedFiles", {"changes": 3}),
        ("workspace/didChangeWatchedFiles", {"changes": [3, {"uri": 7}, {"uri": "nonsense", "type": 1}]}),
        ("workspace/didChangeWorkspaceFolders", {"event": {}}),
        (
            "workspace/didChangeWorkspaceFolders",
            {"event": {"added": [{"uri": "nonsense", "name": ""}], "removed": []}},
        ),
        ("workspace/didChangeConfiguration", 7),
        ("workspace/didChangeConfiguration", {"settings": "nonsense"}),
        ("$/cancelRequest", {}),
        ("$/cancelRequest", {"id": None}),
        ("$/setTrace", {"value": "loud"}),
        ("$/progress", {}),
        ("window/workDoneProgress/cancel", {"token": "unknown"}),
        ("initialized", {}),
    ],
    ids=str,
)
def test_a_notification_that_makes_no_sense_is_passed_over(served: Client, method: str, params: Any) -> None:
    served.notify(method, params)
    assert is_served(served)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", PARSE_ERROR),
        (b"\xff\xfe", PARSE_ERROR),
        (b"nonsense", PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b"null", INVALID_REQUEST),
        (b"7", INVALID_REQUEST),
        (b"[]", INVALID_REQUEST),
        (b'"text"', INVALID_REQUEST),
        (b"{}", INVALID_REQUEST),
        (b'[{"jsonrpc":"2.0","id":1,"method":"modstar/status"}]', INVALID_REQUEST),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_message_is_answered_with_an_error(served: Client, body: bytes, code: int) -> None:
    seen = len(served.messages)
    served.send_bytes(body)
    answer = served.wait(lambda message: "error" in message, after=seen)
    assert answer["error"]["code"] == code
    assert answer.get("id") is None
    assert is_served(served)


@pytest.mark.parametrize("method", [7, None, ["modstar/status"], {}, True])
def test_a_request_whose_method_is_none_is_answered(served: Client, method: Any) -> None:
    served.send({"id": f"odd {method}", "method": method, "params": {}})
    answer = served.wait(lambda message: message.get("id") == f"odd {method}")
    assert answer["error"]["code"] == INVALID_REQUEST
    assert is_served(served)


@pytest.mark.parametrize(
    "message",
    [
        {"id": 999_999, "result": None},
        {"id": 999_999, "error": {"code": 1, "message": "no"}},
        {"id": 999_999},
        {"method": 7},
        {"method": "modstar/search", "params": FITS},
    ],
    ids=str,
)
def test_an_answer_to_nothing_is_passed_over(served: Client, message: Any) -> None:
    served.send(message)
    assert is_served(served)


def test_headers_that_no_client_should_send(served: Client) -> None:
    assert served.process.stdin is not None
    body = b'{"jsonrpc":"2.0","id":"x","method":"modstar/status"}'
    served.process.stdin.write(
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    served.process.stdin.flush()
    assert served.wait(lambda message: message.get("id") == "x")["result"]["version"]


@pytest.mark.parametrize(("before", "inside"), [(True, False), (False, True), (True, True)])
def test_a_byte_order_mark_before_a_message_or_in_it(served: Client, before: bool, inside: bool) -> None:
    """As a shell puts it at the beginning of a pipe."""
    assert served.process.stdin is not None
    mark, asked = b"\xef\xbb\xbf", f"mark {before} {inside}"
    body = mark * inside + b'{"jsonrpc":"2.0","id":"%s","method":"modstar/status"}' % asked.encode()
    served.process.stdin.write(mark * before + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    served.process.stdin.flush()
    assert served.wait(lambda message: message.get("id") == asked)["result"]["version"]


def test_requests_outside_the_life_of_a_session(start: Any, project: Any) -> None:
    client = start()
    assert client.error("modstar/status", {})["code"] == NOT_INITIALIZED
    client.initialize(project)
    client.ready()
    client.request("shutdown")
    for method, params in (
        ("modstar/search", FITS),
        ("workspace/symbol", {"query": "a"}),
        ("shutdown", None),
    ):
        assert client.error(method, params)["code"] == INVALID_REQUEST
    client.notify("exit")
    assert client.process.wait(30) == 0
