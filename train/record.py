"""A dated folder a run in train/records/: what was told, what was read, what came out."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.record import machine
from train.curve import draw

RECORDS = Path(__file__).with_name("records")


def write_record(
    name: str,
    config: dict[str, Any],
    data: dict[str, Any],
    curve: Sequence[dict[str, Any]],
    result: dict[str, Any],
    command: str,
    remarks: str = "",
    tables: Sequence[str] = (),
    root: Path = RECORDS,
) -> Path:
    """Write config.json, data.json, curve.csv and its picture, result.json and README.md; returns the folder.

    tables: Markdown for the README, each a block of its own.
    """
    folder = root / f"{datetime.date.today().isoformat()}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if curve:
        fields = list(dict.fromkeys(key for row in curve for key in row))
        with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fields)
            writer.writeheader()
            writer.writerows(curve)
        if "step" in fields:
            draw([folder], folder / "curve.svg")
    at = machine()
    lines = [
        f"# {name}",
        "",
        remarks,
        "",
        *(line for block in tables for line in (block, "")),
        f"Command: `{command}`",
        "",
        f"Machine: {at['cpu']}, {at['cores']} cores, {at['memory']}, Python {at['python']}",
        "",
        "Data: " + ", ".join(f"`{file}` {digest[:12]}" for file, digest in data.get("files", {}).items()),
        "",
        data.get("line", ""),
    ]
    (folder / "README.md").write_text("\n".join(lines).strip() + "\n", encoding="utf-8")
    (folder / "data.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return folder
