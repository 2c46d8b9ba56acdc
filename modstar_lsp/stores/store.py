"""What is asked of an engine: a few methods, and the records that travel through them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, NamedTuple, Protocol

from modstar_lsp.errors import ModstarError, StoreError
from modstar_lsp.index.vectors.quantised import Floats

#: The label of repositories that everybody may see.
EVERYONE = "everyone"
Kind = Literal["chunks", "files"]


# Where in an engine's own sources it failed.
_OF_ITS_SOURCES = r",? \S+\.rs(:\d+)*"


class Entry(NamedTuple):
    """A chunk, or a whole file: what finding and ranking it takes, and no text.

    label: who may see it.  position: of the chunk in its file.  kind: number in KINDS.  length: terms in all.
    terms, counts: its distinct terms and how often it holds each; `:name` for each name that it defines.
    The rest is empty for a file.  lines_below, pieces: see `StoredChunk`.  embedded: hex digest of the text
    that was embedded, the model and the exit, so that equal ones have the same vector.  vector: of unit
    length.
    """

    repository: str
    label: str
    path: str
    language: str
    length: int
    terms: Sequence[str]
    counts: Sequence[int]
    position: int = 0
    start_line: int = 0
    end_line: int = 0
    kind: int = 0
    name: str = ""
    scope: str = ""
    symbols: Sequence[str] = ()
    lines_below: bytes = b""
    pieces: bytes = b""
    embedded: str = ""
    exit: int = 0
    vector: Floats | None = None


class FileState(NamedTuple):
    """What a store has of a file. digest: of its text, hex.  chunks, length: how many, and their terms.

    made: with which model, at which exit and for whom.
    """

    digest: str
    chunks: int
    length: int
    made: str


class StoredRepository(NamedTuple):
    """What a store holds. bundle: digest of the model.  exit: of its vectors.  terms: of all its chunks.

    revision: the commit that all of it is of, and within which bounds; "" when nobody can say.
    """

    name: str
    label: str
    bundle: str
    exit: int
    files: int
    chunks: int
    terms: int
    revision: str = ""


class StoreScope(NamedTuple):
    """What a question may see: only what carries one of `labels`.

    repositories, languages: () for all.  without: repositories that are not looked at.
    """

    labels: tuple[str, ...] = (EVERYONE,)
    repositories: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def sees(self, repository: StoredRepository) -> bool:
        """Whether it may be seen, and is asked."""
        name = repository.name
        named = not self.repositories or name in self.repositories
        return repository.label in self.labels and named and name not in self.without


class Store(Protocol):
    """Code of many repositories. Every method raises StoreError, with one line, when the engine fails.

    What reads is bounded by a scope in the engine itself: nothing of another label leaves it, names, paths
    and numbers included.
    """

    url: str

    def repositories(self, labels: Sequence[str]) -> Sequence[StoredRepository]:
        """Those that carry one of `labels`."""

    def held(self) -> AbstractContextManager[None]:
        """Nobody else fills it meanwhile, where no folder is locked. Raises StoreError when another does."""

    def noted(self, repository: str) -> StoredRepository | None:
        """The repository of this name, whatever its label: for who fills it."""

    def known(self, repository: str) -> Mapping[str, FileState]:
        """The files of a repository by path, whatever its label: for who fills it."""

    def vectors(self, digests: Sequence[str]) -> Mapping[str, Floats]:
        """The vectors of those embedded texts that the store knows; see `Entry.embedded`."""

    def put(self, files: Mapping[str, FileState], entries: Sequence[Entry], chunks: Sequence[Entry]) -> None:
        """Takes in files of one repository, in place of what it has of them.

        files: their states by path.  entries: of the files.  chunks: of all their chunks. A file is known
        only once all of it is there, so that one half written is written again.
        """

    def drop(self, repository: str, paths: Sequence[str]) -> None:
        """Forgets files."""

    def note(self, repository: StoredRepository) -> None:
        """Notes what there is of a repository, in place of what was noted before."""

    def optimise(self) -> None:
        """Makes what was put fast to find."""

    def count(self, kind: Kind, scope: StoreScope, terms: Sequence[str]) -> int:
        """How many chunks, or files, hold one of `terms` at least."""

    def worded(
        self, kind: Kind, scope: StoreScope, words: Mapping[str, float], k: int, paths: Sequence[str] = ()
    ) -> Sequence[Entry]:
        """The `k` best by BM25 or nearly so; of `paths` if given. words: what one of each term counts."""

    def holding(self, scope: StoreScope, terms: Sequence[str], k: int) -> Sequence[Entry]:
        """Up to `k` chunks that hold one of `terms`."""

    def nearest(self, scope: StoreScope, vector: Floats, k: int) -> Sequence[Entry]:
        """The `k` chunks of the greatest cosines to `vector`, or nearly so."""

    def close(self) -> None:
        """Lets go of the engine."""


@contextmanager
def one_line(url: str) -> Iterator[None]:
    """Whatever an engine raises becomes a StoreError of one line: each has errors of its own."""
    try:
        yield
    except (ModstarError, MemoryError, ImportError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # a panic in Rust code is no Exception to Python
        said = re.sub(_OF_ITS_SOURCES, "", " ".join(str(error).split()))[:200] or type(error).__name__
        raise StoreError(
            f"the store {url} failed ({said}): what it holds is kept; try again when it works"
        ) from error
