"""Sources -> rows of a corpus, one source at a time: filtered, compared with all before, written, noted.

    OUT/functions-0001.jsonl.zst   {text, code, lang, name, path, src, licence}: a comment, its definition
    OUT/commits-0001.jsonl.zst     the same and `commit`: a commit's subject, a function it changed
    OUT/windows/windows-0001...    see windows.py
    OUT/state/manifest.jsonl       a line a source: version, digest, licences, rows, what was left out, ends
    OUT/state/signatures.bin       what the comparison with earlier rows needs, in the order of the rows

A file grows by one zstd frame a source, and the manifest's line is written last: a killed run is cut back
to the last whole source and goes on. Memory: about 450 bytes a row kept, and one source at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import zstandard

from train.data.contamination import EvaluationTexts, Shingles
from train.data.corpus import Excluded
from train.data.functions import definitions, parsed_language, spoken_language
from train.data.history import changes
from train.data.licences import PERMISSIVE, Licences
from train.data.lines import CorpusError, read_lines
from train.data.near import LANES, MinHash, NearDuplicates
from train.data.prose import first_paragraph, worth_reading
from train.data.quality import LONGEST, does_something, is_generated
from train.data.sources import SourceError, Tree, is_wanted
from train.data.windows import windows

# Pairs with the same text that are kept: more teach that text alone.
MOST_OF_A_TEXT = 3
# Rows of one language taken of one source; which ones is decided by a hash.
MOST_OF_A_SOURCE = 5_000
# Rows after which the next file is begun.
ROWS_A_FILE = 50_000
ALL_KINDS = ("functions", "commits", "windows")
# Diffs read of one history, the newest that say something: each costs the parse of the files it changed.
MOST_COMMITS_READ = 2_000
# Sources fetched while another is read; one at a time, so that a registry sees one client.
AHEAD = 2
_LEVEL = 12
# A commit's function may be a commented one too: the two kinds are compared each with itself.
_KINDS = ("functions", "commits")
_RECORD = np.dtype([("signature", np.uint8, (LANES,)), ("text", np.uint64), ("kind", np.uint8)])
_HEAD = 3_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run takes; the first run of a folder decides, later ones must agree."""

    most_of_a_source: int = MOST_OF_A_SOURCE
    kinds: tuple[str, ...] = ALL_KINDS
    most_commits: int = MOST_COMMITS_READ
    licences: tuple[str, ...] = ()  # accepted beyond the permissive ones


@dataclass(slots=True)
class Entry:
    """The manifest's line for one source."""

    spec: str
    source: str = ""
    version: str = ""
    digest: str = ""
    licences: dict[str, int] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    failed: str = ""
    seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        if self.failed:
            return f"{self.spec}: {self.failed}"
        found = ", ".join(
            f"{sum(languages.values())} {kind} ({_most(languages, 4)})"
            for kind, languages in self.rows.items()
            if languages
        )
        out = _most(self.left_out, 9)
        return f"{self.source}: {found or 'nothing'}; left out: {out or 'nothing'}; {self.seconds:.0f} s"


def _most(counts: dict[str, int], number: int) -> str:
    return ", ".join(f"{name} {n}" for name, n in Counter(counts).most_common(number))


class Harvest:
    """The corpus under one folder, open for more sources."""

    def __init__(
        self,
        out: Path,
        settings: Settings,
        exclude: Path | None = None,
        evaluation: Path | None = None,
        against: Path | None = None,
    ) -> None:
        self.out = out
        self.settings = settings
        self.excluded = Excluded.read(exclude) if exclude else Excluded(frozenset(), frozenset())
        self.evaluation = (
            EvaluationTexts.read(evaluation)
            if evaluation
            else EvaluationTexts(Shingles(), np.empty(0, dtype=np.uint64))
        )
        self.shingles = self.evaluation.shingles
        self.minhash = MinHash()
        self.near = [NearDuplicates() for _ in _KINDS]
        self.texts: Counter[int] = Counter()
        self.done: dict[str, Entry] = {}
        self._state = out / "state"
        (out / "windows").mkdir(parents=True, exist_ok=True)
        self._state.mkdir(exist_ok=True)
        self._ends: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._resume()
        if against and f"against:{against.name}" not in self.done:
            self._compare_with(against)

    # ---- one source ----------------------------------------------------------------------------------

    def take(self, spec: str, source: Future[AbstractContextManager[Tree]]) -> Entry:
        """Harvests one source and notes it; a source that cannot be read is noted with the reason."""
        began = time.monotonic()
        entry = Entry(spec)
        try:
            with source.result() as tree:
                self._harvest(tree, entry)
        except (SourceError, ValueError, RecursionError) as error:
            # One strange source must not end a run over hundreds.
            entry.failed = (
                str(error) if isinstance(error, SourceError) else f"{type(error).__name__}: {error}"
            )
        entry.seconds = round(time.monotonic() - began, 1)
        self._note(entry)
        return entry

    def _harvest(self, tree: Tree, entry: Entry) -> None:
        entry.source, entry.version, entry.digest = tree.source, tree.version, tree.digest
        licences = Licences(tree.root, tree.files, tree.debian, tree.metadata)
        left_out: Counter[str] = Counter()
        taken: Counter[str] = Counter()
        code_files = [path for path in tree.files if is_wanted(path)]
        readable: list[str] = []
        records: list[tuple[np.ndarray, int, int]] = []

        def keep(kind: int, rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
            kept = []
            for row in self._sampled(rows, left_out):
                record = self._fresh(row, kind, left_out)
                if record is not None:
                    records.append(record)
                    kept.append(row)
                    taken[row["licence"]] += 1
            return kept

        kinds = self.settings.kinds
        functions: list[dict[str, str]] = []
        if "functions" in kinds:
            functions = keep(0, self._functions(tree, code_files, licences, left_out, readable))
        else:
            readable = [path for path in code_files if not self.excluded.covers_path(path)]
        commits = []
        if tree.git is not None and "commits" in kinds:
            commits = keep(1, self._commits(tree, licences, left_out))
        found = []
        if "windows" in kinds:
            for snippets, paths in windows(tree.root, readable):
                language = spoken_language(parsed_language(paths[0], b""))
                licence = self._licence(licences, paths[0], "")
                if licence:
                    found.append(
                        {
                            "snippets": snippets,
                            "paths": paths,
                            "src": tree.source,
                            "lang": language,
                            "licence": licence,
                        }
                    )
        if not (functions or commits or found) and licences.unknown and tree.above:
            raise SourceError(f"its licence lies above it ({tree.above}): harvest {tree.above.parent}")
        self._write("functions", functions)
        self._write("commits", commits)
        self._write("windows/windows", found)
        self._append_records(records)
        entry.licences = dict(taken)
        entry.left_out = dict(left_out)
        for kind, rows in (("functions", functions), ("commits", commits), ("windows", found)):
            entry.rows[kind] = dict(Counter(str(row["lang"]) for row in rows))  # type: ignore[attr-defined]

    def _functions(
        self, tree: Tree, files: list[str], licences: Licences, left_out: Counter[str], readable: list[str]
    ) -> Iterator[dict[str, str]]:
        for path in files:
            if self.excluded.covers_path(path):
                left_out["excluded file"] += 1
                continue
            data = (tree.root / path).read_bytes()
            head = data[:_HEAD].decode("utf-8", "replace")
            licence = self._licence(licences, path, head)
            if not licence:
                left_out["licence"] += 1
                continue
            language = parsed_language(path, data)
            if not language or is_generated(data.decode("utf-8", "replace")):
                left_out["generated"] += 1
                continue
            readable.append(path)
            for one in definitions(language, data):
                if not one.comment:
                    left_out["no comment"] += 1
                    continue
                text = first_paragraph(one.comment, one.name)
                if not worth_reading(text, one.name):
                    left_out["text"] += 1
                elif not does_something(one.code, one.kind):
                    left_out["code"] += 1
                else:
                    yield _row(text, one.code, language, one.name, path, tree.source, licence)

    def _commits(self, tree: Tree, licences: Licences, left_out: Counter[str]) -> Iterator[dict[str, str]]:
        assert tree.git is not None
        for change in changes(tree.git, self.settings.most_commits):
            licence = self._licence(licences, change.path, "")
            if not licence or self.excluded.covers_path(change.path):
                left_out["licence"] += 1
            elif not does_something(change.function.code, change.function.kind):
                left_out["code"] += 1
            else:
                row = _row(
                    change.subject,
                    change.function.code,
                    change.language,
                    change.function.name,
                    change.path,
                    tree.source,
                    licence,
                )
                yield {**row, "commit": change.commit[:12]}

    def _licence(self, licences: Licences, path: str, head: str) -> str:
        return licences.of(path, head, self.settings.licences)

    def _sampled(self, rows: Iterable[dict[str, str]], left_out: Counter[str]) -> Iterator[dict[str, str]]:
        """At most `most_of_a_source` rows of a language, those whose hash is lowest, in their order."""
        found = list(rows)
        sizes = Counter(row["lang"] for row in found)
        limit = self.settings.most_of_a_source
        if all(size <= limit for size in sizes.values()):
            yield from found
            return
        ranked = sorted(
            range(len(found)),
            key=lambda i: hashlib.sha1(found[i]["code"].encode("utf-8", "replace")).digest(),
        )
        used: Counter[str] = Counter()
        chosen = set()
        for i in ranked:
            if used[found[i]["lang"]] < limit:
                used[found[i]["lang"]] += 1
                chosen.add(i)
        left_out["over the source's share"] += len(found) - len(chosen)
        yield from (row for i, row in enumerate(found) if i in chosen)

    def _fresh(
        self, row: dict[str, str], kind: int, left_out: Counter[str]
    ) -> tuple[np.ndarray, int, int] | None:
        """What is remembered of a row that is like none before, None for one that is left out."""
        text = _text_key(row["text"])
        if self.texts[text] >= MOST_OF_A_TEXT:
            left_out["same text"] += 1
            return None
        words = self.shingles.words(row["code"])
        if not len(words):
            return None
        if self.evaluation.shares_words(self.shingles.words(row["text"]), words):
            left_out["evaluation"] += 1
            return None
        signature = self.minhash.signature(words)
        if not self.near[kind].add(signature):
            left_out["near-duplicate"] += 1
            return None
        self.texts[text] += 1
        return signature, text, kind

    # ---- what is on disk -----------------------------------------------------------------------------

    def _write(self, kind: str, rows: list[dict]) -> None:  # type: ignore[type-arg]
        if not rows:
            return
        number = 1 + self._counts.get(kind, 0) // ROWS_A_FILE
        file = self.out / f"{kind}-{number:04}.jsonl.zst"
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        _append(file, zstandard.ZstdCompressor(level=_LEVEL).compress(text.encode("utf-8", "replace")))
        self._counts[kind] = self._counts.get(kind, 0) + len(rows)
        self._ends[file.relative_to(self.out).as_posix()] = file.stat().st_size

    def _append_records(self, records: list[tuple[np.ndarray, int, int]]) -> None:
        if not records:
            return
        made = np.zeros(len(records), dtype=_RECORD)
        for field_, values in zip(("signature", "text", "kind"), zip(*records, strict=True), strict=True):
            made[field_] = values
        file = self._state / "signatures.bin"
        _append(file, made.tobytes())
        self._ends["state/signatures.bin"] = file.stat().st_size

    def _note(self, entry: Entry) -> None:
        entry.ends, entry.counts = dict(self._ends), dict(self._counts)
        _append(self._state / "manifest.jsonl", (json.dumps(asdict(entry)) + "\n").encode())
        self.done[entry.spec] = entry

    def _resume(self) -> None:
        """Reads the manifest and cuts every file back to where its last whole source ended."""
        manifest = self._state / "manifest.jsonl"
        if manifest.exists():
            whole = manifest.read_bytes()
            end = whole.rfind(b"\n") + 1
            if end < len(whole):
                os.truncate(manifest, end)
            for line in whole[:end].decode().splitlines():
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise CorpusError(
                        f"{manifest}: not a manifest of this harvester; choose another --out"
                    ) from error
                self.done[entry.spec] = entry
                self._ends, self._counts = dict(entry.ends), dict(entry.counts)
        for file in [
            *self.out.glob("*.jsonl.zst"),
            *self.out.glob("windows/*.jsonl.zst"),
            self._state / "signatures.bin",
        ]:
            name = file.relative_to(self.out).as_posix()
            end = self._ends.get(name, 0)
            if file.exists() and file.stat().st_size > end:
                os.truncate(file, end)
        signatures = self._state / "signatures.bin"
        if signatures.exists():
            records = np.fromfile(signatures, dtype=_RECORD)
            for kind, near in enumerate(self.near):
                near.extend(records["signature"][records["kind"] == kind])
            self.texts.update(records["text"].tolist())

    def _compare_with(self, corpus: Path) -> None:
        """Takes the rows of another corpus as already known, so that nothing of it is made again."""
        began = time.monotonic()
        entry = Entry(f"against:{corpus.name}", source=str(corpus.name))
        records: list[tuple[np.ndarray, int, int]] = []
        for file in sorted([*corpus.glob("*.jsonl"), *corpus.glob("*.jsonl.zst")]):
            for line in read_lines(file):
                try:
                    row = json.loads(line)
                    words = self.shingles.words(row["code"])
                    text = _text_key(row["text"])
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
                if len(words):
                    signature = self.minhash.signature(words)
                    if self.near[0].add(signature):
                        records.append((signature, text, 0))
                        self.texts[text] += 1
        self._append_records(records)
        entry.rows = {"known": {"all": len(records)}}
        entry.seconds = round(time.monotonic() - began, 1)
        self._note(entry)


def run(
    harvest: Harvest,
    specs: list[str],
    open_source: Callable[[str], AbstractContextManager[Tree]],
    say: Callable[[str], None],
    again: bool = False,
) -> int:
    """Takes every source that is not done, opening the next ones meanwhile; how many could not be read."""
    todo = [spec for spec in specs if spec not in harvest.done or (again and harvest.done[spec].failed)]
    failed = 0
    with ThreadPoolExecutor(1) as ahead:
        opening = deque(ahead.submit(_opened, open_source, spec) for spec in todo[:AHEAD])
        try:
            for number, spec in enumerate(todo, 1):
                source = opening.popleft()
                if number - 1 + AHEAD < len(todo):
                    opening.append(ahead.submit(_opened, open_source, todo[number - 1 + AHEAD]))
                entry = harvest.take(spec, source)
                failed += bool(entry.failed)
                say(f"[{number}/{len(todo)}] {entry.line()}")
        finally:
            for source in opening:  # stopped early: what is unpacked already is deleted
                if not source.cancel() and source.exception() is None:
                    with source.result():
                        pass
    return failed


def _opened(
    open_source: Callable[[str], AbstractContextManager[Tree]], spec: str
) -> AbstractContextManager[Tree]:
    """The source, fetched and unpacked already when it is entered."""
    source = open_source(spec)
    return _already(source.__enter__(), source)


@contextmanager
def _already(tree: Tree, source: AbstractContextManager[Tree]) -> Iterator[Tree]:
    try:
        yield tree
    finally:
        source.__exit__(None, None, None)


def summary(entries: Iterable[Entry]) -> dict[str, object]:
    """Rows by kind, language and licence, and the sources, of a manifest; without paths of this machine."""
    by_kind: dict[str, Counter[str]] = {}
    licences: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    sources = []
    for entry in entries:
        if entry.spec.startswith("against:"):
            continue
        licences.update(entry.licences)
        left_out.update(entry.left_out)
        for kind, languages in entry.rows.items():
            by_kind.setdefault(kind, Counter()).update(languages)
        total = sum(entry.licences.values())
        if total:
            registry, _, name = entry.spec.partition(":")
            sources.append(
                {
                    "source": entry.spec if name and "/" not in registry else entry.source,
                    "src": entry.source,
                    "version": entry.version,
                    "digest": entry.digest[:16],
                    "licences": entry.licences,
                    "rows": total,
                }
            )
    return {
        "rows": {
            kind: {"all": sum(found.values()), **dict(found.most_common())} for kind, found in by_kind.items()
        },
        "licences": dict(licences.most_common()),
        "left_out": dict(left_out.most_common()),
        "sources": sources,
    }


def _row(
    text: str, code: str, language: str, name: str, path: str, source: str, licence: str
) -> dict[str, str]:
    return {
        "text": text,
        "code": code[:LONGEST],
        "lang": spoken_language(language),
        "name": name,
        "path": path,
        "src": source,
        "licence": licence,
    }


def _text_key(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(" ".join(text.lower().split()).encode("utf-8", "replace"), digest_size=8).digest(),
        "big",
    )


def _append(file: Path, data: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


__all__ = ["PERMISSIVE", "Entry", "Harvest", "Settings", "run", "summary"]
