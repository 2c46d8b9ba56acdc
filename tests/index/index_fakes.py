"""A model without weights, and a workspace that tests write to. Importable by worker processes."""

from __future__ import annotations

import itertools
import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.chunking import chunk_file
from modstar_lsp.encoder.encoder import TEXTS_A_CALL
from modstar_lsp.encoder.words import split_words
from modstar_lsp.files import walk
from modstar_lsp.index import Index, Snapshot, chunk_terms
from modstar_lsp.index.store.database import database_name

Floats = NDArray[np.float32]
DIMENSION = 32


@dataclass(frozen=True)
class FakeExit:
    depth: int


@dataclass(frozen=True)
class FakeStatic:
    table: str = "static.npy"


@dataclass(frozen=True)
class FakeBundle:
    name: str = "fake"
    digest: str = "fa4e"
    dimension: int = DIMENSION
    indexed: int = DIMENSION
    exits: tuple[FakeExit, ...] = (FakeExit(0), FakeExit(4))
    static: FakeStatic = FakeStatic()

    def verified(self, name: str) -> Path:
        """As that of a bundle: workers want it looked at before they begin."""
        return Path(name)


class FakeEncoder:
    """Each word is a fixed random direction. Exit 4 also sees which words follow each other."""

    def __init__(self, bundle: Any) -> None:
        self.bundle = bundle
        self.encoded = 0  # texts, at any exit
        self._rows: dict[str, Floats] = {}

    def encode_words(self, counts: Sequence[Mapping[str, int]]) -> Floats:
        self.encoded += len(counts)
        return self._unit([[(word, float(count)) for word, count in words.items()] for words in counts])

    def encode(self, texts: Sequence[str], depth: int = 0, role: str = "code") -> Floats:
        if depth == 0:
            return self.encode_words([Counter(split_words(text)) for text in texts])
        self.encoded += len(texts)
        words = [split_words(text) for text in texts]
        pairs = [[(f"{a} {b}", 0.2) for a, b in itertools.pairwise(some)] for some in words]
        return self._unit(
            [[(word, 1.0) for word in some] + pair for some, pair in zip(words, pairs, strict=True)]
        )

    def texts_a_call(self, depth: int, texts: int) -> int:
        return TEXTS_A_CALL

    def pieces(self, counts: Sequence[Mapping[str, int]]) -> list[NDArray[np.uint16]]:
        return [
            np.unique(np.array([piece for word in words for piece in self.word_pieces(word)], np.uint16))
            for words in counts
        ]

    def word_pieces(self, word: str) -> list[int]:
        return [zlib.crc32(word.encode()) & 0xFFFF]

    def _unit(self, texts: Sequence[Sequence[tuple[str, float]]]) -> Floats:
        sums = np.zeros((len(texts), self.bundle.dimension), np.float32)
        for position, weights in enumerate(texts):
            for word, weight in weights:
                sums[position] += weight * self._row(word)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return sums / np.where(norms > 0, norms, 1)

    def _row(self, word: str) -> Floats:
        if word not in self._rows:
            random = np.random.default_rng(zlib.crc32(word.encode()))
            self._rows[word] = random.standard_normal(self.bundle.dimension).astype(np.float32)
        return self._rows[word]


class Tree:
    """A workspace and its index. Each write gets a time of its own, long past: no two look the same."""

    def __init__(self, base: Path, bundle: FakeBundle | None = None) -> None:
        self.root = base / "work"
        self.root.mkdir(parents=True, exist_ok=True)
        self.folder = base / "cache" / "index"
        self.bundle = bundle or FakeBundle()
        self.encoder = FakeEncoder(self.bundle)
        self._clock = itertools.count(1_600_000_000)

    @property
    def file(self) -> Path:
        """The database."""
        return self.folder / database_name(self.bundle.digest)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        self.touch(path)

    def touch(self, path: str) -> None:
        tick = next(self._clock) * 1_000_000_000 + 123
        os.utime(self.root / path, ns=(tick, tick))

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def move(self, path: str, target: str) -> None:
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).rename(self.root / target)

    def open(self, **options: Any) -> Index:
        return Index.open(self.folder, self.root, self.bundle, **options)  # type: ignore[arg-type]

    def refresh(self, index: Index, **options: Any) -> Any:
        return index.refresh(self.encoder, walk(self.root), **options)  # type: ignore[arg-type]

    def terms(self) -> set[str]:
        """Every term of every file, from the files."""
        terms: set[str] = set()
        for file in walk(self.root).files:
            for chunk in chunk_file(file.path, (self.root / file.path).read_text("utf-8")):
                terms |= set(chunk_terms(file.path, chunk))
        return terms


def contents(snapshot: Snapshot, terms: set[str]) -> dict[str, Any]:
    """All that a snapshot answers, to compare two."""
    chunks = snapshot.chunks(range(snapshot.n))
    names = {symbol for chunk in chunks for symbol in chunk.symbols}
    probes = FakeEncoder(FakeBundle()).encode([" ".join(chunk.symbols) for chunk in chunks[:5]])
    return {
        "chunks": chunks,
        "paths": list(snapshot.paths),
        "languages": list(snapshot.languages),
        "lengths": snapshot.lengths.tolist(),
        "file_of": snapshot.file_of.tolist(),
        "postings": {
            term: (rows.tolist(), tf.tolist())
            for term, (rows, tf) in snapshot.postings(sorted(terms)).items()
        },
        "defining": {name: rows.tolist() for name, rows in snapshot.defining(sorted(names)).items()},
        "vectors": snapshot.vectors(np.arange(snapshot.n, dtype=np.int32)).tolist(),
        "nearest": [[part.tolist() for part in snapshot.nearest(probe, 5)] for probe in probes],
    }
