"""Files -> what the index keeps of them: chunks, terms, digests, vectors. No database here, so that worker
processes can do it; what they send back is columns, cheap to pickle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.errors import ModstarError
from modstar_lsp.index.records import KINDS, NO_SYMBOLS, Detail, Job
from modstar_lsp.index.vectors.quantised import Quantised, quantise
from modstar_lsp.index.words.postings import Packed, pack
from modstar_lsp.index.words.terms import DEFINES, defined_names, text_counts, with_context

if TYPE_CHECKING:
    from modstar_lsp.chunking import Chunk
    from modstar_lsp.encoder import Encoder

DIGEST_BYTES = 16

# A file may change twice within one tick of its clock, and then looks the same. Linux ticks every 1 to 10 ms;
# a time without a fraction comes from a file system that counts seconds, or two.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_000_000_000
_MAX_LENGTH = 0xFFFF


class AnalysedFile(NamedTuple):
    """What became of a job.

    reason: why the file could not be read, else "".  digest: of its text.  chunks: their number, None when
    the digest is the one that the index has.  settled: no later change can hide behind the same stat.
    """

    job: Job
    reason: str
    digest: bytes
    language: str
    chunks: int | None
    settled: bool


class Analysis(NamedTuple):
    """Some analysed files; the columns have an entry for each of their chunks, in order.

    vectors: of the digests in `embedded`, at exit 0.  postings: of `terms` by number; see `postings.pack`.
    """

    files: list[AnalysedFile]
    details: list[Detail]
    lengths: NDArray[np.uint16]
    digests: list[bytes]
    embedded: list[bytes]
    vectors: Quantised
    terms: list[str]
    postings: Packed


def analyse_files(
    root: Path, jobs: Sequence[Job], encoder: Encoder, is_known: Callable[[bytes], bool]
) -> Analysis:
    """Reads, divides and embeds files. `is_known`: whether the index has a vector for that embedded text.

    One odd file keeps none of the others from being found: it is left out, and its reason says what happened.
    """
    try:
        return _analysed(root, jobs, encoder, is_known, {})
    except (ModstarError, MemoryError, OSError):  # nothing that a file could be blamed for
        raise
    except Exception:
        odd = {job.path: name for job in jobs if (name := _trouble(root, job, encoder))}
        if not odd or len(odd) == len(jobs) > 1:
            raise
        return _analysed(root, jobs, encoder, is_known, odd)


def _analysed(
    root: Path,
    jobs: Sequence[Job],
    encoder: Encoder,
    is_known: Callable[[bytes], bool],
    odd: Mapping[str, str],
) -> Analysis:
    """`analyse_files`, without those that are `odd`: the name of the error by path."""
    batch = _Batch(is_known)
    files = [
        AnalysedFile(job, f"cannot be indexed ({odd[job.path]})", b"", "", 0, _is_settled(job.mtime_ns))
        if job.path in odd
        else batch.read(root, job)
        for job in jobs
    ]
    return batch.analysis(files, encoder)


def _trouble(root: Path, job: Job, encoder: Encoder) -> str:
    """The name of the error that a file by itself leads to, "" for none."""
    try:
        _analysed(root, [job], encoder, lambda digest: False, {})
    except Exception as error:
        return type(error).__name__
    return ""


def analyse_text(path: str, text: str, encoder: Encoder) -> Analysis:
    """As `analyse_files` for a text that the file `path` might hold; nothing is read."""
    batch = _Batch(lambda digest: False)
    file = batch.divide(Job(path, 0, 0, 0, b""), storable(text), settled=True)
    return batch.analysis([file], encoder)


def text_digest(text: str) -> bytes:
    """The digest by which a file's text or an embedded text is known."""
    return blake2b(text.encode("utf-8"), digest_size=DIGEST_BYTES).digest()


def read_text(root: Path, path: str) -> str:
    """The text of a source, fit to be stored: lone surrogates replaced. Raises files.Unreadable."""
    from modstar_lsp.files import read_source

    return storable(read_source(root, path))


def storable(text: str) -> str:
    """`text` with its lone surrogates replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


class _Batch:
    """The growing columns of an analysis."""

    def __init__(self, is_known: Callable[[bytes], bool]) -> None:
        self._is_known = is_known
        self.details: list[Detail] = []
        self.lengths: list[int] = []
        self.digests: list[bytes] = []
        self.embedded: dict[bytes, None] = {}
        self.counts: list[dict[str, int]] = []
        self.unknown: list[int] = []
        self.terms: list[str] = []
        self.tf: list[int] = []
        self.sizes: list[int] = []

    def read(self, root: Path, job: Job) -> AnalysedFile:
        from modstar_lsp.files import Unreadable

        settled = _is_settled(job.mtime_ns)
        try:
            text = read_text(root, job.path)
        except Unreadable as error:
            return AnalysedFile(job, error.reason, b"", "", 0, settled)
        return self.divide(job, text, settled)

    def divide(self, job: Job, text: str, settled: bool) -> AnalysedFile:
        from modstar_lsp.chunking import chunk_file, language_of

        digest = text_digest(text)
        if digest == job.digest:
            return AnalysedFile(job, "", digest, "", None, settled)
        language = language_of(job.path, text)
        try:
            chunks = chunk_file(job.path, text)
        except Exception as error:  # one odd file must not keep all the others from being found
            return AnalysedFile(
                job, f"cannot be divided ({type(error).__name__})", digest, language, 0, settled
            )
        for chunk in chunks:
            self._add(job.path, chunk)
        return AnalysedFile(job, "", digest, language, len(chunks), settled)

    def analysis(self, files: list[AnalysedFile], encoder: Encoder) -> Analysis:
        new = [self.counts[chunk] for chunk in self.unknown]
        vectors = encoder.encode_words(new) if new else np.zeros((0, 0), np.float32)
        vocabulary = {term: number for number, term in enumerate(dict.fromkeys(self.terms))}
        numbers = np.fromiter(map(vocabulary.__getitem__, self.terms), np.int64, len(self.terms))
        chunks = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return Analysis(
            files=files,
            details=self._with_pieces(encoder),
            lengths=np.array(self.lengths, np.uint16),
            digests=self.digests,
            embedded=list(self.embedded),
            vectors=quantise(vectors),
            terms=list(vocabulary),
            postings=pack(numbers, chunks, np.array(self.tf, np.int64)),
        )

    def _add(self, path: str, chunk: Chunk) -> None:
        from modstar_lsp.chunking import embedded_text

        words, wholes = text_counts(chunk.text)
        terms = with_context(path, chunk, words, wholes)
        self.lengths.append(min(sum(terms.values()), _MAX_LENGTH))
        names = [DEFINES + name for name in defined_names(chunk.symbols)]
        self.terms.extend(terms)
        self.terms.extend(names)
        self.tf.extend(terms.values())
        self.tf.extend([1] * len(names))
        self.sizes.append(len(terms) + len(names))
        # Most chunks define their own name alone, which need not be kept twice.
        alone = chunk.symbols == ((chunk.name,) if chunk.name else ())
        symbols = None if alone else "\n".join(chunk.symbols) or NO_SYMBOLS
        kind = KINDS.index(chunk.kind) if chunk.kind in KINDS else 0
        below = np.array(chunk.symbol_lines, np.int64) - chunk.start_line
        lines = np.minimum(below, _MAX_LENGTH).astype("<u2").tobytes()
        self.details.append(
            (chunk.start_line, chunk.end_line, kind, chunk.name, chunk.scope, symbols, lines, b"")
        )
        embedded = embedded_text(path, chunk)
        digest = text_digest(embedded)
        self.digests.append(digest)
        if digest not in self.embedded and not self._is_known(digest):
            self.embedded[digest] = None
            self.unknown.append(len(self.counts))
        self.counts.append(_embedded_counts(embedded, chunk.text, words))

    def _with_pieces(self, encoder: Encoder) -> list[Detail]:
        pieces = encoder.pieces(self.counts) if self.counts else []
        return [(*detail[:-1], found.tobytes()) for detail, found in zip(self.details, pieces, strict=True)]


def _embedded_counts(embedded: str, text: str, words: dict[str, int]) -> dict[str, int]:
    """The word counts of an embedded text; those of the chunk's text, its greater part, are known."""
    if not embedded.endswith(f"\n{text}"):
        return text_counts(embedded)[0]
    header, _ = text_counts(embedded[: len(embedded) - len(text)])
    counts = dict(words)
    for word, count in header.items():
        counts[word] = counts.get(word, 0) + count
    return counts


def _is_settled(mtime_ns: int) -> bool:
    tick = _TICK_NS if mtime_ns % 1_000_000_000 else _COARSE_TICK_NS
    # A time to come, as after a clock that was set back, is no more likely to be met by the next change.
    return abs(time.time_ns() - mtime_ns) > tick
