"""pygls' protocol, with what it leaves undone: every request is answered, and the process can end."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from typing import Protocol as Interface

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method
from pygls.protocol.json_rpc import JsonRPCNotification, JsonRPCRequestMessage

from modstar_lsp.errors import ModstarError
from modstar_lsp.server.protocol import InvalidParams

log = logging.getLogger(__name__)

# The types of these are not built: they come often, and their handlers read the little they need themselves.
_RAW = frozenset(
    {
        types.TEXT_DOCUMENT_DID_OPEN,
        types.TEXT_DOCUMENT_DID_CHANGE,
        types.TEXT_DOCUMENT_DID_CLOSE,
        types.TEXT_DOCUMENT_DID_SAVE,
        types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
        types.WORKSPACE_DID_CHANGE_CONFIGURATION,
        types.WORKSPACE_EXECUTE_COMMAND,
    }
)
# Bytes of a message whose types are built, 30 µs for each of its values: no client sends as many.
_MAX_TYPED_BYTES = 1 << 20
# Of one no larger than this all that is wrong is looked for, to tell where it is: 3 ms for each finding.
_DETAILED_BYTES = 2_000


def quick_converter() -> Any:
    """pygls' converter, but that it stops at the first thing that does not fit."""
    converter: Any = default_converter()
    converter.detailed_validation = False  # what structures a type is made when that first comes
    return converter


@functools.cache
def _detailed_converter() -> Any:
    return default_converter()


class RequestFailed(JsonRpcException):
    """The request was right and could not be carried out."""

    CODE = types.LSPErrorCodes.RequestFailed.value


class Handlers(Interface):
    """What the protocol hands on to the server without pygls in between."""

    def document_opened(self, params: Any) -> None:
        """params: of textDocument/didOpen. Raises InvalidParams."""

    def document_changed(self, params: Any) -> None:
        """params: of textDocument/didChange. Raises InvalidParams."""

    def document_closed(self, params: Any) -> None:
        """params: of textDocument/didClose. Raises InvalidParams."""

    async def execute(self, command: str, arguments: list[Any]) -> None:
        """Carry out a command. Raises InvalidParams."""

    def leave(self, status: int) -> NoReturn:
        """End the process at once with this exit status."""


class Protocol(LanguageServerProtocol):
    """Requests of our own, and the frequent notifications, reach their handlers as the JSON they are."""

    _server: Handlers  # type: ignore[assignment]
    _size = 0  # of the message being handled

    # -- messages in

    def receive(self, data: Any, size: int) -> None:
        """Handle a message, whatever it is. size: in bytes."""
        self._size = size
        try:
            self._receive(data)
        except Exception:
            log.exception("a message could not be handled")
            asked = data.get("id") if isinstance(data, dict) and "method" in data else None
            if isinstance(asked, str | int):
                self._refuse(asked, JsonRpcInternalError("the request could not be handled"))

    def _receive(self, data: Any) -> None:
        method, asked = (data.get("method"), data.get("id")) if isinstance(data, dict) else (None, None)
        if not isinstance(asked, str | int):
            asked = None
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION:
            self._refuse(asked, JsonRpcInvalidRequest("not a JSON-RPC 2.0 message"))
        elif method is None and ("result" in data or "error" in data):
            self._receive_answer(data)
        elif not isinstance(method, str):
            self._refuse(asked, JsonRpcInvalidRequest("method must be a string"))
        elif asked is None:
            self._receive_notification(method, data)
        elif method == types.CANCEL_REQUEST:
            self._refuse(asked, JsonRpcMethodNotFound(f"{method} is a notification"))
        elif self._shutdown:
            self._refuse(asked, JsonRpcInvalidRequest("the server is shutting down"))
        elif self._workspace is None and method != types.INITIALIZE:
            self._refuse(asked, JsonRpcServerNotInitialized("initialize comes first"))
        elif self._workspace is not None and method == types.INITIALIZE:
            self._refuse(asked, JsonRpcInvalidRequest("initialize comes once"))
        else:
            message = self._structured(method, data)
            if isinstance(message, str):
                self._refuse(asked, JsonRpcInvalidParams(f"{method}: {message}"))
            else:
                self.handle_message(message)

    def _receive_notification(self, method: str, data: dict[str, Any]) -> None:
        if self._workspace is None and method != types.EXIT:
            return
        message = self._structured(method, data)
        if isinstance(message, str):
            log.warning("%s: %s: ignored", method, message)
        else:
            self.handle_message(message)

    def _receive_answer(self, data: dict[str, Any]) -> None:
        asked = self._request_futures.get(data.get("id", 0))
        if asked is not None and asked.done():  # the client took so long that nobody waits any more
            del self._request_futures[data["id"]]
            return
        try:
            message = self.structure_message(data)
        except JsonRpcException as error:
            future = self._request_futures.pop(data.get("id", 0), None)
            if future is not None and not future.done():
                future.set_exception(error)
            return
        self.handle_message(message)

    def _structured(self, method: str, data: dict[str, Any]) -> Any:
        """The message, with the type that its handler expects; a line that says why it does not fit."""
        params = data.get("params")
        handled = method in self.fm.features or method in self.fm.builtin_features
        handled |= method == types.CANCEL_REQUEST  # by the protocol itself
        if method in _RAW or not handled or self.get_message_type(method) is None:
            if "id" in data:
                return JsonRPCRequestMessage(data["id"], method, self.VERSION, params)
            return JsonRPCNotification(method, self.VERSION, params)
        if self._size > _MAX_TYPED_BYTES:
            return f"larger than {_MAX_TYPED_BYTES // 1024} kB"
        try:
            return self.structure_message(data)
        except JsonRpcException as error:
            problem = error.__cause__
        if self._size <= _DETAILED_BYTES:
            try:
                _detailed_converter().structure(data, self.get_message_type(method))
            except Exception as error:
                problem = error
        return _first_problem(problem)

    def _refuse(self, request: str | int | None, error: JsonRpcException) -> None:
        body = {"jsonrpc": "2.0", "id": request, "error": {"code": error.code, "message": error.message}}
        self._send_data(body)

    def refuse_unreadable(self) -> None:
        """The answer to what is no JSON."""
        self._send_data(
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "not valid JSON"}}
        )

    def _send_handler_result(self, future: Any, msg_id: str | int) -> None:
        """Our own errors become the answer; pygls would call them internal and print their traceback."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ModstarError):
            self._request_futures.pop(msg_id, None)
            self._result_types.pop(msg_id, None)
            kind = JsonRpcInvalidParams if isinstance(error, InvalidParams) else RequestFailed
            self._refuse(msg_id, kind(str(error)))
        else:
            super()._send_handler_result(future, msg_id=msg_id)

    def _handle_cancel_notification(self, msg_id: str | int) -> None:
        # pygls forgets a future that it cannot cancel, and then the end of the request finds none.
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.cancel()

    # -- what pygls keeps for itself and we keep otherwise

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: Any) -> None:
        """pygls would keep the documents itself. What is wrong with `params` goes to the log."""
        self._heed(self._server.document_opened, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: Any) -> None:
        """See `lsp_text_document__did_open`."""
        self._heed(self._server.document_changed, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: Any) -> None:
        """See `lsp_text_document__did_open`."""
        self._heed(self._server.document_closed, params)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: Any) -> None:  # type: ignore[override]
        """pygls would call each command with its arguments spread. Raises JsonRpcInvalidParams."""
        if not isinstance(params, Mapping) or not isinstance(params.get("command"), str):
            raise JsonRpcInvalidParams("workspace/executeCommand: command must be a string")
        arguments = params.get("arguments") or []
        if not isinstance(arguments, list):
            raise JsonRpcInvalidParams("workspace/executeCommand: arguments must be a list")
        await self._server.execute(params["command"], arguments)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> None:  # type: ignore[override]
        """The status is 1 when the client did not ask for the end before, as the protocol has it."""
        self._server.leave(self.exit_status)

    @property
    def exit_status(self) -> int:
        """What the process ends with: 0 when it was told to end beforehand."""
        return 0 if self._shutdown else 1

    @staticmethod
    def _heed(handler: Callable[[Any], None], params: Any) -> None:
        try:
            handler(params)
        except InvalidParams as error:
            log.warning("%s: ignored", error)


def _first_problem(error: BaseException | None) -> str:
    """What cattrs found wrong first, in words: it nests its findings."""
    where: list[str] = []
    while error is not None:
        notes = [str(note) for note in getattr(error, "__notes__", ())]
        where += [note.rsplit("attribute ", 1)[-1] for note in notes if "attribute " in note]
        inside = getattr(error, "exceptions", None)
        if not inside:
            break
        error = inside[0]
    # The outermost class is the message itself, and its attribute is "params".
    place = ".".join(where[1:] if where[:1] == ["params"] else where)
    if isinstance(error, KeyError):
        return f"{'.'.join(part for part in (place,) if part) or error.args[0]} is missing"
    reason = f"{type(error).__name__}: {error}" if error is not None else "does not fit"
    return f"{place}: {reason}" if place else reason
