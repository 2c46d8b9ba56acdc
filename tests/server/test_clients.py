"""The server as the editors meet it: with the capabilities that each of them declares."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities
from shop import FILES, lay_out

QUERY = "where do we try again when sending a file fails"
# What each of them counts columns in, and whether it watches files for the server.
EDITORS = {
    "visual_studio_code": ("utf-16", True),
    "neovim": ("utf-8", False),
    "emacs": ("utf-32", True),
}
# The command is fixed before any test has a folder of its own.
INDEXES = TemporaryDirectory(prefix="modstar-test-")


class Editor:
    """A client with one editor's capabilities, the project that it has open, what the server told it."""

    def __init__(
        self, name: str, client: LanguageClient, project: Path, answer: types.InitializeResult
    ) -> None:
        self.name = name
        self.client = client
        self.project = project
        self.answer = answer

    async def request(self, method: str, params: Any) -> Any:
        return await self.client.protocol.send_request_async(method, params)

    async def ready(self) -> None:
        for _ in range(600):
            if (await self.request("modstar/status", {})).folders[0].coverage.state == "ready":
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the project is never indexed")

    async def found(self, query: str, path: str) -> bool:
        """Whether a search finds the file, now or soon."""
        for _ in range(300):
            answer = await self.request("modstar/search", {"query": query, "minScore": 0})
            if any(hit.path == path for hit in answer.hits):
                return True
            await asyncio.sleep(0.05)
        return False


@pytest_lsp.fixture(
    params=list(EDITORS),
    config=ClientServerConfig(
        server_command=[sys.executable, "-m", "modstar_lsp.server", "--index-dir", INDEXES.name]
    ),
)
async def client(
    request: pytest.FixtureRequest, lsp_client: LanguageClient, tmp_path: Path
) -> AsyncIterator[None]:
    project = lay_out(tmp_path / "shop", FILES)
    registered: list[str] = []

    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(params: types.RegistrationParams) -> None:
        registered.extend(registration.method for registration in params.registrations)

    @lsp_client.feature("modstar/statusChanged")
    def status(params: Any) -> None:
        pass

    lsp_client.set_configuration({"modstar": {"search": {"limit": 5}}})
    answer = await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            root_uri=project.as_uri(),
            workspace_folders=[types.WorkspaceFolder(uri=project.as_uri(), name="shop")],
        )
    )
    editor = Editor(request.param, lsp_client, project, answer)
    await editor.ready()
    watches = types.WORKSPACE_DID_CHANGE_WATCHED_FILES in registered
    assert watches == EDITORS[request.param][1], registered
    lsp_client.editor = editor  # type: ignore[attr-defined]
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def editor(client: Any) -> Editor:
    found: Editor = client.editor
    return found


@pytest.mark.asyncio
async def test_it_counts_columns_as_the_editor_does(editor: Editor) -> None:
    assert editor.answer.capabilities.position_encoding == EDITORS[editor.name][0]


@pytest.mark.asyncio
async def test_the_symbols_of_the_workspace_answer_a_sentence(editor: Editor) -> None:
    symbols = await editor.client.workspace_symbol_async(types.WorkspaceSymbolParams(query=QUERY))
    assert symbols
    assert len(symbols) <= 5
    assert symbols[0].name == "upload"
    assert symbols[0].location.uri == (editor.project / "app/transfer.py").as_uri()


@pytest.mark.asyncio
async def test_what_is_typed_and_what_is_saved_is_found(editor: Editor) -> None:
    client, path = editor.client, editor.project / "app/scale.py"
    text = "def weigh_parcel(parcel):\n    return parcel.mass\n"
    item = types.TextDocumentItem(uri=path.as_uri(), language_id="python", version=1, text="")
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    start = types.Position(0, 0)
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version=2, uri=path.as_uri()),
            [types.TextDocumentContentChangePartial(range=types.Range(start, start), text=text)],
        )
    )
    answer = await editor.request("modstar/search", {"query": "weigh a parcel"})
    assert answer.hits[0].symbol == "weigh_parcel"
    assert answer.hits[0].unsaved
    path.write_text(text)
    document = types.TextDocumentIdentifier(uri=path.as_uri())
    client.text_document_did_save(types.DidSaveTextDocumentParams(document))
    client.text_document_did_close(types.DidCloseTextDocumentParams(document))
    assert await editor.found("weigh a parcel", "app/scale.py")


@pytest.mark.asyncio
async def test_what_changes_outside_the_editor_is_found(editor: Editor) -> None:
    path = editor.project / "app/scale.py"
    path.write_text("def weigh_parcel(parcel):\n    return parcel.mass\n")
    if EDITORS[editor.name][1]:
        change = types.FileEvent(uri=path.as_uri(), type=types.FileChangeType.Created)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
    assert await editor.found("weigh a parcel", "app/scale.py")


@pytest.mark.asyncio
async def test_similar_code_is_offered_on_a_definition(editor: Editor) -> None:
    path = editor.project / "app/json_io.py"
    item = types.TextDocumentItem(uri=path.as_uri(), language_id="python", version=1, text=path.read_text())
    editor.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    inside = types.Position(4, 0)
    actions = await editor.client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri=path.as_uri()),
            range=types.Range(inside, inside),
            context=types.CodeActionContext(diagnostics=[], trigger_kind=types.CodeActionTriggerKind.Invoked),
        )
    )
    assert actions
    assert [action.title for action in actions] == ["Find similar code"]
