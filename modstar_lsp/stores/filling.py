"""A repository's files -> entries of a store, a portion at a time; what did not change is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modstar_lsp.index.records import Job, Progress, stored_symbols
from modstar_lsp.index.vectors.quantised import Floats, Quantised, quantise
from modstar_lsp.index.words.postings import unpack
from modstar_lsp.index.writing.analysis import Analysis, analyse_files, read_text, text_digest
from modstar_lsp.stores.store import Entry, FileState, Store, StoredRepository

if TYPE_CHECKING:
    from modstar_lsp.encoder import Bundle, Encoder
    from modstar_lsp.files import Walk
    from modstar_lsp.index.records import OnProgress

# Bytes of sources, and files, to a transaction of the store: some 1,500 chunks. An engine that keeps a file
# for each wants few, the memory of this process wants them small.
_BYTES, _FILES = 1_000_000, 500

Known = Callable[[Sequence[str]], Mapping[str, tuple[int, Floats]]]


class Content(NamedTuple):
    """What some files become in a store. unreadable: paths that hold nothing to search.  embedded: how many
    texts had to be.
    """

    files: dict[str, FileState]
    entries: list[Entry]
    chunks: list[Entry]
    unreadable: list[str]
    embedded: int


class Target(NamedTuple):
    """What becomes of files: a repository's name, its label, and the depth of the exit that embeds."""

    name: str
    label: str
    depth: int


class Filled(NamedTuple):
    """What filling did. embedded: texts that no repository of the store had before."""

    repository: StoredRepository
    changed: int
    removed: int
    embedded: int


class Filling:
    """Bringing what a store has of one repository up to date with its files, a portion at a time.

    Ended at any moment, it goes on there the next time: a portion is there or is not.
    """

    def __init__(
        self, store: Store, root: Path, bundle: Bundle, walk: Walk, name: str, label: str, depth: int = 0
    ) -> None:
        """name, label: of the repository.  depth: of the exit that embeds it. Raises StoreError."""
        self.root = root
        self.target = Target(name, label, depth)
        self.store = store
        self._bundle = bundle
        self._known = dict(store.known(name))
        self._gone = sorted(self._known.keys() - {file.path for file in walk.files})
        made = _made(bundle, depth, label)
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

    def take(self, content: Content) -> None:
        """Writes what a portion became. Raises StoreError."""
        self.store.drop(self.target.name, content.unreadable)
        self.store.put(content.files, content.entries, content.chunks)
        for path in content.unreadable:
            self._known.pop(path, None)
        self._known.update(content.files)
        self._changed += len(content.files)
        self._embedded += content.embedded

    def finish(self) -> Filled:
        """Forgets what is gone and notes what there is. Raises StoreError."""
        self.store.drop(self.target.name, self._gone)
        for path in self._gone:
            del self._known[path]
        states = self._known.values()
        chunks, terms = sum(state.chunks for state in states), sum(state.length for state in states)
        digest = self._bundle.digest
        name, label, depth = self.target
        repository = StoredRepository(name, label, digest, depth, len(states), chunks, terms)
        self.store.finish(repository)
        return Filled(repository, self._changed, len(self._gone), self._embedded)


def fill(filling: Filling, encoder: Encoder, progress: OnProgress | None = None) -> Filled:
    """Does in this process all that `filling` has to do. Raises StoreError."""
    done = 0
    for some in filling.portions():
        filling.take(contents(filling.root, some, encoder, filling.target, filling.store.vectors))
        done += len(some)
        if progress is not None:
            progress(Progress("store", done, filling.files, some[-1].path))
    return filling.finish()


def _made(bundle: Bundle, depth: int, label: str) -> str:
    return f"{bundle.digest} {depth} {label}"


def contents(root: Path, jobs: Sequence[Job], encoder: Encoder, target: Target, known: Known) -> Content:
    """What the files of `jobs` become in a store. None is written to.

    known: gives (exit, vector) by hex digest, of those texts that need not be embedded again.
    """
    analysis = analyse_files(root, jobs, encoder, lambda digest: False)
    vectors, embedded = _vectors(root, analysis, encoder, target.depth, known)
    terms = _terms_by_chunk(analysis)
    content = Content({}, [], [], [], embedded)
    made = _made(encoder.bundle, target.depth, target.label)
    start = 0
    for file in analysis.files:
        if file.chunks is None:
            continue
        path, numbers = file.job.path, range(start, start + file.chunks)
        start = numbers.stop
        if file.reason:
            content.unreadable.append(path)
            continue
        if any(analysis.digests[number] not in vectors for number in numbers):
            continue  # it was written meanwhile: another time
        whole = Entry(target.name, target.label, path, file.language, 0, (), ())
        chunks = [
            _chunk(whole, analysis, number, terms[number], vectors)._replace(
                position=number - numbers.start, exit=target.depth
            )
            for number in numbers
        ]
        content.chunks.extend(chunks)
        content.entries.append(_sum(whole, chunks))
        length = content.entries[-1].length
        content.files[path] = FileState(file.digest.hex(), len(chunks), length, made)
    return content


def _sum(whole: Entry, chunks: Sequence[Entry]) -> Entry:
    """The entry of a file, from its chunks'."""
    total: Counter[str] = Counter()
    for chunk in chunks:
        total.update(dict(zip(chunk.terms, chunk.counts, strict=True)))
    length = sum(chunk.length for chunk in chunks)
    return whole._replace(length=length, terms=list(total), counts=list(total.values()))


def _chunk(
    whole: Entry, analysis: Analysis, number: int, terms: Mapping[str, int], vectors: Mapping[bytes, Floats]
) -> Entry:
    """The entry of chunk `number`, from its file's."""
    first, last, kind, name, scope, symbols, lines, pieces = analysis.details[number]
    digest = analysis.digests[number]
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
        embedded=digest.hex(),
        vector=vectors[digest],
    )


def _terms_by_chunk(analysis: Analysis) -> list[dict[str, int]]:
    by_chunk: list[dict[str, int]] = [{} for _ in analysis.details]
    for term, (chunks, counts) in unpack(analysis.postings, analysis.terms).items():
        for chunk, count in zip(chunks.tolist(), counts.tolist(), strict=True):
            by_chunk[chunk][term] = int(count)
    return by_chunk


def _vectors(
    root: Path, analysis: Analysis, encoder: Encoder, depth: int, known: Known
) -> tuple[dict[bytes, Floats], int]:
    """(the vector at `depth` of each embedded text, how many had to be made): int8 steps, as floats."""
    if depth == 0:  # a look into the table costs less than asking
        vectors = dict(zip(analysis.embedded, _floats(analysis.vectors), strict=True))
        return vectors, len(vectors)
    there = known([digest.hex() for digest in analysis.embedded])
    found = {bytes.fromhex(digest): vector for digest, (made_at, vector) in there.items() if made_at == depth}
    texts = {digest: text for digest, text in _texts(root, analysis) if digest not in found}
    if texts:
        made = quantise(encoder.encode(list(texts.values()), depth, "code"))
        found.update(zip(texts, _floats(made), strict=True))
    return found, len(texts)


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
