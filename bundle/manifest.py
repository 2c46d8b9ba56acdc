"""Writing a bundle's manifest: the counterpart of `modstar_lsp.encoder.bundle`, which reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modstar_lsp.encoder.bundle import BUNDLE_FORMAT, MANIFEST, sha256_of


def write_manifest(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write `modstar.json`: the format version, `fields`, and size and digest of every other file there."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    _replace(folder / MANIFEST, {"format": BUNDLE_FORMAT, **fields, "files": files})


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


def add_files(folder: Path, files: Sequence[Path], **sections: Mapping[str, Any] | None) -> None:
    """Move `files` into a bundle and set whole optional sections that name them; None takes one out, and
    its files with it. The manifest is replaced last, so that an interrupted call leaves the old bundle."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    kept = manifest["files"]
    old = {name for section in sections for name in _named(manifest.get(section)) if name in kept}
    for section, fields in sections.items():
        manifest.pop(section, None)
        if fields is not None:
            manifest[section] = fields
    for file in files:
        content = file.read_bytes()
        kept[file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / file.name).with_suffix(".tmp").write_bytes(content)
    for file in files:
        (folder / file.name).with_suffix(".tmp").replace(folder / file.name)
    gone = old - {file.name for file in files}
    for name in gone:
        del kept[name]
    _replace(path, manifest)
    for name in gone:
        (folder / name).unlink(missing_ok=True)


def _named(section: Any) -> Iterator[str]:
    """The texts in a section, some of which are names of files."""
    if isinstance(section, Mapping):
        for value in section.values():
            yield from _named(value)
    elif isinstance(section, list):
        for value in section:
            yield from _named(value)
    elif isinstance(section, str):
        yield section
