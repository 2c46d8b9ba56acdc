"""Clone detection in CodeXGLUE's layout: POJ-104, which is searched, and BigCloneBench, told by pairs.

POJ-104 is a folder with `test.jsonl` (label, index, code; also train and valid): each program asks for the
others that solve its problem. BigCloneBench is one with `data.jsonl` (idx, func) and `train.txt`,
`valid.txt`, `test.txt`, a pair and 1 or 0 a line.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.published.files import rows
from evaluation.published.retrieval import RetrievalSet
from evaluation.record import file_digest
from evaluation.sets import SetError


def load_poj104(folder: Path, split: str = "test") -> RetrievalSet:
    """Programs that ask for those of the same problem; MAP@R is its metric."""
    path = folder / f"{split}.jsonl"
    codes: list[str] = []
    problems: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows(path):
        problems[row.text("label")].append(len(codes))
        codes.append(row.text("code"))
    # One for all of a problem, itself among them: 500 programs each of 500 would be 6 million entries.
    answers = {
        row: same for found in problems.values() for same in [dict.fromkeys(found, 1)] for row in found
    }
    if lonely := sum(len(members) == 1 for members in problems.values()):
        raise SetError(f"{path}: {lonely} programs are alone with their label and have nothing to find")
    return RetrievalSet(
        name=f"poj-104 {split}",
        queries=tuple(codes),
        documents=tuple(codes),
        relevant=tuple(answers[row] for row in range(len(codes))),
        code_asks=True,
        among_themselves=True,
        digests={path.name: file_digest(path)},
    ).checked()


@dataclass(frozen=True, slots=True)
class ClonePairs:
    """Pairs of functions. first, second: rows of the functions [n]; clone: whether they do the same [n]."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    clone: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.clone)


@dataclass(frozen=True, slots=True)
class BigCloneBench:
    """The functions, and the pairs of each split that is there."""

    functions: tuple[str, ...]
    splits: dict[str, ClonePairs]
    digests: dict[str, str]

    def pairs(self, split: str) -> ClonePairs:
        """Those of a split; SetError where it has none."""
        if split not in self.splits:
            raise SetError(f"BigCloneBench without {split}.txt, or with nothing in it")
        return self.splits[split]


def load_bigclonebench(folder: Path) -> BigCloneBench:
    """The set in `folder`; SetError, in one line, for files that are missing or broken."""
    path = folder / "data.jsonl"
    place_of: dict[str, int] = {}
    functions: list[str] = []
    for row in rows(path):
        place_of[row.text("idx")] = len(functions)
        functions.append(row.text("func"))
    splits, digests = {}, {path.name: file_digest(path)}
    for split in ("train", "valid", "test"):
        if (file := folder / f"{split}.txt").is_file():
            if len(found := _pairs(file, place_of)):
                splits[split] = found
            digests[file.name] = file_digest(file)
    return BigCloneBench(tuple(functions), splits, digests)


def _pairs(file: Path, place_of: dict[str, int]) -> ClonePairs:
    found: list[tuple[int, int, int]] = []
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SetError(f"{file} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 3 or words[2] not in ("0", "1"):
            raise SetError(f"{file}, line {number} is not two numbers of functions and 1 or 0: {line[:60]!r}")
        for name in words[:2]:
            if name not in place_of:
                raise SetError(f"{file}, line {number}: function {name} is not in data.jsonl")
        found.append((place_of[words[0]], place_of[words[1]], int(words[2])))
    table = np.asarray(found, dtype=np.int64).reshape(-1, 3)
    return ClonePairs(table[:, 0], table[:, 1], table[:, 2] == 1)
