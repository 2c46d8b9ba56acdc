"""An HTTP server that plays the reader of a user's own: an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
import re
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, NamedTuple

from tests.http_serving import QuietHandler, serving


class Request(NamedTuple):
    """What somebody posted."""

    path: str
    body: dict[str, Any]

    @property
    def pieces(self) -> int:
        """How many candidates it shows."""
        return len(re.findall(r"^Piece \d+: ", self.body["messages"][-1]["content"], re.MULTILINE))


def completion(content: str | None) -> tuple[int, bytes]:
    """The response with a model's answer."""
    message = {"role": "assistant", "content": content}
    return 200, json.dumps({"choices": [{"index": 0, "message": message}]}).encode()


def last_first(request: Request) -> tuple[int, bytes]:
    """The last candidate is the best, the others are left out."""
    return completion(f"[{request.pieces}]")


class Endpoint:
    """What the server does and saw. answer: of a request, None to hang up.  hold: waited for before it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.answer: Callable[[Request], tuple[int, bytes] | None] = last_first
        self.hold: Event | None = None
        self.requests: list[Request] = []
        self.was_asked = Event()
        #: Whoever asked hung up before the answer.
        self.was_left = Event()


@contextmanager
def playing() -> Iterator[Endpoint]:
    """A server on a free port, as long as the `with` statement runs."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = Request(self.path, body)
            endpoint.requests.append(request)
            endpoint.was_asked.set()
            while endpoint.hold is not None and not endpoint.hold.wait(0.02):
                if select.select([self.connection], [], [], 0)[0]:  # the end of what is sent
                    endpoint.was_left.set()
                    return
            answer = endpoint.answer(request)
            if answer is None:
                return
            status, content = answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as port:
        endpoint = Endpoint(port)
        yield endpoint
