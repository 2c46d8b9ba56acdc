"""The model on disk: a folder with `modstar.json` and the files that it names, nothing else is trusted.

Opening a bundle checks the manifest and the size of every file. The digest of a file is checked when that
file is first loaded (`Bundle.verified`), so a process that answers from exit 0 never reads the deeper graphs.
"""

from __future__ import annotations

import json
import mmap
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from modstar_lsp.errors import BundleError, reason
from modstar_lsp.files.opening import read_regular

MANIFEST = "modstar.json"

# Raised when an older runtime could no longer read what export/ writes. 2: exits that build on exit 0.
BUNDLE_FORMAT = 2

# Plain names only: a manifest can never point outside its own folder, on any system.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

# A manifest is a few kilobytes; anything larger is not one.
MAX_MANIFEST_BYTES = 1 << 20

# How the number of times a word piece occurs in a text becomes its weight at exit 0.
TF_WEIGHTS = ("linear", "log1p", "sqrt")

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "bundles" / "default"


class Exit(NamedTuple):
    """One depth at which the model can answer; depth 0 is the table, the others are ONNX graphs."""

    depth: int
    dimension: int
    precision: str
    file: str
    data: str = ""  # the file with the graph's weights, shared between exits ("" for exit 0)
    residual: bool = False  # its graph also reads exit 0's vector of the text, and adds to it
    query_ground: float = 1.0  # how often exit 0's vector counts there when the text is a question


class Static(NamedTuple):
    """What exit 0 is made of: int8 rows, a scale for each, and the word pieces they stand for."""

    table: str
    scales: str
    vocabulary: str
    tf: str
    max_word_chars: int

    @property
    def files(self) -> tuple[str, str, str]:
        """The names of its files in the bundle."""
        return self.table, self.scales, self.vocabulary


class FileRecord(NamedTuple):
    """What the manifest says about one file."""

    bytes: int
    sha256: str


class RerankerExit(NamedTuple):
    """One exit: its graph, which reads on from the exit before it, and the scales of its two cosines."""

    depth: int
    file: str
    late_scale: float
    mean_scale: float


class RerankerFiles(NamedTuple):
    """What a bundle's manifest says of its reranker."""

    exits: tuple[RerankerExit, ...]
    data: str
    tokenizer: str
    dimension: int
    question_tokens: int
    code_tokens: int

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> RerankerFiles:
        """Raises KeyError, TypeError or ValueError for a section that is none."""
        exits = tuple(
            RerankerExit(int(e["depth"]), str(e["file"]), float(e["late_scale"]), float(e["mean_scale"]))
            for e in section["exits"]
        )
        depths = [one.depth for one in exits]
        if not depths or depths != sorted(set(depths)) or depths[0] < 1:
            raise ValueError("exits from the shallowest to the deepest, each once")
        sizes = (int(section[name]) for name in ("dimension", "question_tokens", "code_tokens"))
        files = cls(exits, str(section["data"]), str(section["tokenizer"]), *sizes)
        if min(files.dimension, files.question_tokens, files.code_tokens) < 1:
            raise ValueError("sizes of 1 or more")
        return files

    @property
    def names(self) -> tuple[str, ...]:
        """The files that it needs."""
        return (*(one.file for one in self.exits), self.data, self.tokenizer)


class Bundle(NamedTuple):
    """An opened bundle. `digest` is equal for two bundles whose vectors are equal (calibration set aside)."""

    folder: Path
    name: str
    version: str
    licence: str
    digest: str
    dimension: int
    indexed: int  # the first values of a row, made of unit length again, that an index keeps
    max_tokens: int
    exits: tuple[Exit, ...]
    gpu: Exit | None
    static: Static
    tokenizer: str
    prompts: Mapping[str, str]
    paired_prompts: bool  # the prompt is a text before the text (with a separator), not its beginning
    calibration: Mapping[str, Any]
    provenance: Mapping[str, Any]
    validation: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    reranker_section: Mapping[str, Any]  # of the manifest, empty where the bundle has none
    checked: set[str]  # the files whose digest has been found right

    @property
    def reranker(self) -> RerankerFiles | None:
        """The reranker's files, None where the bundle has none; BundleError when the manifest is wrong."""
        if not self.reranker_section:
            return None
        try:
            found = RerankerFiles.from_section(self.reranker_section)
            unknown = [name for name in found.names if name not in self.files]
        except (KeyError, TypeError, ValueError) as error:
            raise _bad(self.folder, f"{MANIFEST}: reranker is not as it should be ({error})") from None
        if unknown:
            raise _bad(self.folder, f"{MANIFEST}: {unknown[0]!r} has no size and digest under files")
        return found

    def exit(self, depth: int) -> Exit:
        """The exit at `depth`; BundleError when the bundle has none there."""
        for candidate in self.exits:
            if candidate.depth == depth:
                return candidate
        have = ", ".join(str(candidate.depth) for candidate in self.exits)
        raise BundleError(f"bundle {self.name} has no exit {depth}; it has {have}")

    def verified(self, name: str) -> Path:
        """Path of a file of the bundle once its digest has been checked (once per opened bundle)."""
        path = self.folder / name
        if name not in self.checked:
            try:
                digest = sha256_of(path)
            except OSError as error:
                raise _unreadable(self.folder, name, error) from None
            if digest != self.files[name].sha256:
                raise _bad(self.folder, f"{name} was altered or damaged (its digest is wrong)")
            self.checked.add(name)
        return path

    def stamp(self) -> str:
        """What the file system says of exit 0's files. They cannot have changed as long as it says the same.

        "" where it cannot tell: Windows keeps no time of change that programs cannot set.
        """
        if sys.platform == "win32":
            return ""
        found = [(self.folder / name).stat() for name in self.static.files]
        return " ".join(f"{s.st_ino} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}" for s in found)

    def verify(self) -> None:
        """Check the digest of every file; BundleError at the first that is wrong."""
        for name in self.files:
            self.verified(name)


def open_bundle(folder: Path | None = None) -> Bundle:
    """Open and check the bundle in `folder` (None: the one that ships inside the package)."""
    folder = DEFAULT_FOLDER if folder is None else Path(folder)
    manifest = _Fields(_read_manifest(folder), folder)
    _check_format(manifest)
    records = {name: _file_record(folder, name, entry) for name, entry in manifest.mapping("files").items()}
    exits = tuple(
        _exit(_Fields(entry, folder, f"exits[{number}]"), records)
        for number, entry in enumerate(manifest.get("exits", list))
    )
    static = _static(_Fields(manifest.mapping("static"), folder, "static"), records)
    depths = [candidate.depth for candidate in exits]
    if not depths or depths[0] != 0 or depths != sorted(set(depths)):
        raise _bad(folder, f"{MANIFEST} must list its exits from 0 up, each once")
    gpu_entry = manifest.raw.get("gpu")
    gpu = None if gpu_entry is None else _exit(_Fields(gpu_entry, folder, "gpu"), records)
    dimension = manifest.positive("dimension")
    if any(candidate.dimension != dimension for candidate in (*exits, *([gpu] if gpu else []))):
        raise _bad(folder, f"{MANIFEST}: its exits differ in dimension, so they cannot share one space")
    indexed = manifest.positive("indexed") if "indexed" in manifest.raw else dimension
    if indexed > dimension:
        raise _bad(folder, f"{MANIFEST}: {indexed} values are indexed where a row has {dimension}")
    tokenizer = manifest.get("tokenizer", str)
    if len(exits) > 1 and tokenizer not in records:
        raise _bad(folder, f"{MANIFEST} names no tokenizer file")
    prompts = manifest.mapping("prompts")
    max_tokens = manifest.positive("max_tokens")
    paired = manifest.raw.get("paired_prompts") is True
    return Bundle(
        folder=folder,
        name=manifest.get("name", str),
        version=manifest.get("version", str),
        licence=manifest.get("licence", str),
        digest=_vector_digest(records, static, max_tokens, prompts, paired),
        dimension=dimension,
        indexed=indexed,
        max_tokens=max_tokens,
        exits=exits,
        gpu=gpu,
        static=static,
        tokenizer=tokenizer,
        prompts={role: str(prompts.get(role, "")) for role in ("code", "query")},
        paired_prompts=paired,
        calibration=manifest.mapping("calibration"),
        provenance=manifest.mapping("provenance"),
        validation=manifest.mapping("validation"),
        files=records,
        reranker_section=manifest.mapping("reranker") if "reranker" in manifest.raw else {},
        checked=set(),
    )


class _Fields:
    """Typed access to one object of the manifest."""

    def __init__(self, raw: Any, folder: Path, where: str = "") -> None:
        self.raw = raw
        self.folder = folder
        self.where = where

    def get(self, key: str, kind: type) -> Any:
        value = self.raw.get(key) if isinstance(self.raw, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            name = f"{self.where}.{key}" if self.where else key
            raise _bad(self.folder, f"{MANIFEST}: {name} is missing or is no {kind.__name__}")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        mapping: dict[str, Any] = self.get(key, dict)
        return mapping

    def positive(self, key: str) -> int:
        value: int = self.get(key, int)
        if value < 1:
            raise _bad(self.folder, f"{MANIFEST}: {key} must be at least 1")
        return value

    def positive_number(self, key: str) -> float:
        value = self.raw.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1000:
            raise _bad(self.folder, f"{MANIFEST}: {self.where}.{key} is no positive number")
        return float(value)

    def flag(self, key: str) -> bool:
        if not isinstance(self.raw.get(key), bool):
            raise _bad(self.folder, f"{MANIFEST}: {self.where}.{key} is no bool")
        return bool(self.raw[key])

    def file(self, key: str, records: Mapping[str, FileRecord]) -> str:
        name: str = self.get(key, str)
        if name not in records:
            raise _bad(self.folder, f"{MANIFEST}: {name!r} has no size and digest under files")
        return name


def _read_manifest(folder: Path) -> Any:
    path = folder / MANIFEST
    try:
        content = read_regular(path, MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"no model bundle at {folder} ({MANIFEST} is missing); export one or reinstall"
        ) from None
    except OSError as error:
        raise _unreadable(folder, MANIFEST, error) from None
    if len(content) > MAX_MANIFEST_BYTES:
        raise _bad(folder, f"{MANIFEST} is too large to be a manifest")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise _bad(folder, f"{MANIFEST} is not valid JSON") from None


def _check_format(manifest: _Fields) -> None:
    version = manifest.get("format", int)
    if version > BUNDLE_FORMAT:
        raise BundleError(
            f"bundle {manifest.folder} was made by a newer modstar "
            f"(format {version}, this one reads {BUNDLE_FORMAT}); upgrade"
        )
    if version < 1:
        raise _bad(manifest.folder, f"unknown format {version}")


def _file_record(folder: Path, name: str, entry: Any) -> FileRecord:
    if not PLAIN_NAME.fullmatch(name):
        raise _bad(folder, f"{MANIFEST} names {name!r}, which is no plain file name")
    fields = _Fields(entry, folder, f"files.{name}")
    record = FileRecord(bytes=fields.get("bytes", int), sha256=fields.get("sha256", str))
    try:
        size = (folder / name).stat().st_size
    except OSError:
        raise _bad(folder, f"{name} is missing") from None
    if size != record.bytes:
        raise _bad(folder, f"{name} has {size} bytes instead of {record.bytes}")
    return record


def _exit(fields: _Fields, records: Mapping[str, FileRecord]) -> Exit:
    depth: int = fields.get("depth", int)
    return Exit(
        depth=depth,
        dimension=fields.positive("dimension"),
        precision=fields.get("precision", str),
        file=fields.file("file", records),
        data=fields.file("data", records) if depth else "",
        residual=bool(depth) and "residual" in fields.raw and fields.flag("residual"),
        query_ground=fields.positive_number("query_ground") if "query_ground" in fields.raw else 1.0,
    )


def _static(fields: _Fields, records: Mapping[str, FileRecord]) -> Static:
    tf: str = fields.get("tf", str)
    if tf not in TF_WEIGHTS:
        raise _bad(fields.folder, f"{MANIFEST}: static.tf is {tf!r}, not one of {', '.join(TF_WEIGHTS)}")
    return Static(
        table=fields.file("table", records),
        scales=fields.file("scales", records),
        vocabulary=fields.file("vocabulary", records),
        tf=tf,
        max_word_chars=fields.positive("max_word_chars"),
    )


def _vector_digest(
    records: Mapping[str, FileRecord],
    static: Static,
    max_tokens: int,
    prompts: Mapping[str, Any],
    paired: bool,
) -> str:
    """Digest of whatever decides the vectors: re-calibrating scores must not throw an index away."""
    decisive = [
        {name: record.sha256 for name, record in records.items()},
        [static.table, static.scales, static.vocabulary, static.tf, static.max_word_chars],
        [max_tokens, dict(prompts), *(["paired"] if paired else [])],
    ]
    return sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return sha256().hexdigest()
        # In one piece, so that another thread is let in once and for long: between the blocks of a file it
        # would have to ask for the interpreter again, for up to 5 ms each.
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return sha256(content).hexdigest()


def _unreadable(folder: Path, name: str, error: OSError) -> BundleError:
    return BundleError(f"bundle {folder}: {name} cannot be read ({reason(error)})")


def _bad(folder: Path, problem: str) -> BundleError:
    return BundleError(f"bundle {folder}: {problem}; export it again or reinstall")
