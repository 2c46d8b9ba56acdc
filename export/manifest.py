"""Writing a bundle's manifest: the counterpart of `modstar_lsp.encoder.bundle`, which reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modstar_lsp.encoder.bundle import FORMAT, MANIFEST


def write_manifest(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write `modstar.json`: the format version, `fields`, and size and digest of every other file there."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    _replace(folder / MANIFEST, {"format": FORMAT, **fields, "files": files})


def update_manifest(folder: Path, **sections: Any) -> None:
    """Replace whole sections of a manifest (`calibration={...}`, ...); the files stay as they are."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    unknown = sections.keys() - manifest.keys()
    if unknown:
        raise KeyError(f"{MANIFEST} has no section {', '.join(sorted(unknown))}")
    _replace(path, {**manifest, **sections})


def _replace(path: Path, manifest: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    temporary.replace(path)
