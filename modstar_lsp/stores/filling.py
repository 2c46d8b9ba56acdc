"""A repository's files -> entries of a store, a portion at a time; what did not change is left alone.

`parse_files` and `embed` are what takes long. They know no store, so that other processes can do them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modstar_lsp.index.records import Job, stored_symbols
from modstar_lsp.index.vectors.quantised import Floats, Quantised, quantise
from modstar_lsp.index.words.postings import unpack
from modstar_lsp.index.writing.analysis import (
    DIGEST_BYTES,
    Analysis,
    analyse_files,
    read_text,
    text_digest,
)
from modstar_lsp.stores.store import Entry, FileState, Store, StoredRepository

if TYPE_CHECKING:
    from modstar_lsp.encoder import Bundle, Encoder
    from modstar_lsp.files import Walk

# Bytes of sources, and files, to a transaction of the store: some 1,500 chunks. An engine that keeps a file
# for each wants few, the memory of this process wants them small.
_BYTES, _FILES = 1_000_000, 500


class Content(NamedTuple):
    """What some files become in a store. unreadable: paths that hold nothing to search.

    chunks: of all the files, without vectors.  vectors, texts: of the chunks by `Entry.embedded`, each in one
    of the two: those that are known without a transformer, and the others' texts.
    """

    files: dict[str, FileState]
    entries: list[Entry]
    chunks: list[Entry]
    unreadable: list[str]
    vectors: dict[str, Floats]
    texts: dict[str, str]


class Target(NamedTuple):
    """What becomes of files: a repository's name, its label, and the depth of the exit that embeds."""

    name: str
    label: str
    depth: int


class Filled(NamedTuple):
    """What filling did. embedded: texts that no repository of the store had before.

    current: the store held this very revision, so that nothing was read.
    """

    repository: StoredRepository
    changed: int = 0
    removed: int = 0
    embedded: int = 0
    current: bool = False


class Filling:
    """Bringing what a store has of one repository up to date with its files, a portion at a time.

    Ended at any moment, it goes on there the next time: a portion is there or is not.
    """

    def __init__(
        self,
        store: Store,
        root: Path,
        bundle: Bundle,
        walk: Walk,
        target: Target,
        revision: str = "",
        let_go: Callable[[], None] = lambda: None,
    ) -> None:
        """revision: of `StoredRepository`.  let_go: called when the files are needed no more.

        Raises StoreError.
        """
        self.root = root
        self.target = target
        self.store = store
        self.let_go = let_go
        #: Why it cannot be finished, "" as long as it can.
        self.failure = ""
        self._bundle = bundle
        self._revision = revision
        self._before = store.noted(target.name)
        self._known = dict(store.known(target.name))
        self._gone = sorted(self._known.keys() - {file.path for file in walk.files})
        made = _made(bundle, target)
        digests = {path: bytes.fromhex(s.digest) for path, s in self._known.items() if s.made == made}
        self._jobs = [Job(file.path, file.size, 0, 0, digests.get(file.path, b"")) for file in walk.files]
        self._changed = self._embedded = 0
        self.files = len(self._jobs)

    def portions(self) -> Iterator[list[Job]]:
        """What there is to read. A file whose text the store has is read, and then left alone."""
        some: list[Job] = []
        size = 0
        for job in self._jobs:
            if some and (size + job.size > _BYTES or len(some) == _FILES):
                yield some
                some, size = [], 0
            some.append(job)
            size += job.size
        if some:
            yield some

    def take(self, content: Content, vectors: Mapping[str, Floats], embedded: int) -> None:
        """Writes what a portion became. vectors: of all its chunks.  embedded: how many were made for it.

        Raises StoreError.
        """
        if content.files or content.unreadable:
            self._begin()
        chunks = [chunk._replace(vector=vectors[chunk.embedded]) for chunk in content.chunks]
        self.store.drop(self.target.name, content.unreadable)
        self.store.put(content.files, content.entries, chunks)
        for path in content.unreadable:
            self._known.pop(path, None)
        self._known.update(content.files)
        self._changed += len(content.files)
        self._embedded += embedded

    def _begin(self) -> None:
        """From now on the store holds a mixture, until `finish`."""
        if self._before is not None and self._before.revision:
            self._before = self._before._replace(revision="")
            self.store.note(self._before)

    def finish(self) -> Filled:
        """Forgets what is gone and notes what there is. Raises StoreError."""
        if self._gone:
            self._begin()
            self.store.drop(self.target.name, self._gone)
        for path in self._gone:
            del self._known[path]
        states = self._known.values()
        chunks, terms = sum(state.chunks for state in states), sum(state.length for state in states)
        name, label, depth = self.target
        repository = StoredRepository(
            name, label, self._bundle.digest, depth, len(states), chunks, terms, self._revision
        )
        self.store.note(repository)
        return Filled(repository, self._changed, len(self._gone), self._embedded)


def _made(bundle: Bundle, target: Target) -> str:
    return f"{bundle.digest} {target.depth} {target.label}"


def parse_files(encoder: Encoder, root: Path, jobs: Sequence[Job], target: Target) -> Content:
    """What the files of `jobs` become in a store."""
    deep = target.depth > 0
    # At exit 0, a look into a table, making a vector costs less than asking whether there is one.
    analysis = analyse_files(root, jobs, encoder, lambda digest: deep)
    keys = _Keys(encoder.bundle, target.depth)
    found = zip(analysis.embedded, _floats(analysis.vectors), strict=True)
    vectors = {} if deep else {keys(digest): vector for digest, vector in found}
    texts = {keys(digest): text for digest, text in _texts(root, analysis)} if deep else {}
    terms = _terms_by_chunk(analysis)
    content = Content({}, [], [], [], vectors, texts)
    made = _made(encoder.bundle, target)
    start = 0
    for file in analysis.files:
        if file.chunks is None:
            continue
        path, numbers = file.job.path, range(start, start + file.chunks)
        start = numbers.stop
        if file.reason:
            content.unreadable.append(path)
            continue
        if any(keys(analysis.digests[number]) not in (texts if deep else vectors) for number in numbers):
            continue  # it was written meanwhile: another time
        whole = Entry(target.name, target.label, path, file.language, 0, (), ())
        chunks = [
            _chunk(whole, analysis, number, terms[number], keys)._replace(
                position=number - numbers.start, exit=target.depth
            )
            for number in numbers
        ]
        content.chunks.extend(chunks)
        content.entries.append(_sum(whole, chunks))
        length = content.entries[-1].length
        content.files[path] = FileState(file.digest.hex(), len(chunks), length, made)
    return content


def embed(encoder: Encoder, texts: Mapping[str, str], depth: int) -> dict[str, Floats]:
    """The vectors of `texts` at the exit of `depth`, by the same keys: int8 steps, as floats."""
    made = quantise(encoder.encode(list(texts.values()), depth, "code"))
    return dict(zip(texts, _floats(made), strict=True))


class _Keys:
    """What is embedded, by the digest of its text: see `Entry.embedded`."""

    def __init__(self, bundle: Bundle, depth: int) -> None:
        self._salt = blake2b(f"{bundle.digest} {depth}".encode(), digest_size=DIGEST_BYTES).digest()

    def __call__(self, digest: bytes) -> str:
        return blake2b(self._salt + digest, digest_size=DIGEST_BYTES).hexdigest()


def _sum(whole: Entry, chunks: Sequence[Entry]) -> Entry:
    """The entry of a file, from its chunks'."""
    total: Counter[str] = Counter()
    for chunk in chunks:
        total.update(dict(zip(chunk.terms, chunk.counts, strict=True)))
    length = sum(chunk.length for chunk in chunks)
    return whole._replace(length=length, terms=list(total), counts=list(total.values()))


def _chunk(whole: Entry, analysis: Analysis, number: int, terms: Mapping[str, int], keys: _Keys) -> Entry:
    """The entry of chunk `number`, from its file's."""
    first, last, kind, name, scope, symbols, lines, pieces = analysis.details[number]
    return whole._replace(
        length=int(analysis.lengths[number]),
        terms=list(terms),
        counts=list(terms.values()),
        start_line=first,
        end_line=last,
        kind=kind,
        name=name,
        scope=scope,
        symbols=stored_symbols(name, symbols),
        lines_below=lines,
        pieces=pieces,
        embedded=keys(analysis.digests[number]),
    )


def _terms_by_chunk(analysis: Analysis) -> list[dict[str, int]]:
    by_chunk: list[dict[str, int]] = [{} for _ in analysis.details]
    for term, (chunks, counts) in unpack(analysis.postings, analysis.terms).items():
        for chunk, count in zip(chunks.tolist(), counts.tolist(), strict=True):
            by_chunk[chunk][term] = int(count)
    return by_chunk


def _floats(vectors: Quantised) -> Floats:
    return vectors.decode(np.arange(len(vectors.scales)))


def _texts(root: Path, analysis: Analysis) -> Iterator[tuple[bytes, str]]:
    """(digest, embedded text) of all chunks of the analysed files."""
    from modstar_lsp.chunking import chunk_file, embedded_text

    for file in analysis.files:
        if file.chunks:
            for chunk in chunk_file(file.job.path, read_text(root, file.job.path)):
                text = embedded_text(file.job.path, chunk)
                yield text_digest(text), text
