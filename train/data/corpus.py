"""The corpus: folders of `*.jsonl(.zst)` -> pairs that should lie close together -> training positives.

A line is one of
    {text, code, lang, name?, path?, src?, licence?}     prose and the code it describes (and `rewritten`)
    {num, title, text, solutions: {lang: code}}          one problem, solved in several languages
    {lang: code, lang: code}                             one function in two languages
A line that is none of them is counted and left out; so is what comes from an excluded repository, and what
shares text with an evaluation set (`contamination.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from train.data.contamination import EvaluationTexts
from train.data.lines import CorpusError, read_lines

# Longer code is cut here before anything else: chunks of the product are shorter, and so is every window.
LONGEST_CODE = 4000
# Repositories are held out for validation until they are this share of the pairs; none may exceed twice it.
HELD_OUT = 0.02


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together: `query` is prose, or code when `kind` is "code"."""

    kind: str
    query: str
    code: str
    language: str
    name: str = ""
    path: str = ""
    source: str = ""
    licence: str = ""


@dataclass(slots=True)
class CorpusReport:
    """What was read and what was left out."""

    pairs: int = 0
    broken: int = 0
    excluded: int = 0
    contaminated: int = 0
    files: dict[str, str] = field(default_factory=dict)

    def line(self) -> str:
        digest = hashlib.sha256("".join(sorted(self.files.values())).encode()).hexdigest()[:12]
        return (
            f"{self.pairs} pairs from {len(self.files)} files (digest {digest}); "
            f"left out: {self.broken} broken lines, "
            f"{self.excluded} of excluded repositories, {self.contaminated} shared with evaluation sets"
        )


def read_corpus(
    folder: Path, exclude: Path | None = None, decontaminate: Path | None = None
) -> tuple[list[Pair], CorpusReport]:
    """All pairs of the files in `folder`, in the order of the files' names and lines."""
    report = CorpusReport()
    return list(stream_corpus(folder, report, exclude, decontaminate)), report


def stream_corpus(
    folder: Path, report: CorpusReport, exclude: Path | None = None, decontaminate: Path | None = None
) -> Iterator[Pair]:
    """The same one by one, `report` filled on the way; CorpusError at the end when there was none."""
    files = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.zst")]) if folder.is_dir() else []
    if not files:
        raise CorpusError(
            f"{folder}: no *.jsonl or *.jsonl.zst files here; --data takes the folder that holds them"
        )
    excluded = Excluded.read(exclude) if exclude else Excluded(frozenset(), frozenset())
    known = EvaluationTexts.read(decontaminate) if decontaminate else None
    for file in files:
        report.files[file.name] = digest_of(file)
        for number, line in enumerate(read_lines(file), 1):
            try:
                found = list(_pairs(json.loads(line), file.name.split(".")[0], number))
            except (ValueError, TypeError, AttributeError, KeyError):
                report.broken += 1
                continue
            if not found:
                report.broken += 1
            for pair in found:
                if excluded.covers(pair.source):
                    report.excluded += 1
                elif known and known.shares(pair.query, pair.code):
                    report.contaminated += 1
                else:
                    report.pairs += 1
                    yield pair
    if not report.pairs:
        raise CorpusError(f"{folder}: no usable pair in {len(files)} files ({report.line()})")


# Names too common to mean the repository when a folder or a package bears them.
_COMMON_NAMES = frozenset(
    "core json click c go java javascript kotlin php python ruby rust typescript c-plus-plus c-sharp "
    "framework leetcode "
    "bat plug cats lazy.nvim jq".split()
)
# What registries put before and after a project's own name.
_REGISTRY_PARTS = re.compile(
    r"^(?:(?:npm|pypi|src|deb|debian)-)?(?:(?:python3?|node|golang|rust|ruby|php|haskell|lua|elixir"
    r"|r-cran)-)?"
    r"(?:(?:github|gitlab)(?:\.com|-com)?-)?|(?:[._]js|-(?:java|dev|src|cpp|py|rs|go))$"
)


@dataclass(frozen=True, slots=True)
class Excluded:
    """Repositories whose code must stay out: exact owner/name, and owners of whom everything is excluded."""

    repositories: frozenset[str]
    owners: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Excluded:
        """The names of a file, one owner/name or owner/* a line; the rest of a line is for people."""
        names = [
            line.split()[0].lower() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
        names = [name for name in names if not name.startswith("#")]
        owners = frozenset(name[:-2] for name in names if name.endswith("/*"))
        return cls(frozenset(names), owners)

    def covers(self, source: str) -> bool:
        """Whether a row's `src` (owner+name, or registry-name) is an excluded repository or a copy of one."""
        source = source.lower()
        if source.startswith(("doocs/leetcode#", "neetcode-gh/leetcode#")):
            # Listed as "(number%3==0)": every third problem belongs to the evaluation sets.
            repository, number = source.split("#")
            return repository in self.repositories and int(number) % 3 == 0
        if "+" in source:
            source = source.replace("+", "/", 1)
        if "/" in source:
            return source in self.repositories or source.split("/")[0] in self.owners
        packaged = source
        while (shorter := _REGISTRY_PARTS.sub("", packaged)) != packaged:
            packaged = shorter
        spellings = {packaged, packaged.replace("_", "-"), packaged.removeprefix("lib")}
        return any(
            name.split("/")[1] in spellings or name.replace("/", "-") in spellings
            for name in self.repositories
            if not name.endswith("/*")
        )

    def covers_path(self, path: str) -> bool:
        """Whether a file lies in a copy of an excluded repository: a folder of its name, or owner/name."""
        parts = path.lower().split("/")
        parts[-1] = parts[-1].rpartition(".")[0] or parts[-1]
        if any(f"{a}/{b}" in self.repositories or a in self.owners for a, b in pairwise(parts)):
            return True
        names = {name.split("/")[1] for name in self.repositories if not name.endswith("/*")} - _COMMON_NAMES
        return any(part in names for part in parts[:-1])


def _pairs(row: dict, origin: str, number: int) -> Iterator[Pair]:
    """The pairs of one line; none when a text is empty."""
    if "solutions" in row:
        solutions = {
            language: code[:LONGEST_CODE]
            for language, code in row["solutions"].items()
            if isinstance(code, str) and code.strip()
        }
        source = f"doocs/leetcode#{int(row['num'])}"
        text = f"{row['title']}. {row['text']}"
        for language, code in solutions.items():
            yield Pair("text", text, code, language, source=source, licence="CC-BY-SA-4.0")
        names = sorted(solutions)
        for index, language in enumerate(names):
            partner = names[(index + 1 + number % max(len(names) - 1, 1)) % len(names)]
            if partner != language:
                yield Pair(
                    "code",
                    solutions[language],
                    solutions[partner],
                    partner,
                    source=source,
                    licence="CC-BY-SA-4.0",
                )
    elif "code" in row:
        code = row["code"][:LONGEST_CODE]
        texts = [row[key] for key in ("text", "rewritten") if row.get(key)]
        if not code.strip() or not isinstance(row.get("lang", ""), str):
            return
        for text in dict.fromkeys(texts):
            if text.strip():
                yield Pair(
                    "text",
                    text,
                    code,
                    row.get("lang", ""),
                    row.get("name", "") if "path" in row else "",
                    row.get("path", ""),
                    row.get("src", origin),
                    row.get("licence", ""),
                )
    elif len(row) == 2:
        (first, code), (second, other) = row.items()
        if code.strip() and other.strip():
            ordered = (code, other, second) if number % 2 else (other, code, first)
            yield Pair(
                "code", ordered[0][:LONGEST_CODE], ordered[1][:LONGEST_CODE], ordered[2], source=origin
            )


def split_by_source(pairs: Sequence[Pair], share: float = HELD_OUT) -> tuple[list[Pair], list[Pair]]:
    """(train, validation): whole repositories are held out, chosen by the hash of their name."""
    held = held_out_sources([pair.source for pair in pairs], share)
    train = [pair for pair in pairs if pair.source not in held]
    return train, [pair for pair in pairs if pair.source in held]


def held_out_sources(sources: Sequence[str], share: float = HELD_OUT) -> set[str]:
    """The repositories that `split_by_source` holds out, of those that the pairs come from."""
    sizes = Counter(sources)
    limit, total, held = 2 * share * len(sources), 0, set()
    for source in sorted(sizes, key=lambda name: hashlib.sha1(name.encode()).hexdigest()):
        if total >= share * len(sources):
            break
        if sizes[source] <= limit:
            held.add(source)
            total += sizes[source]
    return held


def repository_of(pair: Pair) -> str:
    """Where a pair comes from, without its number there."""
    return pair.source.split("#")[0]


def group_of(pair: Pair) -> int:
    """What a pair is about, as a number: pairs of one group are no negatives of each other."""
    key = pair.source if "#" in pair.source else " ".join(pair.query.lower().split())
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big")


def digest_of(file: Path) -> str:
    with file.open("rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _sha256(stream)
        )


def _sha256(stream: io.BufferedReader) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
