"""A small random bundle with exit 0 alone, made without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bundle.manifest import write_manifest
from bundle.static import write_static

SPECIALS = ["<pad>", "<unk>", "<sep>", "<cls>", "<mask>"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = [
    "parse",
    "json",
    "pars",
    "##er",
    "##ing",
    "retry",
    "up",
    "##load",
    "##loads",
    "file",
    "read",
    "naïve",
    "日本",
]
PIECES = [*SPECIALS, "(", "_", ".", *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
DIMENSION = 32


def make_bundle(folder: Path, **changes: Any) -> Path:
    """Write an exit-0 bundle with random rows into `folder`; `changes` override the manifest's fields."""
    folder.mkdir(parents=True, exist_ok=True)
    table = np.random.default_rng(7).normal(size=(len(PIECES), DIMENSION)).astype(np.float32)
    table[: len(SPECIALS)] = 0.0
    static = write_static(folder, table, PIECES, changes.pop("tf", "log1p"), 100)
    fields = {
        "name": "random",
        "version": "0",
        "licence": "Apache-2.0",
        "dimension": DIMENSION,
        "max_tokens": 64,
        "prompts": {"code": "", "query": ""},
        "tokenizer": "",
        "static": static,
        "exits": [{"depth": 0, "dimension": DIMENSION, "precision": "int8", "file": static["table"]}],
        "gpu": None,
        "calibration": {},
        "provenance": {},
        "validation": {},
    }
    write_manifest(folder, {**fields, **changes})
    return folder
