"""Exit 0: the weighted sum of word-piece vectors, in numpy alone.

v = normalise( sum over distinct pieces p of g(tf_p) * T[p] ), where T is a table of int8 rows with one scale
each that already holds the learned token weights and the projection, and g is the manifest's tf weight.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.encoder.bundle import Bundle
from modstar_lsp.encoder.words import longest_pieces
from modstar_lsp.errors import BundleError, reason

# Texts encoded in one matrix product. 64 measured best on 2 cores at dimension 256 (32 and 128 within 10 %).
TEXTS_AT_ONCE = 64

# Words remembered with their pieces; some 20 MB when full. Then the memory starts afresh.
MAX_REMEMBERED_WORDS = 100_000

# The heaviest piece, occurring once, weighs this much; weights are rounded to whole numbers. 2**22 of them
# times 127 still fit a float64 exactly, and rounding costs less than float32 does.
WEIGHT_STEPS = 2.0**24

# Pieces that a chunk keeps are numbered by 16 bits; a larger vocabulary keeps its first ones.
PIECE_IDS = 1 << 16

# Pieces looked up by searching the text of the vocabulary (10 to 50 us each) before a dictionary of it is
# made: that takes 5 ms, which a process that asks one question need not spend.
SEARCHES = 50

# g: what tf occurrences of a piece count for; the manifest names one (None: as many as there are).
TF_FUNCTIONS: dict[str, np.ufunc | None] = {"linear": None, "log1p": np.log1p, "sqrt": np.sqrt}


class WordPieces:
    """Greedy longest-match WordPiece on lower-case words, equal to the bundle's tokenizer.json on them.

    vocabulary: the pieces in the order of their ids, one a line, in UTF-8.
    """

    def __init__(self, vocabulary: bytes, max_word_chars: int) -> None:
        self._lines = b"\n%b\n" % vocabulary
        self._breaks = np.frombuffer(self._lines, np.uint8) == ord("\n")
        self._max_word_chars = max_word_chars
        self._longest = max_word_chars
        self._searches = 0
        self._ids: dict[str, int] | None = None

    def __len__(self) -> int:
        return int(np.count_nonzero(self._breaks)) - 1

    def split(self, word: str) -> list[int]:
        """Piece ids of `word`; none when it cannot be composed (the tokenizer's <unk>, nothing to exit 0)."""
        if len(word) > self._max_word_chars:
            return []
        return longest_pieces(word, self._search if self._ids is None else self._ids.get, self._longest)

    def _search(self, piece: str) -> int | None:
        if self._searches < SEARCHES:
            self._searches += 1
            at = self._lines.find(b"\n%b\n" % piece.encode("utf-8", "replace"))
            return None if at < 0 else int(np.count_nonzero(self._breaks[:at]))
        if self._ids is None:
            vocabulary = self._lines[1:-1].decode("utf-8").split("\n")
            self._ids = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
            self._longest = max(map(len, vocabulary))
        return self._ids.get(piece)


class _WordSlots(dict[str, int]):
    """word -> slot; a slot is a range of `pieces`. A word seen for the first time is split on the way."""

    def __init__(self, splitter: WordPieces) -> None:
        self.splitter = splitter
        self.starts = array("i", [0])
        self.pieces = array("i")

    def __missing__(self, word: str) -> int:
        self.pieces.extend(self.splitter.split(word))
        self.starts.append(len(self.pieces))
        slot = self[word] = len(self.starts) - 2
        return slot


class StaticExit:
    """Exit 0 of a bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle) -> None:
        static = bundle.static
        try:
            table = np.load(bundle.verified(static.table), mmap_mode="r", allow_pickle=False)
            scales = np.load(bundle.verified(static.scales), allow_pickle=False)
            splitter = WordPieces(bundle.verified(static.vocabulary).read_bytes(), static.max_word_chars)
        except OSError as error:
            raise BundleError(f"bundle {bundle.folder}: cannot be read ({reason(error)})") from None
        except ValueError:
            table = scales = np.zeros(0)
            splitter = WordPieces(b"", static.max_word_chars)
        shape = (len(splitter), bundle.dimension)
        if table.dtype != np.int8 or table.shape != shape or scales.shape != shape[:1]:
            raise BundleError(
                f"bundle {bundle.folder}: {static.table} and its vocabulary do not fit; export it again"
            )
        self.dimension = bundle.dimension
        self._table = table.view(np.ndarray)
        # Integer weights times int8 rows add up exactly in float64, in any order: a text's vector is the same
        # to the last bit whatever else is in its block.
        self._scales = scales
        self._steps = WEIGHT_STEPS / max(float(scales.max()), 1e-30)
        self._tf = TF_FUNCTIONS[static.tf]
        self._splitter = splitter
        self._slots = _WordSlots(self._splitter)
        self._lock = Lock()

    def encode_words(
        self, counts: Sequence[Mapping[str, int]], dimension: int | None = None
    ) -> NDArray[np.float32]:
        """Unit rows for texts given as word counts; a text without a known word gives a zero row.

        dimension: how many values of a row, the first ones (None: all).
        """
        rows = np.zeros((len(counts), dimension or self.dimension), dtype=np.float32)
        with self._lock:
            for start in range(0, len(counts), TEXTS_AT_ONCE):
                self._encode_block(counts[start : start + TEXTS_AT_ONCE], rows[start : start + TEXTS_AT_ONCE])
        return rows

    def pieces(self, counts: Sequence[Mapping[str, int]]) -> list[NDArray[np.uint16]]:
        """The distinct pieces of each text given as word counts, ascending; of 65,536, the first ones."""
        with self._lock:
            text, piece, _ = self._occurrences(counts)
        kept = piece < PIECE_IDS
        cells = np.unique(text[kept] * PIECE_IDS + piece[kept])
        found: list[NDArray[np.uint16]] = np.split(
            (cells % PIECE_IDS).astype(np.uint16),
            np.searchsorted(cells, np.arange(1, len(counts)) * PIECE_IDS),
        )
        return found

    def split(self, word: str) -> list[int]:
        """The pieces of one word; none when it cannot be composed."""
        with self._lock:
            return self._splitter.split(word)

    def directions(
        self, pieces: NDArray[np.integer], dimension: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows of whole numbers [len(pieces), dimension], and the scales that make them of unit length.

        The dot product of two rows is exact: no sum of 512 products of int8 passes 2**24. A zero row's is 0.
        """
        rows = self._table[pieces, :dimension].astype(np.float32)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        return rows, np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)

    def _encode_block(self, counts: Sequence[Mapping[str, int]], out: NDArray[np.float32]) -> None:
        text, piece, tf = self._occurrences(counts)
        if not len(piece):
            return
        # Dense weights [texts, distinct pieces of the block] times their rows: far cheaper than to gather a
        # row for each occurrence.
        present = np.zeros(len(self._table), dtype=bool)
        present[piece] = True
        distinct = np.flatnonzero(present)
        column = np.empty(len(present), dtype=np.intp)
        column[distinct] = np.arange(len(distinct))
        cell = text * len(distinct) + column[piece]
        total = np.bincount(cell, weights=tf, minlength=len(counts) * len(distinct))
        if self._tf is not None:
            total[cell] = self._tf(total[cell])
        weights = total.reshape(len(counts), len(distinct))
        weights *= self._scales[distinct].astype(np.float64) * self._steps
        np.rint(weights, out=weights)
        sums = weights @ self._table[distinct, : out.shape[1]].astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        norms[norms == 0.0] = 1.0
        np.divide(sums, norms[:, None], out=out, casting="same_kind")

    def _occurrences(
        self, counts: Sequence[Mapping[str, int]]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """(text, piece, count) for every piece of every distinct word of the block."""
        if len(self._slots) > MAX_REMEMBERED_WORDS:
            self._slots = _WordSlots(self._splitter)
        slots = self._slots
        slot_of = slots.__getitem__
        slot_list: list[int] = []
        tf_list: list[int] = []
        for words in counts:
            slot_list.extend(map(slot_of, words))
            tf_list.extend(words.values())
        slot = np.array(slot_list, dtype=np.intp)
        tf = np.array(tf_list, dtype=np.float64)
        text = np.repeat(np.arange(len(counts)), [len(words) for words in counts])
        starts = np.array(slots.starts, dtype=np.intp)
        pieces = np.array(slots.pieces, dtype=np.intp)
        first = starts[slot]
        length = starts[slot + 1] - first
        before = np.cumsum(length) - length
        position = np.repeat(first - before, length) + np.arange(int(length.sum()))
        return np.repeat(text, length), pieces[position], np.repeat(tf, length)
