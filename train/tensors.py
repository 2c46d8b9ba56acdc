"""What a model's folder holds: its weights by name, read one tensor at a time, and its JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.encoder import CheckpointError

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"


class Tensors(Mapping[str, Tensor]):
    """{name: tensor} of `model.safetensors`, or of the files that its index names.

    A tensor is in memory as long as the caller keeps it. CheckpointError, in one line, for a file that is
    missing or cut short.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = _files(folder)
        self._file_of: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for file in self.files:
            try:
                with safe_open(file, "pt") as opened:
                    names = opened.keys()
                    for name in names:
                        self._file_of[name] = file
                        self._shapes[name] = tuple(opened.get_slice(name).get_shape())
            except FileNotFoundError:
                raise CheckpointError(f"{folder}: {file.name} is missing") from None
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{folder}: the weights are cut short or damaged ({error})") from error

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self._file_of[name], "pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, without reading it."""
        return self._shapes[name]


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if not index.is_file():
        return [folder / WEIGHTS]
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{folder}: {INDEX} is no index of weights ({error})") from error
    return sorted(folder / Path(name).name for name in names)


def read_json(folder: Path, name: str, error: type[Exception] = CheckpointError) -> dict[str, Any]:
    """The object in a JSON file of a model's folder; `error`, in one line, where there is none."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{folder}: no model here (no {name})") from None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise error(f"{folder}: {name} is not readable as JSON")
    return found
