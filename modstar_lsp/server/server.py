"""The language server: each handler reads its params, asks the session, and answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from modstar_lsp import __version__
from modstar_lsp.background.child import Child, Launch
from modstar_lsp.server import protocol
from modstar_lsp.server.features import actions, lenses, symbols
from modstar_lsp.server.features.duplicates import Duplicates
from modstar_lsp.server.features.similar_command import read_place, show_similar
from modstar_lsp.server.handlers import handlers_of, handles
from modstar_lsp.server.progress import ProgressBars
from modstar_lsp.server.protocol import SEARCH, SIMILAR, STATUS, TRUST, Answer, InvalidParams, wire
from modstar_lsp.server.root import Root
from modstar_lsp.server.rpc import Protocol, quick_converter
from modstar_lsp.server.session import Session
from modstar_lsp.server.settings import SECTION

if TYPE_CHECKING:
    import psutil

log = logging.getLogger(__name__)

# A client that does not answer a question of ours is not waited for any longer.
_CLIENT_SECONDS = 2.0
# They offer to watch files, and then tell only of those that they write themselves.
_WATCH_THEIR_OWN = ("helix",)
# Between two looks whether the client's process is still there.
_CLIENT_LOOK_SECONDS = 3.0
# Between two notifications of the status.
_STATUS_SECONDS = 0.25


class Server(LanguageServer):
    """One client at the other end of a pipe or a socket."""

    protocol: Protocol

    def __init__(self, launch: Launch, spare: Child | None = None) -> None:
        super().__init__(
            "modstar",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            protocol_cls=Protocol,
            converter_factory=quick_converter,
        )
        # Until the client has said who it is there is nothing in it.
        self.session = Session(launch, spare=spare)
        self.options: Mapping[str, Any] = {}
        self._launch = launch
        self._spare = spare
        self._bars = ProgressBars(self)
        self._duplicates = Duplicates(self.session, self.text_document_publish_diagnostics)
        self._tasks: set[asyncio.Task[None]] = set()
        self._status_due: asyncio.TimerHandle | None = None
        self._status_sent: dict[str, Any] = {}
        self._messages: dict[str, str] = {}
        # Only who knows our messages gets our notifications: others would warn their user of them.
        self._client_knows_us = False
        self._client_watches = False
        for method, options, handler in handlers_of(type(self)):
            self.feature(method, options)(partial(handler, self))
        for module in (actions, lenses, symbols):
            for method, options, handler in handlers_of(module):
                self.feature(method, options)(partial(self._in_session, handler))
        for command in protocol.COMMANDS:
            self.command(command)(lambda: None)  # named to the client; `execute` carries them out

    async def _in_session(self, handler: Callable[..., Awaitable[Any]], params: Any) -> Any:
        return await handler(self.session, params)

    # -- life

    @handles(types.INITIALIZE)
    def initialize(self, params: types.InitializeParams) -> None:
        """Make the session; what takes time waits until the client is ready."""
        workspace, info = params.capabilities.workspace, params.client_info
        watched = workspace and workspace.did_change_watched_files
        self._client_watches = bool(watched and watched.dynamic_registration) and not (
            info and info.name.lower() in _WATCH_THEIR_OWN
        )
        raw = params.initialization_options
        self.options = raw if isinstance(raw, Mapping) else _mapping(raw)
        self._client_knows_us = bool(self.options)
        encoding = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        self.session = Session(self._launch, encoding, spare=self._spare, changed=self._changed)  # type: ignore[arg-type]
        self.session.trusted = self.options.get("trusted") is not False
        self.session.client_shows_similar = self.options.get("showSimilar") == "client"
        self._duplicates = Duplicates(self.session, self.text_document_publish_diagnostics)
        for uri, name in _folders(params):
            self.session.add_folder(uri, name)
        self.session.follow(self.options.get("settings"))
        self.session.in_pool(self.session.warm_up)
        if params.process_id is not None:
            import psutil

            # One that cannot be seen from the start is of another container or machine.
            with contextlib.suppress(psutil.Error, ValueError, OverflowError):
                self._end_with(psutil.Process(params.process_id))

    @handles(types.INITIALIZED)
    async def initialized(self, params: Any) -> None:
        """Ask for the settings, have files watched, start indexing."""
        for problem in self.session.problems:  # of the settings that came with initialize
            self._warn(problem)
        await asyncio.gather(self._register_with_client(), self._pull_settings())
        self.session.start()
        self._changed(None)

    async def _register_with_client(self) -> None:
        workspace = self.client_capabilities.workspace
        wanted = []
        if self._client_watches:
            everything = types.FileSystemWatcher(glob_pattern="**/*")
            wanted.append(
                types.Registration(
                    id="modstar-files",
                    method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
                    register_options=types.DidChangeWatchedFilesRegistrationOptions(watchers=[everything]),
                )
            )
        configuration = workspace and workspace.did_change_configuration
        if configuration and configuration.dynamic_registration:
            wanted.append(
                types.Registration(
                    id="modstar-settings",
                    method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                    register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
                )
            )
        if not wanted:
            return
        answered = await self._from_client(
            self.client_register_capability_async(types.RegistrationParams(registrations=wanted))
        )
        self.session.client_watches = answered and self._client_watches

    async def _pull_settings(self) -> None:
        workspace = self.client_capabilities.workspace
        if not (workspace and workspace.configuration):
            return
        found: list[Any] = []

        async def pull() -> None:
            item = types.ConfigurationItem(section=SECTION)
            answer = await self.workspace_configuration_async(types.ConfigurationParams(items=[item]))
            found.extend(answer or [])

        if await self._from_client(pull()) and found:
            # Who has nothing to say now may have said something when it started.
            self._follow(_plain(found[0]) or self.options.get("settings"))

    async def _from_client(self, question: Awaitable[Any]) -> bool:
        """Whether the client answered in time, and not with an error."""
        try:
            await asyncio.wait_for(question, _CLIENT_SECONDS)
        except asyncio.TimeoutError:
            log.warning("the client does not answer")
        except Exception as error:  # whatever the client says: then it cannot do this
            log.warning("the client refuses: %s", error)
        else:
            return True
        return False

    def leave(self, status: int) -> NoReturn:
        """End the process now: a question may still be running on a thread, and nobody waits for it."""
        with contextlib.suppress(Exception):
            self.session.close()
        logging.shutdown()
        os._exit(status)

    def _end_with(self, process: psutil.Process) -> None:
        """End when the client's process is gone, though something else may hold its pipe open."""
        if process.is_running() and process.status() != "zombie":
            asyncio.get_running_loop().call_later(_CLIENT_LOOK_SECONDS, self._end_with, process)
        else:
            self.leave(1)

    def report_server_error(self, error: Exception, source: Any) -> None:
        # pygls would tell the user, who can do nothing about it; and when it cannot, try again without end.
        """An error inside pygls goes to the log alone."""
        log.error("%s: %s", type(error).__name__, error)

    # -- documents

    def document_opened(self, params: Any) -> None:
        """params: of textDocument/didOpen. Raises InvalidParams."""
        self._duplicates.opened(self.session.documents.open_raw(params))

    def document_changed(self, params: Any) -> None:
        """params: of textDocument/didChange. Raises InvalidParams."""
        uri = self.session.documents.change_raw(params)
        self.session.typing(uri)
        self._duplicates.changed(uri)

    def document_closed(self, params: Any) -> None:
        """params: of textDocument/didClose. Raises InvalidParams."""
        uri = _uri(params)
        self.session.documents.close(uri)
        self._duplicates.closed(uri)

    @handles(types.TEXT_DOCUMENT_DID_SAVE)
    def document_saved(self, params: Any) -> None:
        """params: of textDocument/didSave. Raises InvalidParams."""
        uri = _uri(params)
        self.session.documents.saved(uri)
        self.session.files_changed([uri])
        self._duplicates.saved(uri)

    @handles(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(self, params: Any) -> None:
        """params: of workspace/didChangeWatchedFiles; what is no file in them is passed over."""
        changes = params.get("changes") if isinstance(params, Mapping) else None
        if isinstance(changes, list):
            uris = [change.get("uri") for change in changes if isinstance(change, Mapping)]
            self.session.files_changed([uri for uri in uris if isinstance(uri, str)])

    @handles(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders_changed(self, params: types.DidChangeWorkspaceFoldersParams) -> None:
        """Folders of the workspace were closed or opened."""
        for folder in params.event.removed:
            self.session.remove_folder(folder.uri)
        for folder in params.event.added:
            self.session.add_folder(folder.uri, folder.name)

    # -- settings

    @handles(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def settings_changed(self, params: Any) -> None:
        """Ask the client for the settings, or take those in `params` when it cannot be asked."""
        workspace = self.client_capabilities.workspace
        if workspace and workspace.configuration:
            await self._pull_settings()
        else:
            pushed = params.get("settings") if isinstance(params, Mapping) else None
            if isinstance(pushed, Mapping):
                pushed = pushed.get(SECTION, pushed)
            self._follow(pushed)

    def _follow(self, raw: Any) -> None:
        for problem in self.session.follow(raw):
            self._warn(problem)
        self._duplicates.settings_changed()

    def _warn(self, text: str) -> None:
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=text))

    # -- our own messages

    @handles(SEARCH)
    async def search(self, params: Any) -> Any:
        """modstar/search: an `Answer` as JSON. Raises InvalidParams."""
        self._client_knows_us = True
        return wire(await self.session.search(protocol.search_request(params), report=self._reporter(params)))

    @handles(SIMILAR)
    async def similar(self, params: Any) -> Any:
        """modstar/similar: an `Answer` as JSON. Raises InvalidParams."""
        self._client_knows_us = True
        request = protocol.similar_request(params)
        return wire(await self.session.similar(request, report=self._reporter(params)))

    def _reporter(self, params: Any) -> Callable[[Answer], None] | None:
        token = protocol.progress_token(params, "partialResultToken")
        if token is None:
            return None

        def report(answer: Answer) -> None:
            value = wire(answer)
            self.protocol.notify(types.PROGRESS, types.ProgressParams(token=token, value=value))

        return report

    @handles(STATUS)
    async def status(self, params: Any) -> dict[str, Any]:
        """modstar/status: a `Status` as JSON; see docs/protocol.md."""
        self._client_knows_us = True
        return self.session.status()

    @handles(TRUST)
    def trust(self, params: Any) -> None:
        """modstar/trust: whether the user trusts the workspace."""
        try:
            self.session.trust(protocol.trusted(params))
        except InvalidParams as error:
            log.warning("%s", error)

    async def execute(self, command: str, arguments: list[Any]) -> None:
        """A command of workspace/executeCommand. Raises InvalidParams."""
        commands = {
            protocol.PAUSE: self.session.pause,
            protocol.RESUME: self.session.resume,
            protocol.REINDEX: self.session.reindex,
            protocol.CLEAR: self.session.clear,
        }
        if command == protocol.SHOW_SIMILAR:
            # The user may take for ever to choose, and the client should not wait for that.
            task = asyncio.ensure_future(show_similar(self, self.session, *read_place(arguments)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif command in commands:
            commands[command]()
            self._changed(None)
        else:
            raise InvalidParams(f"there is no command {command!r}")

    # -- what the client is told unasked

    def _changed(self, root: Root | None) -> None:
        if root is not None:
            self._bars.show(root)
            self._tell_message(root)
            if root.take_news():
                self._duplicates.indexed()
        if self._status_due is None:
            self._status_due = asyncio.get_running_loop().call_later(_STATUS_SECONDS, self._tell_status)

    def _tell_message(self, root: Root) -> None:
        """What happened to a folder goes to the log, and to the user when it cannot be searched for it."""
        if root.message == self._messages.get(root.uri, ""):
            return
        self._messages[root.uri] = root.message
        if not root.message:
            return
        if root.index_state.state == "failed":
            kind = types.MessageType.Error
            self.window_show_message(types.ShowMessageParams(type=kind, message=f"modstar: {root.message}"))
        else:
            kind = types.MessageType.Warning
            self.window_log_message(types.LogMessageParams(type=kind, message=root.message))

    def _tell_status(self) -> None:
        self._status_due = None
        if not self._client_knows_us:
            return
        status = self.session.status()
        compared = {key: value for key, value in status.items() if key != "memory"}
        if compared != self._status_sent:
            self._status_sent = compared
            self.protocol.notify(protocol.STATUS_CHANGED, status)


def _folders(params: types.InitializeParams) -> list[tuple[str, str]]:
    """(URI, name) of each folder of the workspace, however the client says it."""
    if params.workspace_folders:
        return [(folder.uri, folder.name) for folder in params.workspace_folders]
    if params.root_uri:
        return [(params.root_uri, "")]
    if params.root_path:
        from pathlib import Path

        from modstar_lsp.server.uris import from_path

        return [(from_path(Path(params.root_path)), "")]
    return []


def _uri(params: Any) -> str:
    document = params.get("textDocument") if isinstance(params, Mapping) else None
    uri = document.get("uri") if isinstance(document, Mapping) else None
    if not isinstance(uri, str):
        raise InvalidParams("expected { textDocument: { uri } }")
    return uri


def _mapping(value: Any) -> Mapping[str, Any]:
    plain = _plain(value)
    return plain if isinstance(plain, Mapping) else {}


def _plain(value: Any) -> Any:
    """JSON again, of the named tuples that pygls makes of it."""
    if hasattr(value, "_asdict"):
        return {key: _plain(inside) for key, inside in value._asdict().items()}
    if isinstance(value, list):
        return [_plain(inside) for inside in value]
    return value
