"""Which functions are asked about: tellable ones, spread over the tree, near copies left out."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from modstar_lsp.encoder.words import split_words
from train.data.contamination import Shingles
from train.data.near import MinHash, NearDuplicates
from train.data.quality import does_something
from train.data.questions.packages import Function

# Shorter functions tell too little, longer ones do several things.
FEWEST_LINES, MOST_LINES = 6, 80
# A function of fewer distinct words hands something on; one of more characters fills the packet.
FEWEST_WORDS = 20
MOST_CHARACTERS = 3_600
# Calls and branches that a function has at least.
FEWEST_STEPS = 4
# Lines that are only values: from this share on the function is a table.
MOST_DATA = 0.5

# Everybody's names: what such a function does is its class's business.
_COMMON_NAMES = frozenset(
    "init initialize construct main constructor destructor tostring equals hashcode repr str hash eq ne "
    "clone copy dump print usage help setup teardown before after example demo new default drop fmt".split()
)
_ASIDE = re.compile(
    r"(?:^|/)(?:docs?|documentation|examples?|samples?|demos?|debian|contrib|tutorials?|debug|mocks?|stories"
    r"|ports?|build|dist|scripts?|tools|apps?/bare-expo)(?:/|$)",
    re.I,
)
_STEP = re.compile(
    r"\w\s*\(|\b(?:if|for|while|match|case|switch|when|unless|catch|rescue|except)\b|\|>|<-|>>="
)
_DATA_LINE = re.compile(
    r"""^\s*(?:["'\d\[{(.+-].*,|[\w"'.-]+\s*(?:=>|:)\s*[^(){]*,|[\])},;]+)\s*(?://.*|#.*)?$"""
)


def is_tellable(function: Function) -> bool:
    """Whether somebody could ask for what it does, by its size, its name, its place and its text."""
    lines = function.end - function.start + 1
    if not FEWEST_LINES <= lines <= MOST_LINES or len(function.code) > MOST_CHARACTERS:
        return False
    bare = "".join(split_words(function.name.rpartition(".")[2]))
    if not bare or bare in _COMMON_NAMES or bare.startswith(("test", "bench", "mock")):
        return False
    if _ASIDE.search(function.path) or not does_something(function.code, "function"):
        return False
    if len(set(split_words(function.code))) < FEWEST_WORDS:
        return False
    body = function.code.split("\n")[1:]
    if len(_STEP.findall("\n".join(body))) < FEWEST_STEPS:
        return False
    return sum(bool(_DATA_LINE.match(line)) for line in body) < MOST_DATA * max(len(body), 1)


class Picker:
    """Takes functions of one tree after another; what is nearly the same as one before is left out."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._shingles = Shingles()
        self._minhash = MinHash()
        self._seen = NearDuplicates()

    def take(self, function: Function) -> bool:
        """True when it is like none before; then it counts for those that follow."""
        words = self._shingles.words(function.code)
        return bool(len(words)) and self._seen.add(self._minhash.signature(words))

    def order(self, functions: Sequence[Function]) -> list[Function]:
        """The tellable functions of a tree as they are to be asked about, the same for the same seed.

        Every file gives one before any gives its second; among them a hash decides. One of a name.
        """
        ranked = sorted(filter(is_tellable, functions), key=self._rank)
        of_file: Counter[str] = Counter()
        names: set[str] = set()
        rounds: list[tuple[int, int, Function]] = []
        for place, function in enumerate(ranked):
            name = function.name.rpartition(".")[2].lower()
            if name in names:
                continue
            names.add(name)
            rounds.append((of_file[function.path], place, function))
            of_file[function.path] += 1
        return [function for _, _, function in sorted(rounds, key=lambda one: one[:2])]

    def fresh(self, functions: Sequence[Function]) -> Iterator[Function]:
        """`order`, without what is like one taken before."""
        return (one for one in self.order(functions) if self.take(one))

    def _rank(self, function: Function) -> bytes:
        key = f"{self.seed}\0{function.tree}\0{function.place}"
        return hashlib.sha256(key.encode("utf-8", "replace")).digest()
