"""What the reranker makes of a text, and what of it is kept for the next question."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Bytes of readings that are kept.
KEPT_BYTES = 48 << 20


class Reading(NamedTuple):
    """A text, read at the deepest exit.

    vectors: [tokens, dimension], unit rows of the tokens that are words or numbers.  weights: [tokens], what
    each counts for in a question.  mean: [hidden], unit length.
    """

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    mean: NDArray[np.float32]


class KeptReadings:
    """What was read, by content, the least recently used forgotten first. Safe to use from threads."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._found: OrderedDict[bytes, Reading] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Reading | None:
        """The reading of a text, None where none is kept."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: bytes, reading: Reading) -> None:
        """Keeps the reading of a text."""
        with self._lock:
            if key in self._found:
                self._bytes -= _size(self._found.pop(key))
            self._found[key] = reading
            self._bytes += _size(reading)
            while self._bytes > self._most and len(self._found) > 1:
                self._bytes -= _size(self._found.popitem(last=False)[1])


def _size(reading: Reading) -> int:
    return sum(part.nbytes for part in reading)
