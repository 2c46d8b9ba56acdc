"""Near-duplicates: MinHash over runs of words, found by banding. Holds LANES + 12 * BANDS bytes an item.

A signature is LANES 8-bit minima; eight of them side by side are one band, an exact 64-bit key. Two texts of
Jaccard similarity J share a band with probability 1 - (1 - J^8)^16: .61 at J = .7, .95 at .8, .999 at .9.
What shares one is then compared lane by lane.
"""

from __future__ import annotations

import numpy as np

# Runs of so many words are what is compared.
RUN = 5
LANES = 128
BANDS = LANES // 8
# Share of equal lanes from which two texts are the same: about Jaccard similarity .8.
SAME = 0.8
# Keys of new items held in a dictionary before they are sorted away: 30 MB.
RECENT_KEYS = 1 << 17
_SEED = 1997


class MinHash:
    """Signatures of sequences of 64-bit word values."""

    def __init__(self) -> None:
        rng = np.random.default_rng(_SEED)
        self._run = rng.integers(1, 2**63, RUN, dtype=np.uint64) | np.uint64(1)
        self._factors = rng.integers(1, 2**63, LANES, dtype=np.uint64) | np.uint64(1)
        self._offsets = rng.integers(1, 2**63, LANES, dtype=np.uint64)

    def signature(self, words: np.ndarray) -> np.ndarray:
        """uint8 [LANES] of a text's word values in order; a text shorter than a run is one run."""
        if len(words) > RUN:
            runs = np.unique(np.lib.stride_tricks.sliding_window_view(words, RUN) @ self._run)
        else:
            runs = (words * self._run[: len(words)]).sum(dtype=np.uint64)[None]
        # The upper half of a product is well mixed, and the low byte of its minimum uniform.
        hashed = (runs[:, None] * self._factors + self._offsets) >> np.uint64(32)
        return hashed.min(axis=0).astype(np.uint8)


class NearDuplicates:
    """The signatures seen so far; a new one is kept only when none of them is the same."""

    def __init__(self) -> None:
        self._signatures = np.empty((1024, LANES), dtype=np.uint8)
        self._count = 0
        self._levels: list[tuple[np.ndarray, np.ndarray]] = []  # sorted keys and their items, sizes falling
        self._recent: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, signature: np.ndarray) -> bool:
        """True when it is new (and now kept), False when it is a near-duplicate."""
        keys = _keys(signature)
        if self._is_known(signature, keys):
            return False
        self._keep(signature, keys)
        return True

    def extend(self, signatures: np.ndarray) -> None:
        """Takes signatures that were found to be different before: uint8 [n, LANES]."""
        if not len(signatures):
            return
        start = self._count
        self._reserve(len(signatures))
        self._signatures[start : start + len(signatures)] = signatures
        self._count += len(signatures)
        keys = np.ascontiguousarray(signatures).view(np.uint64) + _BAND_SALT
        items = np.repeat(np.arange(start, self._count, dtype=np.uint32), BANDS)
        self._push(keys.ravel(), items)

    def _is_known(self, signature: np.ndarray, keys: np.ndarray) -> bool:
        candidates: set[int] = set()
        for key in keys.tolist():
            candidates.update(self._recent.get(key, ()))
        for known, items in self._levels:
            low = np.searchsorted(known, keys, "left")
            high = np.searchsorted(known, keys, "right")
            for begin, end in zip(low[low < high], high[low < high], strict=True):
                candidates.update(items[begin : min(end, begin + 64)].tolist())
        if not candidates:
            return False
        rows = self._signatures[np.fromiter(candidates, dtype=np.int64)]
        return bool(((rows == signature).mean(axis=1) >= SAME).any())

    def _keep(self, signature: np.ndarray, keys: np.ndarray) -> None:
        self._reserve(1)
        self._signatures[self._count] = signature
        for key in keys.tolist():
            self._recent.setdefault(key, []).append(self._count)
        self._count += 1
        if len(self._recent) >= RECENT_KEYS:
            keys_, items = zip(
                *((key, item) for key, found in self._recent.items() for item in found), strict=True
            )
            self._recent = {}
            self._push(np.array(keys_, dtype=np.uint64), np.array(items, dtype=np.uint32))

    def _push(self, keys: np.ndarray, items: np.ndarray) -> None:
        """A new sorted level; levels of like size are merged, so that there are few."""
        while self._levels and len(self._levels[-1][0]) <= 2 * len(keys):
            other_keys, other_items = self._levels.pop()
            keys, items = np.concatenate([other_keys, keys]), np.concatenate([other_items, items])
        order = np.argsort(keys, kind="stable")
        self._levels.append((keys[order], items[order]))

    def _reserve(self, count: int) -> None:
        size = len(self._signatures)
        if self._count + count > size:
            larger = np.empty((max(2 * size, self._count + count), LANES), dtype=np.uint8)
            larger[: self._count] = self._signatures[: self._count]
            self._signatures = larger


# The same eight bytes in another band are another key.
_BAND_SALT = (np.arange(BANDS, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)


def _keys(signature: np.ndarray) -> np.ndarray:
    return signature.view(np.uint64) + _BAND_SALT
