"""Texts that are not in the index, or not as they stand there, searched as if they were. Nothing is written.

A draft takes the place of the file with its path. Laid over a snapshot it gives what the index would give
once that text were saved and indexed, to the last bit, so an editor's buffers rank among the files by the
same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.files.kinds import MAX_BYTES
from modstar_lsp.files.source import SNIFF_BYTES, content_reason
from modstar_lsp.index.analysis import analyse_text, storable, text_digest
from modstar_lsp.index.postings import unpack
from modstar_lsp.index.snapshot import KINDS, Floats, Rows, Snapshot, StoredChunk, stored_symbols, top
from modstar_lsp.index.terms import DEFINES
from modstar_lsp.index.vectors import Quantised

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder

# Drafts are embedded at the exit that takes no transformer.
_EXIT = 0


class Draft(NamedTuple):
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


def draft(path: str, text: str, encoder: Encoder) -> Draft:
    """The text that the file `path` might hold, ready to be searched."""
    text = _as_read(text)
    digest = text_digest(text)
    if "\0" in text[:SNIFF_BYTES] or len(text.encode()) > MAX_BYTES or content_reason(path, text):
        return _nothing(path, digest, encoder.bundle.indexed)
    made = analyse_text(path, text, encoder)
    (file,) = made.files
    if file.reason or not made.details:
        return _nothing(path, digest, encoder.bundle.indexed)._replace(
            language=file.language, readable=not file.reason
        )
    numbers = {digest: number for number, digest in enumerate(made.embedded)}
    of_chunk = [numbers[digest] for digest in made.digests]
    return Draft(
        path=path,
        language=file.language,
        readable=True,
        digest=digest,
        chunks=[
            StoredChunk(
                path, file.language, first, last, KINDS[kind], name, scope, stored_symbols(name, symbols)
            )
            for first, last, kind, name, scope, symbols in made.details
        ],
        lengths=made.lengths.astype(np.float32),
        embedded=made.digests,
        postings=unpack(made.postings, made.terms),
        vectors=Quantised(made.vectors.codes[of_chunk], made.vectors.scales[of_chunk]),
    )


def digest_of(text: str) -> bytes:
    """What `Snapshot.digest` gives for a file with this text."""
    return text_digest(_as_read(text))


def _as_read(text: str) -> str:
    return storable(text.removeprefix("\ufeff"))


def _nothing(path: str, digest: bytes, dimension: int) -> Draft:
    empty = np.zeros(0, np.float32)
    return Draft(
        path, "", False, digest, (), empty, (), {}, Quantised(np.zeros((0, dimension), np.int8), empty)
    )


class Overlaid:
    """A snapshot with drafts over it, to be searched like one; see `Snapshot`. As long as that is pinned.

    drafts: one a path; each hides the file with its path.
    """

    def __init__(self, snapshot: Snapshot, drafts: Iterable[Draft]) -> None:
        self._snapshot = snapshot
        self._drafts = sorted(drafts, key=lambda made: made.path)
        self._number_files()
        self._number_rows()

    def _number_files(self) -> None:
        snapshot = self._snapshot
        hidden = {made.path for made in self._drafts}
        languages = {p: s for p, s in zip(snapshot.paths, snapshot.languages, strict=True) if p not in hidden}
        languages.update((made.path, made.language) for made in self._drafts if made.readable)
        self.paths: list[str] = sorted(languages)
        self.languages: list[str] = [languages[path] for path in self.paths]
        number = {path: position for position, path in enumerate(self.paths)}
        self._file = np.array(
            [-1 if path in hidden else number[path] for path in snapshot.paths] or [-1], np.int32
        )
        self._draft_file = [number.get(made.path, -1) for made in self._drafts]

    def _number_rows(self) -> None:
        """Rows by path, then line.

        `_row`: of each row of the snapshot, -1 when hidden.  `_draft_row`: of each chunk of the drafts, put
        one after the other.  `_origin`: back from a row, ~chunk for those of the drafts.
        """
        snapshot = self._snapshot
        files = self._file[snapshot.file_of] if snapshot.n else np.zeros(0, np.int32)
        kept = np.flatnonzero(files >= 0)
        self._hidden = snapshot.n - len(kept)
        sizes = [len(made.chunks) for made in self._drafts]
        draft_files = np.repeat(np.array(self._draft_file, np.int32), sizes)
        together = np.concatenate((files[kept], draft_files))
        order = np.argsort(together, kind="stable")
        self.n = len(order)
        self.file_of: Rows = together[order].astype(np.int32)
        self._origin = np.concatenate((kept, ~np.arange(len(draft_files))))[order].astype(np.int32)
        place = np.empty(self.n, np.int32)
        place[order] = np.arange(self.n, dtype=np.int32)
        self._row = np.full(snapshot.n, -1, np.int32)
        self._row[kept] = place[: len(kept)]
        self._draft_row: Rows = place[len(kept) :]
        self._first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        lengths = [snapshot.lengths[kept], *(made.lengths for made in self._drafts)]
        self.lengths: Floats = np.concatenate(lengths)[order]
        totals = np.bincount(self.file_of, self.lengths, len(self.paths))
        self.file_lengths: Floats = totals.astype(np.float32)

    @property
    def coverage(self) -> float:
        return self._snapshot.coverage

    @property
    def exits(self) -> NDArray[np.uint8]:
        """The exit at which the vector of each row was made."""
        exits = np.full(self.n, _EXIT, np.uint8)
        stored = self._origin >= 0
        exits[stored] = self._snapshot.exits[self._origin[stored]]
        return exits

    def postings(self, terms: Iterable[str]) -> dict[str, tuple[Rows, Floats]]:
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
            for first, made in zip(self._first, self._drafts, strict=False):
                if term in made.postings:
                    chunks, counts = made.postings[term]
                    parts.append((self._draft_row[first + chunks], counts))
            rows = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int32)
            if rows.size:
                counts = np.concatenate([part[1] for part in parts])
                order = np.argsort(rows, kind="stable") if len(parts) > 1 else slice(None)
                found[term] = rows[order], counts[order]
        return found

    def defining(self, names: Iterable[str]) -> dict[str, Rows]:
        found = self.postings(DEFINES + name.lower() for name in names)
        return {term.removeprefix(DEFINES): rows for term, (rows, _) in found.items()}

    def nearest(self, query: Floats, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        if rows is None:
            stored, cosines = self._snapshot.nearest(query, k + self._hidden)
            at = self._row[stored]
            at, cosines = at[at >= 0], cosines[at >= 0]
            rows = np.concatenate((at, self._draft_row))
            cosines = np.concatenate((cosines, self._vectors.cosines(query)))
            order = np.argsort(rows, kind="stable")
            rows, cosines = rows[order], cosines[order]
        else:
            rows = np.asarray(rows, np.int32)
            cosines = self.cosines(query, rows)
        best = top(cosines, k)
        return rows[best], cosines[best]

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        origin = self._origin[rows]
        stored = origin >= 0
        cosines = np.empty(len(origin), np.float32)
        cosines[stored] = self._snapshot.cosines(query, origin[stored])
        if not stored.all():
            cosines[~stored] = self._vectors.cosines(query, ~origin[~stored])
        return cosines

    @cached_property
    def _vectors(self) -> Quantised:
        """Of the chunks of the drafts: what the index has for the same text (it may be deeper), else ours."""
        codes = np.concatenate([made.vectors.codes for made in self._drafts])
        scales = np.concatenate([made.vectors.scales for made in self._drafts])
        embedded = [digest for made in self._drafts for digest in made.embedded]
        known = self._snapshot.vector_numbers(embedded)
        if known:
            stored = self._snapshot.quantised()
            at = [position for position, digest in enumerate(embedded) if digest in known]
            numbers = [known[embedded[position]] for position in at]
            codes[at], scales[at] = stored.codes[numbers], stored.scales[numbers]
        return Quantised(codes, scales)

    def chunks(self, rows: Iterable[int]) -> list[StoredChunk]:
        origin = self._origin[[int(row) for row in rows]] if self.n else np.zeros(0, np.int32)
        stored = iter(self._snapshot.chunks(origin[origin >= 0]))
        ours = [chunk for made in self._drafts for chunk in made.chunks]
        return [next(stored) if row >= 0 else ours[~row] for row in origin.tolist()]
