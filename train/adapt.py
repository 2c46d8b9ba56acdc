"""A better bundle for one repository, learnt from its own comments, names and commit subjects.

    python -m train.adapt PATH [PATH ...] [--bundle DIR] [--out FOLDER] [--record NAME]

What is trained is exit 0's table, a few minutes on a CPU; the deeper exits of a bundle build on it and gain
with it. A part of the files is held out: their comments ask for their functions among all of the repository,
before and after, and the gain is printed with its 95 % interval. How far to go from the old table to the new
is chosen on another held-out part. Nothing is written over, and nothing at all when there is no gain. Several
repositories are adapted to one by one, a bundle each; `--record` keeps what came of them in train/records.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from bundle.manifest import write_manifest
from bundle.static import write_static
from evaluation.metrics import Floats, Interval, interval, interval_of_means
from evaluation.record import command_line, table
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.bundle import MANIFEST, Bundle
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import ModstarError
from modstar_lsp.files import walk
from modstar_lsp.files.source import Unreadable, read_source
from train.bags import Bags, make_bags, pool, words_of
from train.data import Augmentation, Pair, augment_code, augment_query, group_of, header
from train.data.functions import definitions, parsed_language, spoken_language
from train.data.history import changes
from train.data.prose import first_paragraph, worth_reading
from train.data.quality import does_something
from train.data.sources import SourceError
from train.exit0 import Exit0Settings, Table, train_table
from train.record import write_record

# Shares of the files, by the hash of their paths: what measures the gain, and what chooses how far to go.
MEASURED, CHOOSING = 0.2, 0.15
# Fewer questions than this in either part say nothing, and fewer pairs teach nothing.
LEAST_QUESTIONS, LEAST_PAIRS = 15, 60
# How far to go from the old table (0) to the new one (1).
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# At most so many commits, definitions to find and questions asked: bounds the minutes.
MOST_COMMITS, MOST_CANDIDATES, MOST_QUESTIONS = 1_000, 4_000, 400
# Words that a name needs to be a question by itself.
SPOKEN_NAME = 2
# Steps of up to BATCH pairs: as many as let the rate rise and fall.
STEPS, BATCH, RATE = 300, 128, 1e-3
VARIANTS = 3
CUT = 10


class AdaptError(Exception):
    """The repository or bundle cannot be used; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository says of itself: pairs to learn from, and definitions to be found."""

    name: str
    teaching: list[Pair]
    choosing: list[Pair]
    measuring: list[Pair]
    candidates: list[Pair]


def read_repository(root: Path) -> Repository:
    """Read the files that an index of `root` would hold, and the git history when there is one."""
    if not root.is_dir():
        raise AdaptError(f"{root}: no folder here")
    parts: dict[str, list[Pair]] = {"teach": [], "choose": [], "measure": []}
    candidates: list[Pair] = []
    name = root.resolve().name
    for file in walk(root).files:
        try:
            text = read_source(root, file.path)
        except Unreadable:
            continue
        data = text.encode(errors="replace")
        language = parsed_language(file.path, data)
        if not language:
            continue
        part, spoken = _part(file.path), spoken_language(language)
        for one in definitions(language, data):
            if not does_something(one.code, one.kind):
                continue
            candidates.append(Pair("text", "", one.code, spoken, one.name, file.path, name))
            said = first_paragraph(one.comment, one.name) if one.comment else ""
            if said and worth_reading(said, one.name):
                parts[part].append(Pair("text", said, one.code, spoken, one.name, file.path, name))
            elif part == "teach" and len(split_words(one.name)) >= SPOKEN_NAME:
                asked = " ".join(split_words(one.name))
                parts[part].append(Pair("text", asked, one.code, spoken, one.name, file.path, name))
    if (root / ".git").exists():
        parts["teach"] += [
            Pair(
                "text",
                change.subject,
                change.function.code,
                change.language,
                change.function.name,
                change.path,
                name,
            )
            for change in _changes(root)
            if _part(change.path) == "teach" and does_something(change.function.code, change.function.kind)
        ]
    few = min(len(parts["choose"]), len(parts["measure"]))
    if len(parts["teach"]) < LEAST_PAIRS or few < LEAST_QUESTIONS:
        raise AdaptError(
            f"{root}: too little to learn from ({len(parts['teach'])} pairs, {few} held-out questions; "
            f"{LEAST_PAIRS} and {LEAST_QUESTIONS} are needed): comments above functions are what it takes"
        )
    return Repository(name, parts["teach"], parts["choose"], parts["measure"], candidates)


def _changes(root: Path) -> Iterator:  # type: ignore[type-arg]
    try:
        yield from changes(root / ".git", MOST_COMMITS)
    except SourceError:
        return  # a history that cannot be read teaches nothing


def _part(path: str) -> str:
    place = (
        int.from_bytes(hashlib.blake2b(path.encode(errors="replace"), digest_size=4).digest(), "big") / 2**32
    )
    return "measure" if place < MEASURED else "choose" if place < MEASURED + CHOOSING else "teach"


# ---- the table --------------------------------------------------------------------------------------------


def read_table(bundle: Bundle) -> np.ndarray:
    """Exit 0's folded table as float32 [pieces, dimension]."""
    rows = np.load(bundle.verified(bundle.static.table), allow_pickle=False).astype(np.float32)
    scales = np.load(bundle.verified(bundle.static.scales), allow_pickle=False)
    return rows * scales[:, None]


def learn(
    table: np.ndarray, tokenizer: Tokenizer, pairs: Sequence[Pair], tf: str, nested: Sequence[int]
) -> np.ndarray:
    """The table after some epochs of the pairs; its first values alone, `nested` of them, stay good too."""
    how = Augmentation()
    queries, documents = [], []
    for variant in range(VARIANTS):
        rng = random.Random(variant)
        queries.append(make_bags([augment_query(pair, rng, how) for pair in pairs], tokenizer))
        documents.append(make_bags([_found(pair, rng, how) for pair in pairs], tokenizer))
    start = torch.from_numpy(table)
    lengths = start.norm(dim=-1)
    # Told apart from rows of nothing, which stay nothing: punctuation and specials.
    counted = torch.from_numpy(words_of(tokenizer))[: len(table)] * (lengths > 0)
    scale = lengths[lengths > 0].mean()
    words = Table(F.normalize(start, dim=-1), lengths / scale, counted, tf)
    groups = np.asarray([group_of(pair) for pair in pairs])
    batch = min(BATCH, len(pairs) // 2)
    epochs = -(-STEPS // (len(pairs) // batch))
    settings = Exit0Settings(nested=tuple(nested), batch=batch, epochs=epochs, lr=RATE, weight_lr=RATE)
    train_table(words, queries, documents, np.zeros(len(pairs)), groups, settings, lambda *_: None)
    return (words.folded() * scale).numpy()


def _found(pair: Pair, rng: random.Random, how: Augmentation) -> str:
    """A function asked for by its own name has to be found without it."""
    named = pair.query == " ".join(split_words(pair.name))
    return augment_code(pair, rng, Augmentation(rename=1.0, identifiers=0.0) if named else how)


# ---- the measure ------------------------------------------------------------------------------------------


class Questions:
    """Held-out comments asking for their functions among those of the repository."""

    def __init__(self, pairs: Sequence[Pair], candidates: Sequence[Pair]):
        asked = random.Random(0).sample(list(pairs), min(len(pairs), MOST_QUESTIONS))
        wanted = {(pair.path, pair.name, pair.code) for pair in asked}
        others = [one for one in candidates if (one.path, one.name, one.code) not in wanted]
        kept = random.Random(1).sample(others, min(len(others), MOST_CANDIDATES))
        documents = list(dict.fromkeys([text_of(one) for one in [*asked, *kept]]))
        row = {text: at for at, text in enumerate(documents)}
        self.queries = [pair.query for pair in asked]
        self.documents = documents
        self.wanted = np.asarray([row[text_of(pair)] for pair in asked])

    def reciprocal_ranks(self, queries: np.ndarray, documents: np.ndarray) -> Floats:
        """MRR@10's value of each question."""
        scores = queries @ documents.T
        own = scores[np.arange(len(scores)), self.wanted]
        ranks = (scores > own[:, None]).sum(axis=1) + 1
        return np.where(ranks <= CUT, 1.0 / ranks, 0.0)


def text_of(pair: Pair) -> str:
    """A definition as an index embeds it: its path's tail above it."""
    return f"{header(pair.path)}\n{pair.code}"


def choose_share(
    old: np.ndarray, new: np.ndarray, questions: Questions, tokenizer: Tokenizer, tf: str
) -> float:
    """How far to go from the old table to the new: what answers the choosing questions best."""
    asked, found = make_bags(questions.queries, tokenizer), make_bags(questions.documents, tokenizer)

    def score(share: float) -> float:
        table = torch.from_numpy(old + share * (new - old))
        rows: Callable[[Bags], np.ndarray] = lambda bags: pool(table, bags, tf)  # noqa: E731
        return float(questions.reciprocal_ranks(rows(asked), rows(found)).mean())

    return max(SHARES, key=lambda share: (round(score(share), 4), -share))


def answers(bundle: Bundle, questions: Questions) -> dict[int, Floats]:
    """Every exit's reciprocal ranks."""
    encoder = Encoder(bundle)
    return {
        one.depth: questions.reciprocal_ranks(
            encoder.encode(questions.queries, one.depth, "query"),
            encoder.encode(questions.documents, one.depth),
        )
        for one in bundle.exits
    }


# ---- the bundle -------------------------------------------------------------------------------------------


def write_bundle(bundle: Bundle, table: np.ndarray, folder: Path, name: str, told: dict[str, object]) -> None:
    """The bundle with another table in its place, in a folder of its own."""
    manifest = json.loads((bundle.folder / MANIFEST).read_text("utf-8"))
    for file in manifest.pop("files"):
        if file not in bundle.static.files:
            shutil.copyfile(bundle.verified(file), folder / file)
    pieces = bundle.verified(bundle.static.vocabulary).read_text("utf-8").split("\n")
    manifest["static"] = write_static(folder, table, pieces, bundle.static.tf, bundle.static.max_word_chars)
    for one in manifest["exits"]:
        if one["depth"] == 0:
            one["file"] = manifest["static"]["table"]
    manifest |= {"name": name, "provenance": {**manifest["provenance"], "adapted": told}}
    del manifest["format"]
    write_manifest(folder, manifest)


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of one repository. before, after: each exit's reciprocal ranks of the held-out questions,
    {} when the questions that choose had gained nothing, so that the table stays as it was."""

    repository: Repository
    share: float
    candidates: int
    before: dict[int, Floats]
    after: dict[int, Floats]
    cpu_minutes: float
    bundle: Path | None

    def gains(self, depth: int) -> Floats:
        """What the answer to each question gained at an exit."""
        if not self.before:
            return np.zeros(min(len(self.repository.measuring), MOST_QUESTIONS))
        return self.after[depth] - self.before[depth]


def adapt(root: Path, bundle: Bundle, target: Path) -> Adapted:
    """Measure, learn, measure again, and write the new bundle to `target` if something was gained."""
    began = _cpu_seconds()
    repository = read_repository(root)
    print(
        f"{repository.name}: {len(repository.teaching)} pairs to learn from, {len(repository.measuring)} "
        f"questions held out, {len(repository.candidates)} definitions",
        flush=True,
    )
    tokenizer = Tokenizer.from_file(str(bundle.verified(bundle.tokenizer)))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    old, tf = read_table(bundle), bundle.static.tf
    kept = bundle.indexed
    shorter = [width for width in (kept, kept // 2) if width < old.shape[1]]
    new = learn(old, tokenizer, repository.teaching, tf, shorter)
    choosing = Questions(repository.choosing, repository.candidates)
    share = choose_share(old[:, :kept], new[:, :kept], choosing, tokenizer, tf)
    questions = Questions(repository.measuring, repository.candidates)

    def adapted(before: dict[int, Floats], after: dict[int, Floats], written: Path | None) -> Adapted:
        minutes = (_cpu_seconds() - began) / 60
        return Adapted(repository, share, len(questions.documents), before, after, minutes, written)

    if not share:
        print(
            "nothing gained on the questions that choose: the bundle in use is the best for this repository"
        )
        return adapted({}, {}, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        told = {"repository": repository.name, "pairs": len(repository.teaching), "share": share}
        write_bundle(bundle, old + share * (new - old), temporary, target_name(bundle, root), told)
        before, after = answers(bundle, questions), answers(open_bundle(temporary), questions)
        found = adapted(before, after, target)
        print(_table(found), flush=True)
        if max(float(found.gains(e).mean()) for e in after) <= 0:
            print("no gain on the held-out questions: nothing is written")
            return adapted(before, after, None)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return found


def _cpu_seconds() -> float:
    """Of this process and of those it waited for: git reads the history."""
    return sum(os.times()[:4])


def target_name(bundle: Bundle, root: Path) -> str:
    """What the bundle for a repository is called."""
    return f"{bundle.name}-{root.resolve().name}"


def _table(found: Adapted) -> str:
    lines = [
        f"\nMRR@{CUT} of {len(found.before[0])} held-out questions among {found.candidates} definitions "
        "[95 % interval]\n",
        "| exit | before | after | gain |",
        "|---|---|---|---|",
    ]
    for e in found.before:
        before, after = interval(found.before[e]).mean, interval(found.after[e]).mean
        lines.append(f"| {e} | {before:.3f} | {after:.3f} | {_signed(interval(found.gains(e)))} |")
    return "\n".join(lines)


def _signed(gain: Interval) -> str:
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


# ---- the record -------------------------------------------------------------------------------------------


def record(name: str, bundle: Bundle, found: dict[Path, Adapted], command: str) -> Path:
    """Keep what came of some repositories as a record in train/records; its folder."""
    depths = [one.depth for one in bundle.exits]
    told: dict[str, Any] = {}
    rows: list[list[str]] = []
    for one in found.values():
        gains = {e: interval(one.gains(e)) for e in depths}
        facts = {
            "pairs": len(one.repository.teaching),
            "questions": len(one.gains(depths[0])),
            "definitions": one.candidates,
            "share": one.share,
            "cpu_minutes": round(one.cpu_minutes, 1),
        }
        before = {e: round(float(values.mean()), 4) for e, values in one.before.items()}
        told[one.repository.name] = {**facts, "before": before, "gain": _rounded(gains)}
        cells = [*map(str, facts.values()), *(_signed(gain) for gain in gains.values())]
        rows.append([one.repository.name, *cells])
    together = {e: interval_of_means([one.gains(e) for one in found.values()]) for e in depths}
    rows.append(["mean", *[""] * len(facts), *(_signed(gain) for gain in together.values())])
    header = ["repository", *(fact.replace("_", " ") for fact in facts), *(f"exit {e}" for e in depths)]
    config = {"bundle": bundle.name, "digest": bundle.digest, "steps": STEPS, "batch": BATCH, "rate": RATE}
    files = {one.repository.name: _commit(root) for root, one in found.items()}
    data = {"files": files, "line": "Each repository with its history at the commit above."}
    result = {"repositories": told, "mean_gain": _rounded(together)}
    shown = table(f"Gain in MRR@{CUT} on held-out questions [95 % interval]", header, rows)
    return write_record(name, config, data, [], result, command, _REMARKS, [shown])


def _rounded(gains: dict[int, Interval]) -> dict[int, list[float]]:
    return {e: [round(value, 4) for value in (gain.mean, gain.low, gain.high)] for e, gain in gains.items()}


_REMARKS = (
    "What `python -m train.adapt` gains: exit 0's table is trained for one repository on its own comments,\n"
    "names and commit subjects; then comments of files held out ask for their functions among all it has."
)


def _commit(root: Path) -> str:
    """The commit a repository is at; "" without a history."""
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 a bundle was written, 1 there was nothing to gain, 2 an error told in one line."""
    parser = argparse.ArgumentParser(
        "python -m train.adapt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a repository")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="default: the built-in one")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: ./<bundle>-<repository>")
    parser.add_argument("--record", metavar="NAME", help="name of a dated folder in train/records")
    chosen = parser.parse_args(arguments)
    if chosen.out and len(chosen.paths) > 1:
        parser.error("--out is one bundle's folder: leave it out for several repositories")
    try:
        bundle = open_bundle(chosen.bundle)
        targets = {root: chosen.out or Path(target_name(bundle, root)) for root in chosen.paths}
        for target in targets.values():
            if target.exists():
                raise AdaptError(f"{target} exists already; give --out another folder")
        found: dict[Path, Adapted] = {}
        for root, target in targets.items():
            found[root] = adapt(root, bundle, target)
            if found[root].bundle:
                print(f"\nwritten: {target}; use it with: modstar-index --bundle {target} {root}", flush=True)
        if chosen.record:
            typed = list(sys.argv[1:] if arguments is None else arguments)
            record(chosen.record, bundle, found, command_line("train.adapt", typed))
    except (AdaptError, ModstarError) as error:
        print(f"train.adapt: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"train.adapt: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train.adapt: interrupted; nothing more is written", file=sys.stderr)
        return 130
    return 0 if any(one.bundle for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
