"""The corpus: folders of `*.jsonl(.zst)` -> pairs that should lie close together -> training positives.

A line is one of
    {text, code, lang, name?, path?, src?, licence?}     prose and the code it describes (and `rewritten`)
    {num, title, text, solutions: {lang: code}}          one problem, solved in several languages
    {lang: code, lang: code}                             one function in two languages
A line that is none of them is counted and left out; so is what comes from an excluded repository, and what
shares SHARED_SHINGLES runs of SHINGLE words with an evaluation set.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zstandard

from modstar_lsp.encoder.words import split_words

SHINGLE = 20
SHARED_SHINGLES = 3
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


class CorpusError(Exception):
    """The corpus folder cannot be used; the message is one line for the user."""


def read_corpus(
    folder: Path, exclude: Path | None = None, decontaminate: Path | None = None
) -> tuple[list[Pair], CorpusReport]:
    """All pairs of the files in `folder`, in the order of the files' names and lines."""
    files = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.zst")]) if folder.is_dir() else []
    if not files:
        raise CorpusError(
            f"{folder}: no *.jsonl or *.jsonl.zst files here; --data takes the folder that holds them"
        )
    report = CorpusReport()
    excluded = Excluded.read(exclude) if exclude else Excluded(frozenset(), frozenset())
    pairs: list[Pair] = []
    for file in files:
        report.files[file.name] = _digest(file)
        for number, line in enumerate(_lines(file), 1):
            try:
                found = list(_pairs(json.loads(line), file.name.split(".")[0], number))
            except (ValueError, TypeError, AttributeError, KeyError):
                report.broken += 1
                continue
            if not found:
                report.broken += 1
            for pair in found:
                if excluded.covers(pair):
                    report.excluded += 1
                else:
                    pairs.append(pair)
    if decontaminate:
        kept = _uncontaminated(pairs, decontaminate)
        report.contaminated = len(pairs) - len(kept)
        pairs = kept
    report.pairs = len(pairs)
    if not pairs:
        raise CorpusError(f"{folder}: no usable pair in {len(files)} files ({report.line()})")
    return pairs, report


@dataclass(frozen=True, slots=True)
class Excluded:
    """Repositories whose code must stay out: exact owner/name, and owners of whom everything is excluded."""

    repositories: frozenset[str]
    owners: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Excluded:
        names = [
            line.split()[0].lower() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
        names = [name for name in names if not name.startswith("#")]
        owners = frozenset(name[:-2] for name in names if name.endswith("/*"))
        return cls(frozenset(names), owners)

    def covers(self, pair: Pair) -> bool:
        source = pair.source.lower()
        if source.startswith("doocs/leetcode#") or source.startswith("neetcode-gh/leetcode#"):
            # Listed as "(number%3==0)": every third problem belongs to the evaluation sets.
            repository, number = source.split("#")
            return repository in self.repositories and int(number) % 3 == 0
        # `owner+name` as folders are called, or a package: npm-name, pypi-name, deb-name, src-name.
        if "+" in source:
            source = source.replace("+", "/", 1)
        if "/" in source:
            return source in self.repositories or source.split("/")[0] in self.owners
        packaged = re.sub(r"^(npm|pypi|src|deb)-", "", source).replace("_", "-")
        return any(packaged == name.split("/")[-1] for name in self.repositories if "/" in name)


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
    sizes = Counter(pair.source for pair in pairs)
    limit, total, held = 2 * share * len(pairs), 0, set()
    for source in sorted(sizes, key=lambda name: hashlib.sha1(name.encode()).hexdigest()):
        if total >= share * len(pairs):
            break
        if sizes[source] <= limit:
            held.add(source)
            total += sizes[source]
    train = [pair for pair in pairs if pair.source not in held]
    return train, [pair for pair in pairs if pair.source in held]


def group_of(pair: Pair) -> int:
    """What a pair is about, as a number: pairs of one group are no negatives of each other."""
    key = pair.source if "#" in pair.source else " ".join(pair.query.lower().split())
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big")


# ---- augmentation: what the model sees of a pair ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often each change is made. Names leak: without `rename` a model learns to match names only."""

    rename: float = 0.4
    drop_comments: float = 0.5
    header: float = 0.5
    first_sentence: float = 0.3
    lower: float = 0.3
    ask: float = 0.15
    language: float = 0.15


# What a renamed function is called.
_NEUTRAL = ("f", "fn", "func", "function", "method", "run", "solve", "foo", "g", "call", "x1", "do_it")
_ASKS = ("how to", "how do i", "how can i", "function to", "code to", "where do we", "find", "way to")
_SPOKEN = {
    "csharp": "c#",
    "cpp": "c++",
    "javascript": "javascript",
    "typescript": "typescript",
    "bash": "bash",
}
# Strings are matched first so that a comment sign inside one stays.
_STRING = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
_COMMENT = {
    "#": re.compile(rf"({_STRING})|#[^\n]*"),
    "//": re.compile(rf"({_STRING}|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/", re.DOTALL),
}
_HASH_COMMENTS = {"python", "ruby", "bash", "elixir"}


def augment(pair: Pair, rng: random.Random, how: Augmentation) -> tuple[str, str]:
    """(query, document) as one training step sees them."""
    return augment_query(pair, rng, how), augment_code(pair, rng, how)


def augment_query(pair: Pair, rng: random.Random, how: Augmentation) -> str:
    """The prose as somebody might type it; code that asks is changed as code is."""
    text = pair.query
    if pair.kind == "code":
        return drop_comments(text, "") if rng.random() < how.drop_comments else text
    if rng.random() < how.first_sentence:
        text = first_sentence(text)
    if rng.random() < how.lower:
        text = text.rstrip(" .").lower()
    if rng.random() < how.ask:
        text = f"{rng.choice(_ASKS)} {text}"
    if pair.language and rng.random() < how.language:
        spoken = _SPOKEN.get(pair.language, pair.language)
        text = rng.choice((f"{spoken} {text}", f"{text} in {spoken}", f"{text} {spoken}"))
    return text


def augment_code(pair: Pair, rng: random.Random, how: Augmentation) -> str:
    """The code, perhaps without its name or comments, perhaps under a line that says where it lives."""
    code, name = pair.code, pair.name
    if name and rng.random() < how.rename:
        code = rename(code, name, rng.choice(_NEUTRAL))
        name = ""
    if rng.random() < how.drop_comments:
        code = drop_comments(code, pair.language)
    if pair.path and rng.random() < how.header:
        code = f"{header(pair.path)}\n{code}"
    return code


def rename(code: str, name: str, new: str) -> str:
    """Every whole-word occurrence of `name` replaced."""
    last = re.split(r"\W+", name.strip())[-1] or name
    return re.sub(rf"(?<!\w){re.escape(last)}(?!\w)", new, code)


def drop_comments(code: str, language: str) -> str:
    """The code without comments; the languages' string literals are left alone."""
    sign = "#" if language in _HASH_COMMENTS else "//"
    bare = _COMMENT[sign].sub(lambda match: match.group(1) or "", code)
    return bare if bare.strip() else code


def header(path: str) -> str:
    """The line over a chunk that says where it lives: the last directories and the file."""
    return "/".join(path.split("/")[-3:])


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, unless that leaves fewer than three words."""
    match = re.search(r"[.!?](?=\s+[A-Z(])", text)
    if match and len(text[: match.start()].split()) >= 3:
        return text[: match.start() + 1]
    return text


# ---- decontamination ------------------------------------------------------------------------------


class Shingles:
    """Sixty-four-bit fingerprints of every run of SHINGLE words."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._rng = np.random.default_rng(20)
        self._powers = self._rng.integers(1, 2**63, SHINGLE, dtype=np.uint64) | np.uint64(1)

    def of(self, text: str) -> np.ndarray:
        """The distinct fingerprints of one text."""
        values = np.asarray([self._value(word) for word in split_words(text)], dtype=np.uint64)
        if len(values) < SHINGLE:
            return np.empty(0, dtype=np.uint64)
        windows = np.lib.stride_tricks.sliding_window_view(values, SHINGLE)
        return np.unique((windows * self._powers).sum(axis=1, dtype=np.uint64))

    def _value(self, word: str) -> int:
        value = self._values.get(word)
        if value is None:
            value = self._values[word] = int.from_bytes(
                hashlib.blake2b(word.encode(), digest_size=8).digest(), "big"
            )
        return value


def _uncontaminated(pairs: list[Pair], root: Path) -> list[Pair]:
    """The pairs that share fewer than SHARED_SHINGLES shingles with any one set under `root`."""
    shingles = Shingles()
    seen: list[np.ndarray] = []
    for file in sorted([*root.glob("*/queries.jsonl"), *root.glob("*/corpus.jsonl")]):
        for line in _lines(file):
            row = json.loads(line)
            seen.extend(shingles.of(row[key]) for key in ("text", "code") if row.get(key))
    known = np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.uint64)

    def shared(text: str) -> int:
        found = shingles.of(text)
        if not len(found) or not len(known):
            return 0
        at = np.minimum(np.searchsorted(known, found), len(known) - 1)
        return int((known[at] == found).sum())

    return [pair for pair in pairs if shared(pair.query) + shared(pair.code) < SHARED_SHINGLES]


def _lines(file: Path) -> Iterator[str]:
    """Lines of a plain or zstd-compressed file; bytes that are no UTF-8 are replaced."""
    with file.open("rb") as raw:
        stream = (
            zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw)
            if file.suffix == ".zst"
            else raw
        )
        try:
            for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
                if line.strip():
                    yield line
        except zstandard.ZstdError as error:
            raise CorpusError(f"{file}: cannot be decompressed ({error}); copy the file again") from error


def _digest(file: Path) -> str:
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
