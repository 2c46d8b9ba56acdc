"""Writers' answers -> questions: each joined with its item, the ones that give the answer away refused.

A line of WRITTEN/NNN.jsonl is {"id", "text", "also"?: [ids or "path:start-end"]} or {"id", "skip": reason}.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modstar_lsp.encoder.words import split_words
from train.data.lines import CorpusError, read_lines
from train.data.prose import COMMON_WORDS
from train.data.questions.packages import Function, Package, Tree
from train.data.questions.packets import Item, read_items

MOST_WORDS = 40
MOST_KEYWORDS = 6
# Of text without spaces.
MOST_CHARACTERS = 80
# Words in a row that a question and its answer (or its doc comment) may not share.
RUN = 4
# Content words that a question may share with its answer's code: a share of its own, or so many in any case.
MOST_SHARED, SHARED_IN_ANY_CASE = 0.5, 2
# A name of one word counts as given away from so many letters on: "add", "run" are everybody's words.
SHORTEST_NAME = 4

_NO_SPACES = ("Chinese", "Japanese")
_CJK = re.compile(r"[぀-ヿ㐀-鿿]")
_COMPOUND = re.compile(r"\b(?:[A-Za-z]+_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*)\b")
_PLACE = re.compile(r"(.+):(\d+)-(\d+)")
_ASKING = frozenset(
    "how where which what when why who does do did done is are was were can could should would want "
    "make made i my me we our you your it its they them their there here get gets got so too very just "
    "still even then than else some something somebody someone thing way happens happen code part "
    "function method".split()
)


class Refused(Exception):
    """Why an answer is no question; one line."""


@dataclass(frozen=True, slots=True)
class Question:
    """A line of questions.jsonl: pointers into a package's tree, never its code."""

    id: str
    text: str
    category: str
    language: str  # of people
    lang: str  # of the code
    package: str
    path: str
    lines: tuple[int, int]
    name: str
    also: list[dict[str, Any]]  # {path, lines, name}: what else answers it
    split: str

    @property
    def start(self) -> int:
        """The first line of the function, from 1."""
        return self.lines[0]


@dataclass(slots=True)
class Report:
    """What became of the answers."""

    accepted: int = 0
    skipped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    missing: int = 0

    def line(self) -> str:
        why = ", ".join(f"{reason} {count}" for reason, count in self.refused.most_common())
        splits = ", ".join(f"{split} {count}" for split, count in sorted(self.splits.items()))
        return (
            f"{self.accepted} questions ({splits or 'none'}), {self.skipped} skipped by the writers, "
            f"{self.refused.total()} refused ({why or 'none'}), {self.missing} items without an answer"
        )


def check(
    packages: Sequence[Package],
    trees: Path,
    packets: Path,
    written: Sequence[Path],
    out: Path | None,
    tell: Callable[[str], None],
) -> Report:
    """Check all answers and write the questions to `out`, in the order of their ids; nothing when it is None.

    Questions that are in `out` and not of these packets stay there.
    What is refused is told in one line: file, line, id, reason. CorpusError when there is nothing to check.
    """
    items = {item.id: item for item in read_items(packets)}
    if not items:
        raise CorpusError(f"{packets}: no packets here; the packets command writes them")
    files = list(_files(written))
    if not files:
        raise CorpusError(f"{written[0]}: no NNN.jsonl of answers here")
    checker = _Checker(packages, trees, items)
    report = Report()
    questions: list[Question] = []
    answered: set[str] = set()
    for file in files:
        for number, line in enumerate(read_lines(file), 1):
            item_id = ""
            try:
                row = _row(line)
                item_id = row["id"]
                item = checker.item(item_id, file.stem)
                if item_id in answered:
                    raise Refused("answered twice")
                answered.add(item_id)
                if "skip" in row:
                    report.skipped += 1
                    continue
                questions.append(checker.question(item, row))
            except Refused as error:
                report.refused[str(error).split(":")[0]] += 1
                tell(f"{file.name}:{number} {item_id}: {error}".replace(" :", ":"))
    report.accepted = len(questions)
    report.splits.update(one.split for one in questions)
    asked = {items[one].packet for one in answered}
    report.missing = sum(item.packet in asked and item.id not in answered for item in items.values())
    if out is not None:
        if out.is_file():
            questions += [one for one in read_questions(out) if one.id not in items]
        questions.sort(key=lambda one: one.id)
        text = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in questions)
        out.write_text(text, encoding="utf-8")
    return report


def read_questions(file: Path) -> list[Question]:
    """The questions of a file; CorpusError when there is no file or a line is none."""
    if not file.is_file():
        raise CorpusError(f"{file}: no questions; the check command writes them")
    found = []
    for number, line in enumerate(read_lines(file), 1):
        try:
            row = json.loads(line)
            start, end = row["lines"]
            found.append(Question(**{**row, "lines": (int(start), int(end))}))
        except (ValueError, TypeError, KeyError) as error:
            raise CorpusError(f"{file}:{number}: not a question ({error})") from error
    return found


def given_away(text: str, function: Function) -> str:
    """How a question gives its answer away, "" when it does not."""
    words = split_words(text)
    for kind, source in (("code", function.code), ("doc comment", function.comment)):
        run = _shared_run(words, split_words(source))
        if run:
            return f"four words in a row as in the {kind}: {run}"
    name = split_words(function.name.rpartition(".")[2])
    if _holds_name(words, name):
        return f"holds the answer's name: {' '.join(name)}"
    identifiers = set(_COMPOUND.findall(text)) & set(_COMPOUND.findall(function.code))
    if identifiers:
        return f"holds an identifier of the code: {min(identifiers)}"
    content = {word for word in words if len(word) > 2} - COMMON_WORDS - _ASKING
    shared = content & set(split_words(function.code))
    if len(shared) > max(SHARED_IN_ANY_CASE, MOST_SHARED * len(content)):
        return f"too many words of the code: {', '.join(sorted(shared))}"
    return ""


def _shared_run(words: Sequence[str], source: Sequence[str]) -> str:
    runs = {tuple(source[at : at + RUN]) for at in range(len(source) - RUN + 1)}
    for at in range(len(words) - RUN + 1):
        if tuple(words[at : at + RUN]) in runs:
            return " ".join(words[at : at + RUN])
    return ""


def _holds_name(words: Sequence[str], name: Sequence[str]) -> bool:
    if not name or (len(name) == 1 and len(name[0]) < SHORTEST_NAME):
        return False
    return any(list(words[at : at + len(name)]) == list(name) for at in range(len(words) - len(name) + 1))


def _files(written: Iterable[Path]) -> Iterator[Path]:
    for one in written:
        if one.is_dir():
            yield from sorted(one.glob("[0-9]*.jsonl"))
        elif one.is_file():
            yield one
        else:
            raise CorpusError(f"{one}: no such file or folder of answers")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Refused(f"not a line of JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise Refused('not an answer: no "id"')
    if not isinstance(row.get("skip", row.get("text")), str):
        raise Refused('not an answer: neither "text" nor "skip"')
    return row


class _Checker:
    def __init__(self, packages: Sequence[Package], trees: Path, items: dict[str, Item]) -> None:
        self._packages = {one.name: one for one in packages}
        self._trees = trees
        self._items = items
        self._opened: dict[str, Tree] = {}
        self._texts: dict[str, str] = {}

    def item(self, item_id: str, packet: str) -> Item:
        """The item of an id; Refused when there is none or another packet holds it."""
        item = self._items.get(item_id)
        if item is None:
            raise Refused("no item has this id")
        if packet.isdigit() and int(packet) != item.packet:
            raise Refused(f"in another packet's file: it belongs to {item.packet:03}")
        return item

    def question(self, item: Item, row: dict[str, Any]) -> Question:
        """The question that an answer is; Refused with the reason why it is none."""
        text = " ".join(row["text"].split())
        self._presentable(text, item)
        tree = self._tree(item.package)
        function = tree.at(item.path, item.start, item.end)
        if function is None or (function.start, function.end) != (item.start, item.end):
            raise CorpusError(
                f"{item.id}: {item.package} has no function at {item.path}:{item.start}-{item.end}; "
                "are the trees those that the packets were written from?"
            )
        how = given_away(text, function)
        if how:
            raise Refused(how)
        also = [self._place(one, item, tree) for one in _listed(row)]
        key = " ".join(sorted(set(split_words(text)))) or text
        if key in self._texts:
            raise Refused(f"a duplicate: of {self._texts[key]}")
        self._texts[key] = item.id
        return Question(
            item.id,
            text,
            item.category,
            item.language,
            item.lang,
            item.package,
            item.path,
            (item.start, item.end),
            item.name,
            [one for one in also if one["lines"] != [item.start, item.end] or one["path"] != item.path],
            self._packages[item.package].split,
        )

    def _presentable(self, text: str, item: Item) -> None:
        words = len(text.split())
        foreign = item.language in _NO_SPACES
        if text and bool(_CJK.search(text)) != foreign:
            raise Refused(f"not in the language asked for: {item.language}")
        if not text or (len(text) < 4 if foreign else words < 2):
            raise Refused("too short")
        most = MOST_KEYWORDS if item.category == "keywords" else MOST_WORDS
        if words > most or (foreign and len(text) > MOST_CHARACTERS):
            raise Refused(f"too long: {words} words, {len(text)} characters")

    def _place(self, one: object, item: Item, tree: Tree) -> dict[str, Any]:
        """What else answers, named by an item's id or by a place in the same tree."""
        if isinstance(one, str) and one in self._items:
            other = self._items[one]
            if other.package != item.package:
                raise Refused(f"another answer in another tree: {one}")
            return {"path": other.path, "lines": [other.start, other.end], "name": other.name}
        match = _PLACE.fullmatch(one) if isinstance(one, str) else None
        if match is None:
            raise Refused(f'another answer is neither an id nor "path:start-end": {one}')
        path, start, end = match[1], int(match[2]), int(match[3])
        if not tree.lines(path):  # written with the tree's name before it
            path = path.removeprefix(f"{item.package}/")
        if not 1 <= start <= end <= tree.lines(path):
            raise Refused(f"another answer is not in the tree: {one}")
        found = tree.at(path, start, end)
        if found is None:
            return {"path": path, "lines": [start, end], "name": ""}
        return {"path": path, "lines": [found.start, found.end], "name": found.name}

    def _tree(self, name: str) -> Tree:
        if name not in self._packages:
            raise CorpusError(f"{name}: the packets ask about it, the manifest does not hold it")
        if name not in self._opened:
            self._opened[name] = Tree(self._packages[name], self._trees)
        return self._opened[name]


def _listed(row: dict[str, Any]) -> list[object]:
    also = row.get("also") or []
    if not isinstance(also, list):
        raise Refused('"also" is not a list')
    return also
