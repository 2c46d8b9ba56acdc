"""The packages that are asked about: pinned in `packages.jsonl`, laid out as folders below one root."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.data.corpus import Excluded
from train.data.functions import Described, definitions, parsed_language, spoken_language
from train.data.licences import Licences, permitted
from train.data.lines import CorpusError, read_lines
from train.data.quality import is_generated
from train.data.sources import SourceError, fetch_package, is_wanted, kept_files

HERE = Path(__file__).parent
MANIFEST = HERE / "packages.jsonl"
# A licence is looked for in so many characters at the head of a file.
_HEAD = 3_000


@dataclass(frozen=True, slots=True)
class Package:
    """One line of the manifest.

    name: the tree's folder. package: registry:NAME and version, as `train.data.sources` fetches it.
    sha256: of the files the registry's client brings, in the order of their names, one after the other.
    repository: owner/name of the project. licence: SPDX name of the files that name no other.
    languages: what is asked about; other files only stand in the way of the answer.
    root: folder of the package that becomes the tree, "" for all of it. held_out: kept for judging.
    """

    name: str
    package: str
    sha256: str
    repository: str
    licence: str
    languages: tuple[str, ...]
    root: str = ""
    held_out: bool = False

    @property
    def split(self) -> str:
        return "held_out" if self.held_out else "train"


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method of a tree; lines count from 1, decorators left out, both ends included."""

    tree: str
    path: str
    start: int
    end: int
    name: str  # qualified by the classes around it: "Cache.evict"
    lang: str
    licence: str
    comment: str
    code: str  # without its doc comment

    @property
    def place(self) -> str:
        return f"{self.path}:{self.start}-{self.end}"


def read_packages(manifest: Path = MANIFEST) -> list[Package]:
    """The manifest's packages in order; CorpusError for a line that is none."""
    found: dict[str, Package] = {}
    for number, line in enumerate(read_lines(manifest), 1):
        try:
            row = json.loads(line)
            package = Package(**{**row, "languages": tuple(row["languages"])})
        except (ValueError, TypeError, KeyError) as error:
            raise CorpusError(f"{manifest}:{number}: not a package ({error})") from error
        if not permitted(package.licence):
            raise CorpusError(f"{manifest}:{number}: {package.licence} is not a permissive licence")
        if package.name in found:
            raise CorpusError(f"{manifest}:{number}: {package.name} is there twice")
        found[package.name] = package
    return list(found.values())


def refuse_excluded(packages: Sequence[Package], exclude: Path) -> None:
    """CorpusError when a package belongs to a repository listed in `exclude` (owner/name, one a line)."""
    excluded = Excluded.read(exclude)
    for one in packages:
        if excluded.covers(one.repository.lower()):
            raise CorpusError(
                f"{one.name}: {one.repository} is excluded by {exclude}; take it off the manifest"
            )


def lay_out(package: Package, trees: Path) -> bool:
    """Fetch a package and make it the folder trees/NAME; False when it lies there already.

    CorpusError when the client brings nothing or other files than the manifest's.
    """
    target, stamp = trees / package.name, trees / f"{package.name}.sha256"
    if target.is_dir() and stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == package.sha256:
        return False
    trees.mkdir(parents=True, exist_ok=True)
    registry, _, name = package.package.partition(":")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=trees) as made:
        try:
            tree = fetch_package(registry, name, Path(made))
        except (SourceError, KeyError) as error:
            raise CorpusError(f"{package.name}: {error}") from error
        if tree.digest != package.sha256:
            raise CorpusError(
                f"{package.name}: {package.package} has digest {tree.digest[:12]}, the manifest says "
                f"{package.sha256[:12]}; the registry's files are not those that were asked about"
            )
        root = tree.root / package.root
        if not root.is_dir():
            raise CorpusError(f"{package.name}: {package.package} holds no folder {package.root}")
        if target.exists():
            shutil.rmtree(target)
        root.rename(target)
    stamp.write_text(package.sha256 + "\n", encoding="utf-8")
    return True


class Tree:
    """A package laid out: its functions and methods, of its languages and under a permissive licence."""

    def __init__(self, package: Package, trees: Path) -> None:
        self.package = package
        self.root = trees / package.name
        if not self.root.is_dir():
            raise CorpusError(f"{self.root}: no tree of {package.name}; `fetch --trees {trees}` lays it out")
        self.files = [path for path in kept_files(self.root) if is_wanted(path)]
        # The manifest says what the whole is under; a folder's own licence file or a file's head may differ.
        nested = [path for path in kept_files(self.root) if "/" in path]
        self._licences = Licences(self.root, nested, metadata=package.licence)
        self._read: dict[str, list[Function]] = {}

    def functions(self) -> Iterator[Function]:
        """All of them, file by file."""
        for path in self.files:
            yield from self.of_file(path)

    def of_file(self, path: str) -> list[Function]:
        """Those of one file in order; none when it is generated, or of another language or licence."""
        if path not in self._read:
            self._read[path] = self._parsed(path)
        return self._read[path]

    def at(self, path: str, start: int, end: int) -> Function | None:
        """The function that has most of its lines, and at least half of the shorter, in common with these."""
        best, most = None, 0.0
        for one in self.of_file(path) if path in self.files else ():
            both = min(end, one.end) - max(start, one.start) + 1
            share = both / min(end - start + 1, one.end - one.start + 1)
            whole = both / max(end - start + 1, one.end - one.start + 1)
            if share >= 0.5 and whole > most:
                best, most = one, whole
        return best

    def lines(self, path: str) -> int:
        """How many lines a file has, 0 when there is none of the name."""
        file = self.root / path
        if ".." in Path(path).parts or Path(path).is_absolute() or not file.is_file():
            return 0
        return file.read_bytes().count(b"\n") + 1

    def _parsed(self, path: str) -> list[Function]:
        data = (self.root / path).read_bytes()
        language = parsed_language(path, data)
        text = data.decode("utf-8", "replace")
        if not language or spoken_language(language) not in self.package.languages or is_generated(text):
            return []
        licence = self._licences.of(path, text[:_HEAD])
        return list(_functions(self.package.name, path, data, language, licence)) if licence else []


def _functions(tree: str, path: str, data: bytes, language: str, licence: str) -> Iterator[Function]:
    around: list[Described] = []
    for one in definitions(language, data):
        while around and around[-1].end < one.end:
            around.pop()
        scope = ".".join(outer.name for outer in around)
        around.append(one)
        if one.kind not in ("function", "method"):
            continue
        name = f"{scope}.{one.name}" if scope else one.name
        decorators = _decorator_lines(data, one) if language == "python" else 0
        yield Function(
            tree,
            path,
            one.first + decorators + 1,
            one.last + 1,
            name,
            spoken_language(language),
            licence,
            one.comment,
            one.code,
        )


def _decorator_lines(data: bytes, one: Described) -> int:
    """Lines before the `def` of a decorated definition."""
    lines = data[one.begin : one.end].split(b"\n")
    if not lines[0].startswith(b"@"):
        return 0
    heads = (b"def ", b"async ", b"class ")
    return next((n for n, line in enumerate(lines) if line.strip().startswith(heads)), 0)
