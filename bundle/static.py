"""Exit 0's files: the folded table as int8 rows with a scale each, and the vocabulary it is looked up by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# An exit 0 that knows no word: the one piece can be no part of any.
NO_PIECE = "<none>"
TABLE, SCALES, VOCABULARY = "static.npy", "static-scales.npy", "vocabulary.txt"


def quantise_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and one scale each; a single scale for all loses a table whose rows differ in length."""
    scales = np.abs(table).max(axis=1) / 127.0
    divisor = np.where(scales == 0.0, 1.0, scales)[:, None]
    return np.rint(table / divisor).astype(np.int8), scales.astype(np.float32)


def write_no_static(folder: Path, dimension: int) -> dict[str, Any]:
    """Exit 0 of a model that has none: every text is a zero row there, and found by its words alone."""
    return write_static(folder, np.zeros((1, dimension), np.float32), [NO_PIECE], "linear", 1)


def write_static(
    folder: Path, table: NDArray[np.float32], pieces: Sequence[str], tf: str, max_word_chars: int
) -> dict[str, Any]:
    """Write the files of exit 0; returns the manifest's `static` section."""
    rows, scales = quantise_rows(table)
    np.save(folder / TABLE, rows, allow_pickle=False)
    np.save(folder / SCALES, scales, allow_pickle=False)
    (folder / VOCABULARY).write_text("\n".join(pieces), "utf-8", newline="\n")
    return {
        "table": TABLE,
        "scales": SCALES,
        "vocabulary": VOCABULARY,
        "tf": tf,
        "max_word_chars": max_word_chars,
    }
