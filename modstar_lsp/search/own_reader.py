"""Which reader of their own a user has: a model behind an OpenAI-compatible endpoint on this machine.

The user's environment says so, and nothing else: a workspace, and what an editor's settings take from one,
has no say in where code is sent. Any address but the machine's own is refused.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from modstar_lsp.errors import ReaderError

#: The endpoint, as clients of such servers call it: `http://127.0.0.1:8080/v1`.
URL_VARIABLE = "MODSTAR_READER"
#: Which of the server's models, where it has several.
MODEL_VARIABLE = "MODSTAR_READER_MODEL"
#: How long it may take for one question.
SECONDS_VARIABLE = "MODSTAR_READER_SECONDS"

# A model of some billion parameters on a processor without a graphics card takes about so long to begin.
_SECONDS = 10.0
_MOST_SECONDS = 600.0


class OwnReader(NamedTuple):
    """Where to ask. path: of the chat completions.  model: "" for the only one.  seconds: for a question."""

    host: str
    port: int
    path: str
    model: str
    seconds: float

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.model} at {host}:{self.port}" if self.model else f"{host}:{self.port}"


def own_reader() -> OwnReader | None:
    """What the environment says, None when it names no reader. Raises ReaderError for what is not allowed."""
    url = os.environ.get(URL_VARIABLE, "").strip()
    if not url:
        return None
    host, port, path = _on_this_machine(url)
    return OwnReader(host, port, path, os.environ.get(MODEL_VARIABLE, "").strip(), _seconds())


def is_loopback(host: str) -> bool:
    """Whether an address, no name, is this machine's own: 127.0.0.0/8 or ::1."""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _on_this_machine(url: str) -> tuple[str, int, str]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:  # a port that is none, half of an IPv6 address
        parts, host, port = None, "", 0
    sendable = url.isascii() and url.isprintable() and " " not in url
    if parts is None or parts.scheme != "http" or not host or not sendable:
        raise ReaderError(f"{URL_VARIABLE} must be like http://127.0.0.1:8080/v1, not {url[:80]!r}")
    if host != "localhost" and not is_loopback(host):
        raise ReaderError(
            f"{URL_VARIABLE} is {url[:80]!r}, which may be another machine: "
            "only 127.0.0.1, ::1 and localhost are asked"
        )
    path = parts.path.rstrip("/") or "/v1"
    return host, port, path if path.endswith("/chat/completions") else f"{path}/chat/completions"


def _seconds() -> float:
    given = os.environ.get(SECONDS_VARIABLE, "").strip()
    try:
        seconds = float(given) if given else _SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise ReaderError(
            f"{SECONDS_VARIABLE} must be a number above 0, at most {_MOST_SECONDS:g}, not {given[:40]!r}"
        )
    return seconds
