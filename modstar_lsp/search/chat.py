"""One request to the reader of a user's own: messages in, the text of its answer out.

What was connected to is looked at once more before anything is sent: a name may stand for another machine. No
proxy is used and no redirection followed. Whoever gives up hangs up, so that the model stops working.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import TYPE_CHECKING, Any

from modstar_lsp.errors import ReaderError, reason
from modstar_lsp.search.own_reader import OwnReader, is_loopback

if TYPE_CHECKING:
    from modstar_lsp.index.records import Cancelled

Messages = Sequence[Mapping[str, str]]

# A model that never stops is stopped; one that thinks before it answers has room to.
_MOST_ANSWER_TOKENS = 2_000
# An order takes a hundred bytes.
_MOST_ANSWER_BYTES = 1_000_000
# So often it is asked whether anybody still waits.
_CANCEL_LOOK_SECONDS = 0.05


def complete(reader: OwnReader, messages: Messages, seconds: float, cancelled: Cancelled | None) -> str:
    """What the model answers to `messages`, within `seconds`.

    cancelled: asked while it works. Raises ReaderError, with why there is no answer.
    """
    call = _Call(reader, messages, seconds)
    Thread(target=call.run, name="modstar-reader", daemon=True).start()
    end = time.monotonic() + seconds
    while not call.answer.done():
        left = end - time.monotonic()
        withdrawn = cancelled is not None and cancelled()
        if withdrawn or left <= 0:
            call.hang_up()
            raise ReaderError("nobody waits any more" if withdrawn else f"no answer within {seconds:g} s")
        wait([call.answer], min(left, _CANCEL_LOOK_SECONDS))
    try:
        return _content(call.answer.result())
    except HTTPException as error:
        raise ReaderError(f"what came back is no whole HTTP answer ({type(error).__name__})") from None
    except TimeoutError:
        raise ReaderError(f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise ReaderError(reason(error)) from None


class _Call:
    """A request on a thread of its own, which can be given up from another. answer: the body."""

    def __init__(self, reader: OwnReader, messages: Messages, seconds: float) -> None:
        self.answer: Future[bytes] = Future()
        self._path = reader.path
        self._body = _request_body(reader, messages)
        self._connection = HTTPConnection(reader.host, reader.port, timeout=seconds)
        self._socket: socket.socket | None = None
        self._is_over = False

    def run(self) -> None:
        """Make the request; `answer` then has what came back or what went wrong."""
        try:
            self.answer.set_result(self._post())
        except Exception as error:
            self.answer.set_exception(error)
        finally:
            self._connection.close()

    def hang_up(self) -> None:
        """Nobody waits for the answer any more."""
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _post(self) -> bytes:
        self._connection.connect()
        self._socket = self._connection.sock
        peer = self._socket.getpeername()[0]
        if not is_loopback(peer):
            raise ReaderError(f"{self._connection.host} is another machine ({peer}): nothing was sent there")
        if self._is_over:
            return b""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        self._connection.request("POST", self._path, self._body, headers)
        response = self._connection.getresponse()
        body = response.read(_MOST_ANSWER_BYTES + 1)
        if response.status != 200:
            raise ReaderError(f"it answers {response.status} {_why(body) or response.reason}".strip())
        if len(body) > _MOST_ANSWER_BYTES:
            raise ReaderError(f"its answer has more than {_MOST_ANSWER_BYTES:,} bytes")
        return body


def _request_body(reader: OwnReader, messages: Messages) -> bytes:
    wanted: dict[str, Any] = {
        "messages": messages,
        "temperature": 0,
        "max_tokens": _MOST_ANSWER_TOKENS,
        "stream": False,
    }
    if reader.model:
        wanted["model"] = reader.model
    return json.dumps(wanted).encode("ascii")


def _content(body: bytes) -> str:
    """The text of a chat completion. Raises ReaderError."""
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        content = None
    if not isinstance(content, str):
        raise ReaderError("its answer is no chat completion")
    return content


def _why(body: bytes) -> str:
    """What a server says of an error, in one line; "" when it says nothing that can be read."""
    try:
        said = json.loads(body)["error"]
        return " ".join(str(said["message"] if isinstance(said, dict) else said).split())[:200]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
