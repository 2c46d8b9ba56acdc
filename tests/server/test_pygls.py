"""What the server uses of the insides of pygls is there and means what we take it to mean.

pygls may change any of it in a minor version, which the bound in pyproject.toml keeps out: before the bound
is raised, these say what has to be looked at.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.json_rpc import JsonRPCNotification, JsonRPCRequestMessage

from modstar_lsp.background.child import Launch
from modstar_lsp.server import rpc
from modstar_lsp.server.rpc import Protocol
from modstar_lsp.server.server import Server
from modstar_lsp.server.transport import StdoutWriter


@pytest.fixture
def protocol() -> Protocol:
    return Server(Launch()).protocol


def uses_of_self() -> Iterator[str]:
    """The attributes that our protocol reads of itself."""
    for node in ast.walk(ast.parse(Path(rpc.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


def test_every_attribute_that_we_use_is_there(protocol: Protocol) -> None:
    used = set(uses_of_self())
    assert {"_request_futures", "_result_types", "_shutdown", "_workspace", "_send_data", "fm"} <= used
    assert [name for name in sorted(used) if not hasattr(protocol, name)] == []


def test_what_we_use_has_the_state_that_we_expect_before_initialize(protocol: Protocol) -> None:
    assert protocol._request_futures == {} and protocol._result_types == {}
    assert protocol._shutdown is False and protocol._workspace is None
    assert protocol.VERSION == "2.0"
    assert types.INITIALIZE in protocol.fm.builtin_features
    assert "modstar/search" in protocol.fm.features
    assert protocol.get_message_type(types.WORKSPACE_SYMBOL) is types.WorkspaceSymbolRequest
    assert protocol.get_message_type("modstar/search") is None


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, value in vars(Protocol).items()
        if inspect.isfunction(value) and hasattr(LanguageServerProtocol, name)
    ),
)
def test_what_we_override_takes_the_same_arguments(name: str) -> None:
    theirs = inspect.signature(getattr(LanguageServerProtocol, name)).parameters
    ours = inspect.signature(getattr(Protocol, name)).parameters
    assert [kind for kind in ours if kind != "_"] == [kind for kind in theirs if kind != "args"]


def test_something_is_overridden() -> None:
    overridden = set(vars(Protocol)) & set(dir(LanguageServerProtocol))
    assert {"_send_handler_result", "_handle_cancel_notification", "lsp_exit"} <= overridden


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (types.TEXT_DOCUMENT_DID_OPEN, "lsp_text_document__did_open"),
        (types.TEXT_DOCUMENT_DID_CHANGE, "lsp_text_document__did_change"),
        (types.TEXT_DOCUMENT_DID_CLOSE, "lsp_text_document__did_close"),
        (types.WORKSPACE_EXECUTE_COMMAND, "lsp_workspace__execute_command"),
        (types.EXIT, "lsp_exit"),
    ],
)
def test_our_handlers_stand_in_the_place_of_theirs(protocol: Protocol, method: str, name: str) -> None:
    assert protocol.fm.builtin_features[method] == getattr(protocol, name)


def test_messages_that_are_not_structured_are_built_in_this_order() -> None:
    request = JsonRPCRequestMessage(7, "modstar/search", "2.0", {"query": "x"})
    assert (request.id, request.method, request.jsonrpc) == (7, "modstar/search", "2.0")
    note = JsonRPCNotification("modstar/trust", "2.0", {"trusted": True})
    assert (note.method, note.jsonrpc, note.params) == ("modstar/trust", "2.0", {"trusted": True})


def test_a_message_that_does_not_fit_says_where(protocol: Protocol) -> None:
    """cattrs nests its findings, each with a note that names the attribute."""
    lens = {"jsonrpc": "2.0", "id": 1, "method": types.TEXT_DOCUMENT_CODE_LENS, "params": {}}
    assert protocol._structured(types.TEXT_DOCUMENT_CODE_LENS, lens).endswith("document is missing")
    symbols = {"jsonrpc": "2.0", "id": 1, "method": types.WORKSPACE_SYMBOL, "params": {"query": "x"}}
    assert protocol._structured(types.WORKSPACE_SYMBOL, symbols).params.query == "x"


def test_data_is_written_as_one_framed_message(protocol: Protocol) -> None:
    target = io.BytesIO()
    protocol.set_writer(StdoutWriter(target))
    protocol._send_data({"jsonrpc": "2.0", "id": 1, "result": "ü"})
    head, _, body = target.getvalue().partition(b"\r\n\r\n")
    assert head.startswith(b"Content-Length: %d\r\n" % len(body))
    assert json.loads(body)["result"] == "ü"


# What the types of the protocol make of messages, and which of them a set finds equal.
MESSAGES = """
import json
from lsprotocol import converters, types
convert = converters.get_converter()
ends = {"start": {"line": 1, "character": 2}, "end": {"line": 3, "character": 4}}
symbol = {"name": "f", "kind": 12, "location": {"uri": "file:///a", "range": ends}}
hint = {"range": ends, "message": "m", "severity": 4, "code": "c", "source": "s"}
action = {"title": "t", "kind": "refactor", "command": {"title": "t", "command": "c", "arguments": [1]}}
made = [
    convert.structure(symbol, types.WorkspaceSymbol), convert.structure(hint, types.Diagnostic),
    convert.structure(action, types.CodeAction), convert.structure({"range": ends}, types.CodeLens),
    convert.structure({"capabilities": {}, "processId": None, "rootUri": None}, types.InitializeParams),
]
print(json.dumps([convert.unstructure(one) for one in made]))
print(types.Position(1, 2) == types.Position(1, 2), types.Position(1, 2) < types.Position(2, 0))
"""


def test_the_types_without_their_comparisons_read_and_write_the_same() -> None:
    def printed(program: str) -> list[Any]:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    loaded = "from modstar_lsp.server.main import _load_protocol; _load_protocol()\n"
    assert printed(loaded + MESSAGES) == printed(MESSAGES)
    # it is for this that they are loaded so: should attrs or lsprotocol go another way, it can go
    probe = "from lsprotocol import types\nprint(types.Diagnostic.__eq__ is object.__eq__)"
    assert printed(loaded + probe) == ["True"] and printed(probe) == ["False"]
