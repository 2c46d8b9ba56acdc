"""Packets: what a writer is given, a hundred functions of four trees in one file, and the list of all items.

    PACKETS/001.md       the functions, each with its category and the language to write in
    PACKETS/items.jsonl  a line an item, as in `Item`: what the writer's answers are joined with

Packets that are there stay as they are; further ones are about functions that no earlier packet holds
and no question is about.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from train.data.lines import CorpusError, read_lines
from train.data.questions.packages import Function, Package, Tree
from train.data.questions.picking import Picker
from train.data.questions.rivals import Rivals

# Items of a packet: about 30,000 tokens, what a writer reads with care in one go.
TREES_A_PACKET = 4
ITEMS_A_TREE = 25
# Of each hundred questions.
CATEGORIES = {"how": 32, "symptom": 23, "intent": 18, "keywords": 13, "other": 14}
FOREIGN = ("German", "Spanish", "French", "Portuguese", "Chinese", "Japanese")
FOREIGN_IN_A_HUNDRED = 10


@dataclass(frozen=True, slots=True)
class Item:
    """A function that a question is to be written about."""

    id: str
    packet: int
    category: str
    language: str  # of people
    package: str
    path: str
    start: int
    end: int
    name: str
    lang: str


class Asked(Protocol):
    """What is known of a question that is there already: its id ("q00001") and its function."""

    @property
    def id(self) -> str: ...
    @property
    def package(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def start(self) -> int: ...


def read_items(packets: Path) -> list[Item]:
    """The items of all packets in `packets`, none for an empty folder; CorpusError for a bad line."""
    file = packets / "items.jsonl"
    items = []
    for number, line in enumerate(read_lines(file) if file.exists() else (), 1):
        try:
            items.append(Item(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise CorpusError(f"{file}:{number}: not an item ({error})") from error
    return items


def write_packets(
    packages: Sequence[Package],
    trees: Path,
    packets: Path,
    count: int,
    most_of_a_tree: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
    asked: Sequence[Asked] = (),
) -> int:
    """Write packets until there are `count`; how many were written.

    Trees with the fewest items and `asked` questions so far come first, at most `most_of_a_tree` of each.
    CorpusError when the trees hold too little for so many.
    """
    items = read_items(packets)
    first = 1 + max((item.packet for item in items), default=0)
    if first > count:
        return 0
    packets.mkdir(parents=True, exist_ok=True)
    taken = {(one.package, one.path, one.start) for one in (*items, *asked)}
    shelves = _Shelves(packages, trees, taken, most_of_a_tree, seed)
    before = max((int(one.id[1:]) for one in (*items, *asked)), default=0)
    for number in range(first, count + 1):
        blocks = shelves.take()
        made, text = _packet(number, before, blocks, trees, shelves, seed)
        before += len(made)
        (packets / f"{number:03}.md").write_text(text, encoding="utf-8")
        with (packets / "items.jsonl").open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in made)
        names = ", ".join(package.name for package, _ in blocks)
        tell(f"{number:03}: {len(made)} items, {names}, {len(text) // 4:,} tokens or so")
    return count - first + 1


class _Shelves:
    """What is left to ask about: trees in an order by the seed, each read when it is first needed."""

    def __init__(
        self,
        packages: Sequence[Package],
        trees: Path,
        taken: set[tuple[str, str, int]],
        most_of_a_tree: int,
        seed: int,
    ) -> None:
        self._packages = list(packages)
        random.Random(seed).shuffle(self._packages)
        self._trees = trees
        self._most_of_a_tree = most_of_a_tree
        self._picker = Picker(seed)
        self._taken = taken
        self._used = Counter(package for package, _, _ in taken)
        self._order: dict[str, Iterator[Function]] = {}
        self._rivals: dict[str, Rivals] = {}

    def take(self) -> list[tuple[Package, list[Function]]]:
        """The next functions of the trees asked about least; CorpusError for fewer than TREES_A_PACKET."""
        blocks = []
        for package in sorted(self._packages, key=lambda one: self._used[one.name]):
            size = min(ITEMS_A_TREE, self._most_of_a_tree - self._used[package.name])
            functions = list(islice(self._left(package), size)) if size > 0 else []
            if functions:
                self._used[package.name] += len(functions)
                blocks.append((package, functions))
            if len(blocks) == TREES_A_PACKET:
                return blocks
        raise CorpusError(
            f"{len(blocks)} trees have functions left, a packet asks about {TREES_A_PACKET}: "
            "a higher --most-of-a-tree or more packages"
        )

    def _left(self, package: Package) -> Iterator[Function]:
        if package.name not in self._order:
            functions = list(Tree(package, self._trees).functions())
            self._rivals[package.name] = Rivals(functions)
            self._order[package.name] = self._picker.fresh(functions)
        for function in self._order[package.name]:
            if (package.name, function.path, function.start) not in self._taken:
                yield function

    def rivals(self, function: Function) -> list[Function]:
        return self._rivals[function.tree].of(function)


def _packet(
    number: int,
    before: int,
    blocks: Sequence[tuple[Package, list[Function]]],
    trees: Path,
    shelves: _Shelves,
    seed: int,
) -> tuple[list[Item], str]:
    size = sum(len(functions) for _, functions in blocks)
    assigned = _assigned(size, number, random.Random(f"{seed} {number}"))
    items: list[Item] = []
    parts = [f"# Packet {number:03}: {size} functions\n"]
    for package, functions in blocks:
        parts.append(f"# {package.name} ({package.repository}), tree: {(trees / package.name).resolve()}\n")
        for function in sorted(functions, key=lambda one: (one.path, one.start)):
            category, language = assigned[len(items)]
            item = Item(
                f"q{before + len(items) + 1:05}",
                number,
                category,
                language,
                package.name,
                function.path,
                function.start,
                function.end,
                function.name,
                function.lang,
            )
            items.append(item)
            parts.append(_section(item, function, shelves.rivals(function)))
    return items, "\n".join(parts)


def _section(item: Item, function: Function, rivals: Sequence[Function]) -> str:
    return (
        f"## {item.id} | {item.category} | {item.language}\n"
        f"{item.package} {function.place} `{function.name}`\n"
        f"rivals: {', '.join(f'`{one.name}` {one.place}' for one in rivals) or 'none'}\n"
        f"```{function.lang}\n{function.code.rstrip()}\n```\n"
    )


def _assigned(size: int, number: int, rng: random.Random) -> list[tuple[str, str]]:
    """(category, language) of each item of a packet, in the shares above, shuffled."""
    deck = [category for category, share in CATEGORIES.items() for _ in range(share)]
    rng.shuffle(deck)
    categories = (deck * (size // len(deck) + 1))[:size]
    foreign = size * FOREIGN_IN_A_HUNDRED // 100
    # The six take turns from packet to packet.
    turn = (number - 1) * foreign
    languages = [FOREIGN[(turn + n) % len(FOREIGN)] for n in range(foreign)]
    languages += ["English"] * (size - foreign)
    rng.shuffle(languages)
    return list(zip(categories, languages, strict=True))
