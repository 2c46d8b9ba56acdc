"""What a client with no code of ours gets: symbols, code actions, lenses, hints, a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_process import CAPABILITIES, Client, Message

EXPLICIT, AUTOMATIC = 1, 2
HINT = 4


def span(line: int, character: int, end_line: int, end_character: int) -> Message:
    return {
        "start": {"line": line, "character": character},
        "end": {"line": end_line, "character": end_character},
    }


def configured(start: Callable[..., Client], project: Path, settings: Any, **options: Any) -> Client:
    client = start(configuration=settings)
    client.initialize(project, **options)
    client.ready()
    return client


# -- workspace/symbol


def test_symbols_answer_a_sentence_in_rank_order(served: Client) -> None:
    query = "where do we try again when sending a file fails"
    symbols = served.request("workspace/symbol", {"query": query})
    assert symbols[0]["name"] == "upload"
    assert symbols[0]["location"]["range"] == span(0, 4, 0, 10)
    assert symbols[0]["location"]["uri"].endswith("/app/transfer.py")
    hits = served.search(query)["hits"]
    assert [symbol["location"]["uri"] for symbol in symbols] == [hit["uri"] for hit in hits]


def test_a_method_is_named_with_its_class(served: Client) -> None:
    (symbol, *_) = served.request("workspace/symbol", {"query": "verify password"})
    assert (symbol["name"], symbol["kind"]) == ("verify_password", 6)
    assert symbol["containerName"] == "AccountStore in app/accounts.py"


@pytest.mark.parametrize("query", ["", " ", "#", "@:"])
def test_no_symbols_before_anything_is_typed(served: Client, query: str) -> None:
    assert served.request("workspace/symbol", {"query": query}) == []


def test_the_echo_puts_query_and_rank_before_the_name(start: Callable[..., Client], project: Path) -> None:
    client = configured(start, project, {"workspaceSymbol": {"echoQuery": True}, "search": {"minScore": 0}})
    names = [symbol["name"] for symbol in client.request("workspace/symbol", {"query": "upload"})]
    assert names[0] == "upload 01 upload"
    assert names == sorted(names)
    assert len(names) > 3
    client.configuration = {"workspaceSymbol": {"enabled": False}}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.until(lambda status: not status["settings"]["workspaceSymbol"]["enabled"])
    assert client.request("workspace/symbol", {"query": "upload"}) == []


# -- textDocument/codeAction


def actions(client: Client, uri: str, where: Message, **context: Any) -> list[Message]:
    params = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": [], **context}}
    found: list[Message] = client.request("textDocument/codeAction", params)
    return found


@pytest.mark.parametrize(
    ("where", "context", "offered"),
    [
        (span(4, 0, 4, 0), {"triggerKind": AUTOMATIC}, False),
        (span(4, 0, 4, 0), {"triggerKind": EXPLICIT}, True),
        (span(4, 0, 4, 0), {}, True),
        (span(3, 0, 5, 0), {"triggerKind": AUTOMATIC}, True),
        (span(4, 0, 4, 0), {"triggerKind": AUTOMATIC, "only": ["modstar"]}, True),
        (span(4, 0, 4, 0), {"triggerKind": AUTOMATIC, "only": ["modstar.similar"]}, True),
        (span(4, 0, 4, 0), {"triggerKind": EXPLICIT, "only": ["quickfix"]}, False),
        (span(3, 0, 5, 0), {"triggerKind": EXPLICIT, "only": ["modstar.similarity", "refactor"]}, False),
        (span(1, 0, 1, 0), {"triggerKind": EXPLICIT}, False),
        (span(1, 0, 2, 0), {"triggerKind": EXPLICIT}, False),
        (span(99, 0, 99, 0), {"triggerKind": EXPLICIT}, False),
    ],
    ids=str,
)
def test_find_similar_is_offered_where_it_is_asked_for(
    served: Client, where: Message, context: Message, offered: bool
) -> None:
    folder = served.request("modstar/status", {})["folders"][0]["uri"]
    uri = f"{folder}/app/json_io.py"
    served.open(Path(uri.removeprefix("file://")))
    found = actions(served, uri, where, **context)
    assert [action["title"] for action in found] == (["Find similar code"] if offered else [])
    for action in found:
        assert action["kind"] == "modstar.similar"
        assert action["command"]["command"] == "modstar.showSimilar"
        (place,) = action["command"]["arguments"]
        assert place["uri"] == uri
        assert place["range"] == (where if where["start"] != where["end"] else span(3, 0, 5, 27))


def test_a_document_that_is_not_open_has_no_actions(served: Client, shop: Path) -> None:
    assert actions(served, (shop / "app/accounts.py").as_uri(), span(3, 0, 5, 0), triggerKind=EXPLICIT) == []


def test_a_client_that_shows_similar_code_itself_gets_its_own_command(
    start: Callable[..., Client], project: Path
) -> None:
    client = configured(start, project, {"codeLens": {"enabled": True}}, options={"showSimilar": "client"})
    uri = client.open(project / "app/json_io.py")
    (action,) = actions(client, uri, span(3, 0, 5, 0))
    assert action["command"]["command"] == "modstar.client.showSimilar"
    assert action["command"]["arguments"] == [{"uri": uri, "range": span(3, 0, 5, 0)}]


# -- modstar.showSimilar


@pytest.mark.parametrize("shows", [True, False])
def test_the_command_shows_what_it_found_in_a_bare_client(
    start: Callable[..., Client], project: Path, shows: bool
) -> None:
    asked: list[Message] = []

    def choose(params: Message) -> Any:
        asked.append(params)
        return params["actions"][0]

    client = start(answers={"window/showMessageRequest": choose, "window/showDocument": {"success": True}})
    window = {"showDocument": {"support": shows}}
    client.initialize(project, capabilities=CAPABILITIES | {"window": window})
    client.ready()
    uri = client.open(project / "web/cart.ts", None, "typescript")
    arguments = [{"uri": uri, "range": span(0, 0, 6, 1)}]
    result = client.request(
        "workspace/executeCommand", {"command": "modstar.showSimilar", "arguments": arguments}
    )
    assert result is None
    if shows:
        shown = client.wait(lambda message: message.get("method") == "window/showDocument")["params"]
        assert shown["uri"] == (project / "billing/invoice.go").as_uri()
        assert shown["selection"] == span(3, 5, 3, 15)
        assert shown["takeFocus"]
    else:
        said = client.wait(lambda message: message.get("method") == "window/showMessage")["params"]
        assert "billing/invoice.go:4" in said["message"]
    titles = [action["title"] for action in asked[0]["actions"]]
    assert titles[0] == "1 SumOfLines  billing/invoice.go:4"
    assert len(titles) == len(set(titles)) <= 6


def test_choosing_nothing_opens_nothing(start: Callable[..., Client], project: Path) -> None:
    client = start(answers={"window/showMessageRequest": None})
    client.initialize(project)
    client.ready()
    uri = client.open(project / "web/cart.ts", None, "typescript")
    arguments = [{"uri": uri, "range": span(0, 0, 6, 1)}]
    client.request("workspace/executeCommand", {"command": "modstar.showSimilar", "arguments": arguments})
    client.wait(lambda message: message.get("method") == "window/showMessageRequest")
    assert client.search("parse json")["hits"]
    assert client.said("window/showDocument") == []


def test_where_nothing_is_similar_it_says_so(start: Callable[..., Client], tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "a.py").write_text("def weigh(parcel):\n    return parcel.mass\n")
    client = start()
    client.initialize(tmp_path / "alone")
    client.ready()
    for where in (span(0, 0, 1, 22), span(2, 0, 2, 0)):
        arguments = [{"uri": (tmp_path / "alone/a.py").as_uri(), "range": where}]
        before = len(client.said("window/showMessage"))
        client.request("workspace/executeCommand", {"command": "modstar.showSimilar", "arguments": arguments})
        client.wait(lambda message: len(client.said("window/showMessage")) > before)  # noqa: B023
        assert client.said("window/showMessage")[-1]["message"].startswith("modstar: ")


# -- textDocument/codeLens


COPY = '''\
def load_options(path):
    """Read the options of the application from a file, and fill in what is missing."""
    with open(path) as stream:
        options = parse_json(stream.read())
    for key, value in DEFAULTS.items():
        options.setdefault(key, value)
    return options
'''
SECOND_COPY = '''\
def read_settings(path):
    """Read the settings of the application from a file, and fill in what is missing."""
    with open(path) as stream:
        settings = parse_json(stream.read())
    for key, value in DEFAULTS.items():
        settings.setdefault(key, value)
    return settings
'''


def test_lenses_count_similar_code_when_they_come_into_view(
    start: Callable[..., Client], project: Path
) -> None:
    (project / "app/reader.py").write_text(SECOND_COPY)
    (project / "app/options.py").write_text(COPY)
    client = configured(start, project, {"codeLens": {"enabled": True}})
    uri = client.open(project / "app/json_io.py")
    lenses = client.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
    assert [lens["range"] for lens in lenses] == [span(8, 4, 8, 17)]
    assert "command" not in lenses[0] or lenses[0]["command"] is None
    resolved = client.request("codeLens/resolve", lenses[0])
    assert resolved["range"] == lenses[0]["range"]
    assert resolved["command"]["title"] == "2 similar"
    assert resolved["command"]["command"] == "modstar.showSimilar"
    assert resolved["command"]["arguments"] == [{"uri": uri, "range": span(8, 0, 14, 19)}]
    alone = client.open(project / "app/accounts.py")
    lens = client.request("textDocument/codeLens", {"textDocument": {"uri": alone}})[-1]
    assert client.request("codeLens/resolve", lens)["command"] == {"title": "no similar code", "command": ""}


def test_lenses_are_off_by_default(served: Client, shop: Path) -> None:
    uri = served.open(shop / "app/json_io.py")
    assert served.request("textDocument/codeLens", {"textDocument": {"uri": uri}}) == []


# -- near-duplicates


def hints(client: Client, uri: str, after: int = 0) -> Message:
    """The next diagnostics of a document."""
    found: Message = client.wait(
        lambda message: (
            message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri
        ),
        after=after,
    )["params"]
    return found


def test_near_duplicates_are_hinted_at_and_gone_when_they_are(
    start: Callable[..., Client], project: Path
) -> None:
    (project / "app/options.py").write_text(f"{COPY}\n\n{SECOND_COPY}")
    client = configured(start, project, {"duplicates": {"enabled": True, "minScore": 0.8}})
    uri = client.open(project / "app/json_io.py")
    (hint,) = hints(client, uri)["diagnostics"]
    assert (hint["range"], hint["severity"]) == (span(8, 4, 8, 17), HINT)
    assert (hint["source"], hint["code"]) == ("modstar", "near-duplicate")
    assert "read_settings in app/options.py:10" in hint["message"]
    related = [info["location"] for info in hint["relatedInformation"]]
    assert related[0] == {"uri": (project / "app/options.py").as_uri(), "range": span(9, 4, 9, 17)}
    assert len(related) == 2

    seen = len(client.messages)
    text = (project / "app/json_io.py").read_text()
    (project / "app/json_io.py").write_text(text[: text.index("def load_settings")])
    change = {
        "textDocument": {"uri": uri, "version": 2},
        "contentChanges": [{"text": text[: text.index("def load_")]}],
    }
    client.notify("textDocument/didChange", change)
    client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    assert hints(client, uri, seen)["diagnostics"] == []


def test_switching_hints_off_removes_them(start: Callable[..., Client], project: Path) -> None:
    (project / "app/options.py").write_text(SECOND_COPY)
    client = configured(start, project, {"duplicates": {"enabled": True}})
    uri = client.open(project / "app/options.py")
    assert hints(client, uri)["diagnostics"]
    seen = len(client.messages)
    client.configuration = {"duplicates": {"enabled": False}}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    assert hints(client, uri, seen)["diagnostics"] == []


def test_there_are_no_hints_by_default(client: Client, project: Path) -> None:
    (project / "app/options.py").write_text(SECOND_COPY)
    uri = client.open(project / "app/options.py")
    client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    client.ready()
    assert client.search("read settings")["hits"]
    assert client.said("textDocument/publishDiagnostics") == []


def test_it_offers_nothing_that_would_mix_with_other_servers(
    start: Callable[..., Client], project: Path
) -> None:
    offered = start().initialize(project)["capabilities"]
    for name in (
        "hover",
        "definition",
        "references",
        "completion",
        "documentSymbol",
        "rename",
        "typeDefinition",
    ):
        assert not offered.get(f"{name}Provider"), name
