"""JSON-RPC 2.0: what a message asks for (`Methods`), and messages by lines (`Connection`).

Requests that take time run on threads of their own, so that a ping and a cancellation are heard meanwhile.
What is sent waits in a queue: neither a tool nor this reader ever waits for a client that does not read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from queue import Full, Queue
from typing import Any, BinaryIO, NamedTuple

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

#: Longer messages are an accident: a question is a page at most.
MESSAGE_BYTES = 4_000_000
# A client that has so many answers unread does not read at all.
_UNREAD = 1_000
# Calls that are answered at the same time; more are refused.
_CALLS = 32

Message = dict[str, Any]
Id = str | int


class RpcError(Exception):
    """A request that cannot be answered: a code of JSON-RPC and one line."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Call:
    """A request in progress. `cancelled` may become true at any time."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more. For any thread."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """The client takes its request back."""
        self._cancelled.set()


#: What a method answers at once, from its params. Raises RpcError.
Quick = Callable[[Any], Message]
#: The same on a thread of its own.
Slow = Callable[[Any, Call], Message]


class PendingAnswer(NamedTuple):
    """What a message asks for. run: makes the answer, None when nobody wants it any more.

    slow: whether that takes time.
    """

    run: Callable[[], Message | None]
    slow: bool = False


class Methods:
    """What one client may ask, and what it has asked. For any thread."""

    def __init__(self, quick: Mapping[str, Quick], slow: Mapping[str, Slow]) -> None:
        self._quick = quick
        self._slow = slow
        self._calls: dict[Id, Call] = {}
        self._lock = threading.Lock()

    def take(self, message: Any) -> PendingAnswer | None:
        """What a message asks for; None for one without an answer, which is obeyed at once."""
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return _refusal(_id(message), INVALID_REQUEST, "not a JSON-RPC 2.0 message")
        method, params = message.get("method"), message.get("params")
        if method is None and ("result" in message or "error" in message):
            return None  # nothing was asked of the client
        if not isinstance(method, str):
            return _refusal(_id(message), INVALID_REQUEST, "method must be a string")
        if "id" not in message:
            if method == "notifications/cancelled" and isinstance(params, dict):
                self._cancel(params.get("requestId"))
            return None
        if (asked := _id(message)) is None:
            return _refusal(None, INVALID_REQUEST, "id must be a string or a whole number")
        if method in self._quick:
            return PendingAnswer(lambda: _answer(asked, lambda: self._quick[method](params)))
        if method in self._slow:
            return self._begun(asked, self._slow[method], params)
        return _refusal(asked, METHOD_NOT_FOUND, f"no such method: {method[:100]}")

    def _begun(self, asked: Id, method: Slow, params: Any) -> PendingAnswer:
        call = Call()
        with self._lock:
            taken, many = asked in self._calls, len(self._calls) >= _CALLS
            if not taken and not many:
                self._calls[asked] = call
        if taken:
            return _refusal(asked, INVALID_REQUEST, f"id {asked!r} is that of a request in progress")
        if many:
            return _refusal(asked, INTERNAL_ERROR, f"{_CALLS} calls are in progress: wait for their answers")

        def run() -> Message | None:
            answer = _answer(asked, lambda: method(params, call))
            with self._lock:
                del self._calls[asked]
            # Nobody waits for a cancelled one, and the protocol wants no answer.
            return None if call.cancelled else answer

        return PendingAnswer(run, slow=True)

    def _cancel(self, asked: Any) -> None:
        with self._lock:
            call = self._calls.get(asked) if isinstance(asked, str | int) else None
        if call is not None:
            call.cancel()


class Connection:
    """One client. stuck: called when it does not read what it is sent, or is gone; it ends the process."""

    def __init__(
        self, source: BinaryIO, target: BinaryIO, methods: Methods, stuck: Callable[[], None]
    ) -> None:
        self._source = source
        self._target = target
        self._methods = methods
        self._stuck = stuck
        self._out: Queue[bytes] = Queue(_UNREAD)

    def serve(self) -> None:
        """Answers every message until the input ends."""
        threading.Thread(target=self._write, name="modstar-answers", daemon=True).start()
        while line := self._source.readline(MESSAGE_BYTES + 1):
            if len(line) > MESSAGE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = self._source.readline(MESSAGE_BYTES)
                self._send(_refused(None, INVALID_REQUEST, f"a message has {MESSAGE_BYTES:,} bytes at most"))
            elif line.strip():
                self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._send(_refused(None, PARSE_ERROR, "not valid JSON"))
            return
        # Version 2025-03-26 lets a client send several at once; each is answered by itself.
        for one in message if isinstance(message, list) and message else [message]:
            job = self._methods.take(one)
            if job is not None and job.slow:
                threading.Thread(target=self._do, args=(job,), daemon=True).start()
            elif job is not None:
                self._do(job)

    def _do(self, job: PendingAnswer) -> None:
        answer = job.run()
        if answer is not None:
            self._send(answer)

    def _send(self, message: Message) -> None:
        try:
            self._out.put_nowait(json.dumps(message).encode() + b"\n")
        except Full:
            self._stuck()

    def _write(self) -> None:
        try:
            while True:
                self._target.write(self._out.get())
                self._target.flush()
                self._out.task_done()
        except (OSError, ValueError):
            self._stuck()

    def drain(self, seconds: float) -> None:
        """Waits until all that was sent has been written, for so long at most."""
        deadline = time.monotonic() + seconds
        while self._out.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)


def _answer(asked: Id, method: Callable[[], Message]) -> Message:
    try:
        return {"jsonrpc": "2.0", "id": asked, "result": method()}
    except RpcError as error:
        return _refused(asked, error.code, str(error))
    except Exception as error:
        return _refused(
            asked, INTERNAL_ERROR, " ".join(f"unexpected {type(error).__name__}: {error}".split())
        )


def _refusal(asked: Id | None, code: int, message: str) -> PendingAnswer:
    return PendingAnswer(lambda: _refused(asked, code, message))


def _refused(asked: Id | None, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": asked, "error": {"code": code, "message": message}}


def _id(message: Any) -> Id | None:
    asked = message.get("id") if isinstance(message, dict) else None
    return asked if isinstance(asked, str | int) and not isinstance(asked, bool) else None
