"""The page for Helix: its configuration is read as Helix reads it, and the server spoken to as Helix speaks.

Helix itself is in no package registry. What it does is taken from its sources (helix-lsp/src/client.rs and
file_event.rs, helix-core/src/syntax/config.rs, helix-term/src/commands/lsp.rs and application.rs): the
params of `initialize` in the file beside this one, its answers, and what it makes of the server's.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors.editor_programs import PROJECT
from tests.server.lsp_process import Client, Message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

INITIALIZE = json.loads(Path(__file__).with_name("initialize.json").read_text("utf-8"))
# The keys of a [language-server] table, and the features that can be chosen among.
SERVER_KEYS = {"command", "args", "environment", "config", "timeout", "required-root-patterns"}
FEATURES = set(
    """format goto-declaration goto-definition goto-type-definition goto-reference goto-implementation
    signature-help hover document-highlight completion code-action document-links workspace-command
    document-symbols workspace-symbols diagnostics pull-diagnostics rename-symbol inlay-hints document-colors
    call-hierarchy""".split()
)
INVOKED = 1  # the trigger kind of `space a`
WAREHOUSE = "src/shop/upload.py"

StartHelix = Callable[..., Client]


@pytest.fixture(scope="module")
def languages() -> dict[str, Any]:
    """The page's languages.toml."""
    page = (PROJECT / "docs/editors/helix.md").read_text("utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return tomllib.loads(shown)


@pytest.fixture
def helix(shop: Path, tmp_path: Path, languages: dict[str, Any]) -> Iterator[StartHelix]:
    """Starts the server as Helix does for the first file of the shop; `behaviour` is that of a Client."""
    clients: list[Client] = []

    def start(**behaviour: Any) -> Client:
        config = languages["language-server"]["modstar"]["config"]
        # Of each section that it is asked for it answers the part of the configuration with that name.
        client = Client(tmp_path / "indexes", configuration=config["modstar"], **behaviour)
        clients.append(client)
        client.initialize(
            shop,
            **INITIALIZE,
            options=config,
            rootPath=str(shop),
            rootUri=shop.as_uri(),
        )
        client.ready()
        return client

    yield start
    for client in clients:
        client.__exit__()


def actions_at_the_cursor(client: Client, uri: str, line: int, character: int) -> list[Message]:
    """What `space a` lists: the selection is never empty, its one character is what the cursor stands on."""
    at, after = {"line": line, "character": character}, {"line": line, "character": character + 1}
    return actions(client, uri, at, after)


def actions(client: Client, uri: str, start: Message, end: Message) -> list[Message]:
    found: list[Message] = client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": uri},
            "range": {"start": start, "end": end},
            "context": {"diagnostics": [], "triggerKind": INVOKED},
        },
    )
    return found


def execute(client: Client, action: Message) -> None:
    """Run an action: it holds a command and needs no edit, so nothing is resolved before."""
    assert "edit" not in action
    client.request("workspace/executeCommand", action["command"])


def test_the_configuration_is_one_that_helix_reads(languages: dict[str, Any]) -> None:
    assert set(languages) == {"language-server", "language"}
    server = languages["language-server"]["modstar"]
    assert server["command"] == "modstar-lsp" and set(server) <= SERVER_KEYS
    for language in languages["language"]:
        (ours,) = [it for it in language["language-servers"] if isinstance(it, dict)]
        assert ours["name"] == "modstar"
        assert set(ours) <= {"name", "only-features", "except-features"}
        assert set(ours["only-features"]) <= FEATURES


def test_the_server_has_the_features_that_are_chosen(helix: StartHelix, shop: Path) -> None:
    client = helix()
    answer = next(message for message in client.messages if "capabilities" in (message.get("result") or {}))
    provides = answer["result"]["capabilities"]
    assert provides["positionEncoding"] == "utf-8"
    assert provides["workspaceSymbolProvider"] and isinstance(provides["codeActionProvider"], dict)
    assert not provides["codeActionProvider"].get("resolveProvider")
    assert {"modstar.pause", "modstar.resume"} <= set(provides["executeCommandProvider"]["commands"])
    # What it would ask of every server that offers it, and show beside that server's own.
    assert not {"hoverProvider", "completionProvider", "diagnosticProvider"} & set(provides)


def test_the_settings_arrive(helix: StartHelix, languages: dict[str, Any]) -> None:
    shown = languages["language-server"]["modstar"]["config"]["modstar"]["search"]["limit"]
    status = helix().request("modstar/status", {})
    assert status["settings"]["search"]["limit"] == shown
    assert status["problems"] == []


def test_the_symbol_picker_takes_a_sentence_as_it_is_typed(helix: StartHelix, shop: Path) -> None:
    client = helix()
    assert client.request("workspace/symbol", {"query": ""}) == []  # it asks before anything is typed
    symbols: list[Message] = []
    for typed in ("r", "retry fai", "retry failed uploads"):
        symbols = client.request("workspace/symbol", {"query": typed})
    first = symbols[0]
    assert first["name"] == "retry_failed_uploads"
    assert first["containerName"].endswith(WAREHOUSE)
    # A symbol without a range would be one that Helix does not show.
    for symbol in symbols:
        assert {"name", "kind", "location"} <= set(symbol) and "start" in symbol["location"]["range"]
    assert first["location"]["uri"] == (shop / WAREHOUSE).as_uri()
    assert first["location"]["range"]["start"] == {"line": 21, "character": 8}


def test_the_cursor_stands_for_its_definition(helix: StartHelix, shop: Path) -> None:
    client = helix(answers={"window/showMessageRequest": lambda params: params["actions"][0]})
    uri = client.open(shop / "src/shop/jsonio.py")
    (action,) = actions_at_the_cursor(client, uri, 6, 8)  # "Parse a JSON document"
    assert action["title"] == "Find similar code"
    (place,) = action["command"]["arguments"]
    assert place["range"]["start"]["line"] == 5 and place["range"]["end"]["line"] == 8
    execute(client, action)
    shown = client.wait(lambda message: message.get("method") == "window/showDocument")["params"]
    assert shown["uri"].endswith("client.ts") and shown["takeFocus"]


def test_a_selection_stands_for_itself(helix: StartHelix, shop: Path) -> None:
    client = helix()
    uri = client.open(shop / "src/shop/jsonio.py")
    start, end = {"line": 7, "character": 0}, {"line": 9, "character": 0}
    (action,) = actions(client, uri, start, end)
    assert action["command"]["arguments"][0]["range"] == {"start": start, "end": end}


def test_where_it_cannot_ask_the_best_is_opened_and_all_are_named(helix: StartHelix, shop: Path) -> None:
    # Helix 25.07.1 and older know no window/showMessageRequest.
    client = helix(refuses=["window/showMessageRequest"], answers={"window/showDocument": {"success": True}})
    uri = client.open(shop / "src/shop/jsonio.py")
    (action,) = actions_at_the_cursor(client, uri, 6, 8)
    execute(client, action)
    told = client.wait(lambda message: message.get("method") == "window/showMessage")["params"]["message"]
    assert told.startswith("modstar: similar code: 1 parseJson ") and "\n" not in told
    (shown,) = client.said("window/showDocument")
    assert shown["uri"].endswith("client.ts")


def test_what_changes_outside_is_found(helix: StartHelix, shop: Path) -> None:
    # It offers to watch files, and then tells only of those that it writes itself.
    client = helix()
    (shop / "src/shop/mail.py").write_text("def send_newsletter(subscribers):\n    return len(subscribers)\n")
    client.comes_up("send_newsletter")
