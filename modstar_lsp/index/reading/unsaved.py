"""Texts that are not in the index, or not as they stand there, searched as if they were. Nothing is written.

An unsaved document takes the place of the file with its path. Laid over a snapshot it gives what the index
would give once that text were saved and indexed, to the last bit, so an editor's buffers rank among the files
by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.files.kinds import MAX_BYTES
from modstar_lsp.files.source import SNIFF_BYTES, content_reason
from modstar_lsp.index.reading.snapshot import Snapshot
from modstar_lsp.index.reading.whole import Whole
from modstar_lsp.index.records import StoredChunk
from modstar_lsp.index.vectors.quantised import Quantised, top
from modstar_lsp.index.words.postings import unpack
from modstar_lsp.index.words.terms import DEFINES
from modstar_lsp.index.writing.analysis import analyse_text, storable, text_digest

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index.reading.view import View

# Unsaved documents are embedded at the exit that takes no transformer.
_EXIT = 0


class UnsavedDocument(NamedTuple):
    """The text of one file, divided and embedded.

    readable: False for what is none to search (see `files.read_source`); it hides the file then.
    digest: of the text.  chunks, lengths, embedded: of each chunk, the last the digest of its embedded text.
    postings: by term, the chunks that hold it and how often.  vectors: of each chunk, at exit 0.
    """

    path: str
    language: str
    readable: bool
    digest: bytes
    chunks: Sequence[StoredChunk]
    lengths: Floats
    embedded: Sequence[bytes]
    postings: dict[str, tuple[Rows, Floats]]
    vectors: Quantised


def unsaved_document(path: str, text: str, encoder: Encoder, max_bytes: int = MAX_BYTES) -> UnsavedDocument:
    """The text that the file `path` might hold, ready to be searched; none of more than `max_bytes`."""
    text = _as_read(text)
    digest = text_digest(text)
    if "\0" in text[:SNIFF_BYTES] or len(text.encode()) > max_bytes or content_reason(path, text):
        return hidden_document(path, encoder, digest)
    analysis = analyse_text(path, text, encoder)
    (file,) = analysis.files
    if file.reason or not analysis.details:
        return hidden_document(path, encoder, digest)._replace(
            language=file.language, readable=not file.reason
        )
    numbers = {digest: number for number, digest in enumerate(analysis.embedded)}
    of_chunk = [numbers[digest] for digest in analysis.digests]
    return UnsavedDocument(
        path=path,
        language=file.language,
        readable=True,
        digest=digest,
        chunks=[StoredChunk.of_detail(path, file.language, detail) for detail in analysis.details],
        lengths=analysis.lengths.astype(np.float32),
        embedded=analysis.digests,
        postings=unpack(analysis.postings, analysis.terms),
        vectors=Quantised(analysis.vectors.codes[of_chunk], analysis.vectors.scales[of_chunk]),
    )


def digest_of(text: str) -> bytes:
    """What `Snapshot.digest` gives for a file with this text."""
    return text_digest(_as_read(text))


def _as_read(text: str) -> str:
    return storable(text.removeprefix("\ufeff"))


def hidden_document(path: str, encoder: Encoder, digest: bytes = b"") -> UnsavedDocument:
    """What takes the file `path` out of a view. digest: of its text, if it has one."""
    empty = np.zeros(0, np.float32)
    return UnsavedDocument(
        path,
        "",
        False,
        digest,
        (),
        empty,
        (),
        {},
        Quantised(np.zeros((0, encoder.bundle.indexed), np.int8), empty),
    )


class UnsavedView(Whole):
    """A snapshot with unsaved documents over it, to be searched like one as long as that is pinned: a `View`.

    documents: one a path; each hides the file with its path.
    """

    def __init__(self, snapshot: Snapshot, documents: Iterable[UnsavedDocument]) -> None:
        self._snapshot = snapshot
        self._documents = sorted(documents, key=lambda document: document.path)
        self._number_files()
        self._number_rows()

    @classmethod
    def over(cls, snapshot: Snapshot, view: View, documents: Iterable[UnsavedDocument]) -> UnsavedView:
        """`view`, which is of `snapshot`, with more documents in place of what it has at their paths."""
        before = view._documents if isinstance(view, UnsavedView) else ()
        return cls(snapshot, {one.path: one for one in (*before, *documents)}.values())

    def _number_files(self) -> None:
        snapshot = self._snapshot
        hidden = {document.path for document in self._documents}
        languages = {p: s for p, s in zip(snapshot.paths, snapshot.languages, strict=True) if p not in hidden}
        languages.update(
            (document.path, document.language) for document in self._documents if document.readable
        )
        self.paths: Sequence[str] = sorted(languages)
        self.languages: Sequence[str] = [languages[path] for path in self.paths]
        number = {path: position for position, path in enumerate(self.paths)}
        self._file = np.array(
            [-1 if path in hidden else number[path] for path in snapshot.paths] or [-1], np.int32
        )
        self._document_file = [number.get(document.path, -1) for document in self._documents]

    def _number_rows(self) -> None:
        """Rows by path, then line.

        `_row`: of each row of the snapshot, -1 when hidden.  `_document_row`: of each chunk of the
        documents, put one after the other.  `_origin`: back from a row, ~chunk for those of the documents.
        """
        snapshot = self._snapshot
        files = self._file[snapshot.file_of] if snapshot.n else np.zeros(0, np.int32)
        kept = np.flatnonzero(files >= 0)
        self._hidden = snapshot.n - len(kept)
        sizes = [len(document.chunks) for document in self._documents]
        document_files = np.repeat(np.array(self._document_file, np.int32), sizes)
        together = np.concatenate((files[kept], document_files))
        order = np.argsort(together, kind="stable")
        self.n = len(order)
        self.file_of: Rows = together[order].astype(np.int32)
        self._origin = np.concatenate((kept, ~np.arange(len(document_files))))[order].astype(np.int32)
        place = np.empty(self.n, np.int32)
        place[order] = np.arange(self.n, dtype=np.int32)
        self._row = np.full(snapshot.n, -1, np.int32)
        self._row[kept] = place[: len(kept)]
        self._document_row: Rows = place[len(kept) :]
        self._first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        lengths = [snapshot.lengths[kept], *(document.lengths for document in self._documents)]
        self.lengths: Floats = np.concatenate(lengths)[order]
        totals = np.bincount(self.file_of, self.lengths, len(self.paths))
        self.file_lengths: Floats = totals.astype(np.float32)

    @property
    def indexed_share(self) -> float:
        """As of the snapshot below: unsaved documents add nothing to what was read."""
        return self._snapshot.indexed_share

    @property
    def exits(self) -> NDArray[np.uint8]:
        """The exit at which the vector of each row was made."""
        exits = np.full(self.n, _EXIT, np.uint8)
        stored = self._origin >= 0
        exits[stored] = self._snapshot.exits[self._origin[stored]]
        return exits

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
        """See `View`. Rows of the snapshot that documents hide are left out."""
        wanted = list(dict.fromkeys(terms))
        stored = self._snapshot.postings(wanted)
        found = {}
        for term in wanted:
            parts = []
            if term in stored:
                rows, counts = stored[term]
                rows = self._row[rows]
                if self._hidden:
                    kept = rows >= 0
                    rows, counts = rows[kept], counts[kept]
                parts.append((rows, counts))
            for first, document in zip(self._first, self._documents, strict=False):
                if term in document.postings:
                    chunks, counts = document.postings[term]
                    parts.append((self._document_row[first + chunks], counts))
            rows = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int32)
            if rows.size:
                counts = np.concatenate([part[1] for part in parts])
                order = np.argsort(rows, kind="stable") if len(parts) > 1 else slice(None)
                found[term] = rows[order], counts[order]
        return found

    def defining(self, names: Iterable[str]) -> dict[str, Rows]:
        """See `View`."""
        found = self.postings(DEFINES + name.lower() for name in names)
        return {term.removeprefix(DEFINES): rows for term, (rows, _) in found.items()}

    def names(self, least: int, most: int) -> list[str]:
        """The names that are defined, in lower case, of `least` to `most` characters."""
        terms = (term for document in self._documents for term in document.postings)
        ours = (term[len(DEFINES) :] for term in terms if term.startswith(DEFINES))
        return [*self._snapshot.names(least, most), *(name for name in ours if least <= len(name) <= most)]

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """See `View`. Of the snapshot as many more are asked for as documents hide."""
        if rows is None:
            stored, cosines = self._snapshot.nearest(query, k + self._hidden)
            at = self._row[stored]
            at, cosines = at[at >= 0], cosines[at >= 0]
            rows = np.concatenate((at, self._document_row))
            cosines = np.concatenate((cosines, self._vectors.cosines(query)))
            order = np.argsort(rows, kind="stable")
            rows, cosines = rows[order], cosines[order]
        else:
            rows = np.asarray(rows, np.int32)
            cosines = self.cosines(query, rows)
        best = top(cosines, k)
        return rows[best], cosines[best]

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """See `View`. A document's chunk has the deepest vector that is known for its text."""
        origin = self._origin[rows]
        stored = origin >= 0
        cosines = np.empty(len(origin), np.float32)
        cosines[stored] = self._snapshot.cosines(query, origin[stored])
        if not stored.all():
            cosines[~stored] = self._vectors.cosines(query, ~origin[~stored])
        return cosines

    @cached_property
    def _vectors(self) -> Quantised:
        """Of the documents' chunks: what the index has for the same text (it may be deeper), else ours."""
        codes = np.concatenate([document.vectors.codes for document in self._documents])
        scales = np.concatenate([document.vectors.scales for document in self._documents])
        embedded = [digest for document in self._documents for digest in document.embedded]
        known = self._snapshot.vector_numbers(embedded)
        if known:
            stored = self._snapshot.quantised()
            at = [position for position, digest in enumerate(embedded) if digest in known]
            numbers = [known[embedded[position]] for position in at]
            codes[at], scales[at] = stored.codes[numbers], stored.scales[numbers]
        return Quantised(codes, scales)

    def chunks(self, rows: Iterable[int]) -> list[StoredChunk]:
        """See `View`."""
        origin = self._origin[[int(row) for row in rows]] if self.n else np.zeros(0, np.int32)
        stored = iter(self._snapshot.chunks(origin[origin >= 0]))
        ours = [chunk for document in self._documents for chunk in document.chunks]
        return [next(stored) if row >= 0 else ours[~row] for row in origin.tolist()]
