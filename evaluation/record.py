"""What every result carries so that it can be traced and repeated, and the one way results are written.

A record is a JSON file with everything and a Markdown file with the tables, side by side, named by date, by
what was measured and by the digest of the bundle. No absolute path goes into either.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# Long enough to tell bundles and inputs apart at a glance.
SHORT = 12


@dataclass(slots=True)
class Record:
    """One run of one benchmark: where its numbers come from, the numbers, and the tables made of them."""

    what: str
    command: str
    bundle: str
    inputs: Mapping[str, str]
    results: dict[str, Any] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"))

    def write(self, out: Path) -> Path:
        """Write `<out>/<date>-<what>-<bundle>.json` and `.md`; returns the latter's path."""
        out.mkdir(parents=True, exist_ok=True)
        stem = f"{self.date[:10]}-{self.what}-{self.bundle[:8] or 'no-model'}"
        head = {
            "what": self.what,
            "date": self.date,
            "command": self.command,
            "code": code_version(),
            "machine": machine(),
            "bundle": self.bundle,
            "inputs": dict(self.inputs),
            "notes": self.notes,
        }
        (out / f"{stem}.json").write_text(
            json.dumps(head | {"results": self.results}, indent=1, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )
        text = out / f"{stem}.md"
        text.write_text(self.markdown(head), encoding="utf-8")
        return text

    def markdown(self, head: Mapping[str, Any]) -> str:
        """The tables under a heading that says where they come from."""
        described = head["machine"]
        lines = [
            f"# {self.what}, {self.date}",
            "",
            f"    {self.command}",
            "",
            f"- machine: {described['cpu']}, {described['cores']} cores, {described['memory']}, "
            f"Python {described['python']}, {described['system']}",
            f"- code: {head['code'] or 'not under version control'}",
            f"- bundle: {self.bundle[:SHORT] or 'none'}",
            f"- inputs: {len(self.inputs)}, together `{_together(self.inputs)[:SHORT]}` (each in the JSON)",
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines) + "\n\n" + "\n\n".join(self.tables) + "\n"


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table under a heading, columns padded so that it also reads as plain text."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return f"## {title}\n\n" + "\n".join(lines)


def command_line(module: str, argv: Sequence[str]) -> str:
    """The command as typed, each path cut down to its last name."""
    words = []
    for word in argv:
        option, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            words.append(f"{option}={_bare(value)}")
        else:
            words.append(_bare(word))
    return f"python -m {module} " + shlex.join(words)


def _bare(word: str) -> str:
    return " ".join(Path(part).name or part if os.sep in part else part for part in word.split(" "))


def machine() -> dict[str, Any]:
    """The machine in words."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown memory"


def load() -> str:
    """How busy the machine is, for results that are timings."""
    try:
        return f"load average {os.getloadavg()[0]:.1f}"
    except (AttributeError, OSError):
        return "load unknown"


def code_version() -> str:
    """Commit of the checkout this file lies in, with `-dirty` when its code was changed; "" outside one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parents[1]), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "*.py")
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _together(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def tree_digest(root: Path) -> str:
    """sha256 over the sorted paths below `root` and what the files hold."""
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def progress(text: str) -> None:
    """One line of progress on standard error, overwritten on a terminal, silent in a pipe."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}" if text else "\r\x1b[K")
        sys.stderr.flush()
