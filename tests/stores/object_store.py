"""An object store as Amazon's S3 is one, in memory: what LanceDB asks of it, conditional writes included."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from tests.http_serving import QuietHandler, serving

_WHEN = "2026-01-01T00:00:00.000Z"


class ObjectStore:
    """What is in the store, by key."""

    def __init__(self, port: int) -> None:
        self.objects: dict[str, bytes] = {}
        self.lock = Lock()
        #: What a process needs to find it.
        self.environment = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer takes 40 ms
    store: ObjectStore

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/").partition("/")[2]

    @property
    def _query(self) -> dict[str, str]:
        return {name: found[0] for name, found in parse_qs(urlsplit(self.path).query, True).items()}

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.store.lock:
            if self.headers.get("If-None-Match") == "*" and self._key in self.store.objects:
                return self._say(412)
            self.store.objects[self._key] = body
        self._say(200, tag=body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if "list-type" in self._query:
            return self._list(self._query)
        body = self.store.objects.get(self._key)
        if body is None:
            return self._say(404)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._say(200, body, tag=body)
        first, last = asked.groups()
        start = int(first) if first else len(body) - int(last)
        end = min(int(last) + 1 if first and last else len(body), len(body))
        self._say(206, body[start:end], tag=body, **{"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if "delete" not in self._query:
            return self._say(501)
        keys = re.findall(r"<Key>(.*?)</Key>", body)
        with self.store.lock:
            for key in keys:
                self.store.objects.pop(unescape(key), None)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._say(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def _list(self, asked: Mapping[str, str]) -> None:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        folders, files = set(), []
        for key, body in sorted(self.store.objects.items()):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix) or key <= asked.get("start-after", ""):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                files.append((key, body))
        parts = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_WHEN}</LastModified>"
            f"<ETag>{_tag(body)}</ETag><Size>{len(body)}</Size></Contents>"
            for key, body in files
        ]
        parts += [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        ]
        said = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(parts)}</ListBucketResult>"
        self._say(200, said.encode())

    def _say(self, status: int, body: bytes = b"", tag: bytes | None = None, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        if tag is not None:
            self.send_header("ETag", _tag(tag))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store on a free port, as long as the `with` statement runs."""
    handler = type("Handler", (_Handler,), {})
    with serving(handler) as port:
        handler.store = store = ObjectStore(port)  # type: ignore[attr-defined]
        yield store
