"""Open documents as they stand in the editor, and a root's index with them laid over it.

Taking an edit down costs the same whatever the size of the document: it is applied when somebody asks for
the text, and the text is divided and embedded when the next question comes. Nothing of it is ever written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from modstar_lsp.server.positions import Buffer, Encoding, Lines, Span, content, split_lines
from modstar_lsp.server.protocol import InvalidParams
from modstar_lsp.server.uris import relative, to_path

if TYPE_CHECKING:
    from modstar_lsp.chunking import Outlined
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import Snapshot, View
    from modstar_lsp.index.reading.unsaved import UnsavedDocument

# Eight times what is searched of a file. Lines of it, and two copies, take some ten times its size.
_MAX_CHARACTERS = 8_000_000
# So many documents are divided and embedded for a question, those edited or opened last first, 10 to 30 ms
# each; the others by a thread, for the next question.
_AT_ONCE = 40
_BREATH_SECONDS = 0.005
# Edits kept before they are applied: a few hundredths of a millisecond each in a document of 10,000 lines.
_PENDING_EDITS = 50

#: The span that is replaced, None for the whole document, and the text put there.
Edit = tuple["Span | None", str]

T = TypeVar("T")


class Document:
    """One open document. Edits may come from one thread while others ask for the text.

    version: as the client counts.  changed: counts up with every edit.  edited: since it was opened or saved.
    was_saved: whether there was such a file when it was opened, or has been since.
    """

    def __init__(self, uri: str, version: int, text: str, encoding: Encoding) -> None:
        self.uri = uri
        self.path = to_path(uri)
        self.version = version
        self.changed = 0
        self.edited = False
        self.was_saved = self.path is not None and self.path.exists()
        self._opened_unsaved: bool | None = None  # not known yet
        self._encoding = encoding
        self._edits: list[Edit] = []
        self._lock = Lock()
        self._buffer = Buffer(text)  # now, since the first edit should not wait for it
        self._text: str | None = text
        self._outline: tuple[str, Sequence[Outlined]] | None = None

    def edit(self, version: int, edits: Iterable[Edit]) -> None:
        """Takes edits down, each relative to the text that those before it leave."""
        self._edits += list(edits)
        self.version = version
        self.changed += 1
        self.edited = True
        if len(self._edits) > _PENDING_EDITS:
            with self._lock:
                self._catch_up()

    def save(self) -> None:
        """The client wrote the text to the file."""
        self.edited, self.was_saved, self._opened_unsaved = False, True, False

    def is_unsaved(self) -> bool:
        """Whether the client has another text than the file. It is read for that, once."""
        if self.edited:
            return True
        if self._opened_unsaved is None:
            # Editors restore unsaved documents after a restart, theirs or ours, without a word about it.
            self._opened_unsaved = self._differs_from_file()
        return self._opened_unsaved

    def _differs_from_file(self) -> bool:
        from modstar_lsp.files import Unreadable
        from modstar_lsp.files.kinds import MOST_BYTES
        from modstar_lsp.files.opening import read_regular
        from modstar_lsp.files.source import decode

        if self.path is None or not self.was_saved:
            return True
        try:
            saved = decode(self.path.name, read_regular(self.path, MOST_BYTES))
        except (OSError, Unreadable):
            return False  # deleted since, or nothing that we could compare
        # Line ends are the editor's business: it may show others than the file has.
        return [*map(content, split_lines(saved))] != [*map(content, split_lines(self.text))]

    @property
    def text(self) -> str:
        """The text as the client has it."""
        with self._lock:
            self._catch_up()
            if self._text is None:
                self._text = self._buffer.whole_text
            return self._text

    @property
    def lines(self) -> Lines:
        """The lines of the text; they do not change with it."""
        return Lines(self.text)

    def definitions(self) -> Sequence[Outlined]:
        """The definitions in the text, in order. It is parsed, so this takes some milliseconds at first."""
        from modstar_lsp.chunking import outline

        text = self.text
        if self._outline is None or self._outline[0] is not text:
            self._outline = text, outline(self.uri, text)
        return self._outline[1]

    def _catch_up(self) -> None:
        count = len(self._edits)  # more may be coming in meanwhile
        if not count:
            return
        edits = self._edits[:count]
        whole = [number for number, (span, _) in enumerate(edits) if span is None]
        for span, text in edits[whole[-1] if whole else 0 :]:
            self._buffer.replace(span, text, self._encoding)
        del self._edits[:count]
        self._text = None


class Documents:
    """What is open in the editor, wherever it lies."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self._open: dict[str, Document] = {}

    def open(self, uri: str, version: int, text: str) -> None:
        """The client shows a document; one of that URI that was open is forgotten.

        A text beyond what can be searched is not kept: the document counts as one that is not open.
        """
        if len(text) > _MAX_CHARACTERS:
            self._open.pop(uri, None)
        else:
            self._open[uri] = Document(uri, version, text, self.encoding)

    def open_raw(self, params: Any) -> str:
        """`open` from the params of textDocument/didOpen; the URI. Raises InvalidParams."""
        with _fitting("textDocument/didOpen", "{ textDocument: { uri, version, text } }"):
            item = params["textDocument"]
            uri, text = _a(str, item["uri"]), _a(str, item["text"])
            self.open(uri, _version(item), text)
            return uri

    def change_raw(self, params: Any) -> str:
        """`change` from the params of textDocument/didChange; the URI. Raises InvalidParams."""
        with _fitting(
            "textDocument/didChange", "{ textDocument: { uri }, contentChanges: [{ range?, text }] }"
        ):
            item = params["textDocument"]
            uri = _a(str, item["uri"])
            self.change(uri, _version(item), [_edit(change) for change in params["contentChanges"]])
            return uri

    def change(self, uri: str, version: int, edits: Iterable[Edit]) -> None:
        """Edits of a document that was never opened are dropped: there is nothing to apply them to."""
        document = self._open.get(uri)
        edits = list(edits)
        if any(len(text) > _MAX_CHARACTERS for _, text in edits):
            self._open.pop(uri, None)
        elif document is not None:
            document.edit(version, edits)

    def saved(self, uri: str) -> None:
        """The client wrote a document to its file; one that is not open is left alone."""
        document = self._open.get(uri)
        if document is not None:
            document.save()

    def close(self, uri: str) -> None:
        """The client shows the document no longer, and what was not saved is lost."""
        self._open.pop(uri, None)

    def get(self, uri: str) -> Document | None:
        """The open document of that URI, None when there is none."""
        return self._open.get(uri)

    def documents(self) -> Sequence[Document]:
        """All open documents, in the order in which they were opened."""
        return list(self._open.values())


@contextmanager
def _fitting(method: str, shape: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidParams(f"{method}: expected {shape}") from error


def _a(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _version(item: Any) -> int:
    version = item.get("version")
    return version if isinstance(version, int) else 0


def _edit(change: Any) -> Edit:
    span = change.get("range")
    text = _a(str, change["text"])
    if span is None:
        return None, text
    start, end = span["start"], span["end"]
    return (
        (_a(int, start["line"]), _a(int, start["character"])),
        (_a(int, end["line"]), _a(int, end["character"])),
    ), text


class _Seen(NamedTuple):
    """A document as it was when it was last looked at. unsaved: None until it is needed."""

    document: Document
    changed: int
    digest: bytes
    unsaved: UnsavedDocument | None


class UnsavedDocuments:
    """The open documents below one folder, laid over its index.

    max_bytes: the size of the largest file that the index takes.  allowed: whether a file (path relative to
    the folder) belongs to the workspace: what the index would not take from the disk is not taken from the
    editor either.
    """

    def __init__(
        self,
        folder: Path,
        documents: Documents,
        encoder: Encoder,
        max_bytes: Callable[[], int],
        allowed: Callable[[str], bool],
    ) -> None:
        self._folder = folder
        self._documents = documents
        self._encoder = encoder
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._paths: dict[str, str | None] = {}  # by URI
        self._verdicts: dict[str, bool] = {}
        self._seen: dict[str, _Seen] = {}
        self._left = 0  # of the documents that this question may have divided
        self._catching_up: Thread | None = None
        self._view: tuple[Snapshot, Sequence[UnsavedDocument], View] | None = None

    def over(self, snapshot: Snapshot) -> View:
        """`snapshot` with the documents over it that differ from it; good as long as `snapshot` is pinned."""
        from modstar_lsp.index.reading.unsaved import UnsavedView

        with self._lock:
            here = self._here()
            self._seen = {path: seen for path, seen in self._seen.items() if path in here}
            self._left = _AT_ONCE
            # The last opened first, and before those the edited ones.
            order = [*reversed(here.items())]
            order.sort(key=lambda item: not item[1].edited)
            found = [self._unsaved(path, document, snapshot) for path, document in order]
            unsaved = sorted((one for one in found if one is not None), key=lambda one: one.path)
            if self._left < 0:
                self._catch_up()
            if not unsaved:
                self._view = None
                return snapshot
            if self._view is None or not self._is_of(self._view, snapshot, unsaved):
                self._view = snapshot, unsaved, UnsavedView(snapshot, unsaved)
            return self._view[2]

    @staticmethod
    def _is_of(
        view: tuple[Snapshot, Sequence[UnsavedDocument], View],
        snapshot: Snapshot,
        unsaved: Sequence[UnsavedDocument],
    ) -> bool:
        same = view[0] is snapshot and len(view[1]) == len(unsaved)
        return same and all(one is other for one, other in zip(view[1], unsaved, strict=True))

    def _here(self) -> dict[str, Document]:
        """The open documents below the folder, by path. Of two names for one file the edited one counts."""
        here: dict[str, Document] = {}
        for document in self._documents.documents():
            path = self._path(document)
            if path is not None and (path not in here or document.edited):
                here[path] = document
        return here

    def _path(self, document: Document) -> str | None:
        if document.uri not in self._paths:
            self._paths[document.uri] = relative(self._folder, document.uri)
        return self._paths[document.uri]

    def _unsaved(self, path: str, document: Document, snapshot: Snapshot) -> UnsavedDocument | None:
        """What to lay over `snapshot`; None when that says the same, or it is not of the workspace."""
        from modstar_lsp.index.reading.unsaved import digest_of

        seen = self._seen.get(path)
        changed = document.changed
        if seen is None or seen.document is not document or seen.changed != changed:
            seen = self._seen[path] = _Seen(document, changed, digest_of(document.text), None)
        indexed = snapshot.digest(path)
        if seen.digest == indexed:
            return None
        if seen.unsaved is None:
            self._left -= 1
            if self._left < 0:
                return None
        if not self._counts(path, document, indexed):
            return None
        if seen.unsaved is None:
            seen = self._seen[path] = self._divided(path, seen)
        assert seen.unsaved is not None
        return seen.unsaved if seen.unsaved.readable or indexed else None

    def _divided(self, path: str, seen: _Seen) -> _Seen:
        from modstar_lsp.index.reading.unsaved import unsaved_document

        made = unsaved_document(path, seen.document.text, self._encoder, self._max_bytes())
        return seen._replace(digest=made.digest, unsaved=made)

    def _catch_up(self) -> None:
        if self._catching_up is None or not self._catching_up.is_alive():
            pending = [path for path, seen in self._seen.items() if seen.unsaved is None]
            self._catching_up = Thread(target=self._divide, args=(pending,), daemon=True)
            self._catching_up.start()

    def _divide(self, paths: Iterable[str]) -> None:
        """Divides documents that a question did not wait for, so that the next one has them."""
        for path in paths:
            with self._lock:
                seen = self._seen.get(path)
                if seen is not None and seen.unsaved is None and self._is_allowed(path):
                    self._seen[path] = self._divided(path, seen)
            time.sleep(_BREATH_SECONDS)  # for a question that waits

    def _is_allowed(self, path: str) -> bool:
        if path not in self._verdicts:
            self._verdicts[path] = self._allowed(path)
        return self._verdicts[path]

    def _counts(self, path: str, document: Document, indexed: bytes) -> bool:
        # An untouched document whose file is gone was deleted behind the editor's back.
        if document.was_saved and not document.edited and document.path and not document.path.exists():
            return False
        return bool(indexed) or self._is_allowed(path)

    def reconsider(self) -> None:
        """Ignore rules or settings changed: asks again which files belong to the workspace."""
        with self._lock:
            self._verdicts.clear()

    def document(self, path: str) -> Document | None:
        """The open document that is the file `path`."""
        return self._here().get(path)

    def text(self, path: str) -> str | None:
        """The text of the open document that is the file `path`, None when it is not open."""
        document = self.document(path)
        return None if document is None else document.text
