"""How alike two pieces of code are, word by word: what can be seen, whatever a model thinks of them.

The score of a hit is no measure of that. It is the probability that the hit is the selected code again, which
differs between models and never rises with the rank: behind a false friend even a copy has no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from modstar_lsp.server.positions import Lines


def alike(one: Sequence[str], other: Sequence[str], least: float) -> float:
    """The share of the words of two texts that they have in common, in order; 0 when it is below `least`."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    found = matcher.ratio()
    return found if found >= least else 0.0


def shared(words: Sequence[str], text: Sequence[str]) -> float:
    """The share of `words` that `text` has too, each as often as it is there, in whatever order."""
    return sum((Counter(words) & Counter(text)).values()) / max(len(words), 1)


def words_of(lines: Lines, first: int, last: int) -> list[str]:
    """The words of lines first..last (from 1, inclusive)."""
    from modstar_lsp.encoder.words import split_words  # brings numpy: 0.1 s that starting must not wait for

    return split_words(lines.text(first, last))
