"""Flipped bits, zeroed sectors, cuts and garbage in every file of an index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from bench.torture.material import Counts, Rounds, answers
from modstar_lsp.errors import ModstarError
from modstar_lsp.index import DamagedIndex
from modstar_lsp.workspace import Workspace

_SECTOR = 512


def _bit(content: bytearray, at: int, chance: Random) -> None:
    content[at] ^= 1 << chance.randrange(8)


def _byte(content: bytearray, at: int, chance: Random) -> None:
    content[at] = chance.randrange(256)


def _sector(content: bytearray, at: int, chance: Random) -> None:
    begin = at // _SECTOR * _SECTOR
    content[begin : begin + _SECTOR] = bytes(len(content[begin : begin + _SECTOR]))


def _page(content: bytearray, at: int, chance: Random) -> None:
    begin = at // 4096 * 4096
    content[begin : begin + 4096] = chance.randbytes(len(content[begin : begin + 4096]))


def _cut(content: bytearray, at: int, chance: Random) -> None:
    del content[at:]


KINDS: dict[str, Callable[[bytearray, int, Random], None]] = {
    "bit": _bit, "byte": _byte, "zeroed sector": _sector, "garbage page": _page, "cut": _cut,
}  # fmt: skip


def damage(root: Path, base: Path, asked: list[str], chance: Random, rounds: Rounds, counts: Counts) -> None:
    """Damages the index of `root` again and again, and compares what is answered then with the sound index.

    base: an empty folder for indexes.  Asked as it stands, an index may answer as before or say that it is
    damaged; after a refresh it has to answer as before.
    """
    sound = base / "sound"
    with Workspace.open(root, index_dir=sound) as workspace:
        workspace.refresh()
        workspace.deepen(workspace.encoder.bundle.exits[-1].depth)
        encoder = workspace.encoder
        expected = answers(workspace, asked)
        # A second copy while the log is not folded in yet.
        with_log = base / "with-log"
        shutil.copytree(sound, with_log)
    with Workspace.open(root, index_dir=base / "fresh", encoder=encoder) as workspace:
        workspace.refresh()
        renewed = answers(workspace, asked)  # not deepened: what a rebuilt index answers at first

    def trial(number: int, name: str) -> None:
        folder = base / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(with_log if number % 4 == 0 else sound, folder)
        files = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size]
        file = chance.choices(files, [file.stat().st_size for file in files])[0]
        content = bytearray(file.read_bytes())
        KINDS[name](content, chance.randrange(len(content)), chance)
        file.write_bytes(content)
        has_log = any(one.name.endswith("-wal") and one.stat().st_size for one in files)
        if not has_log:  # a damaged log leaves an older state, which only a refresh can tell from the newest
            _as_it_stands(root, folder, asked, expected, encoder, f"{name} in {file.name}", counts)
        told: list[DamagedIndex] = []

        def recover(error: DamagedIndex) -> bool:
            told.append(error)
            workspace.refresh()
            return True

        with Workspace.open(root, index_dir=folder, encoder=encoder) as workspace:
            for _ in range(2):
                try:
                    workspace.refresh()
                    workspace.read(lambda snapshot: snapshot.n, recover)
                    found = answers(workspace, asked)
                    break
                except DamagedIndex as error:
                    told.append(error)
            rebuilt = bool(told or workspace.notice)
            if found == expected:
                counts.outcomes["answered as before"] += 1
            elif found == renewed and (rebuilt or has_log):
                counts.outcomes["rebuilt, and said so"] += 1
            else:
                counts.fault("silently wrong", f"{name} in {file.name}, after a refresh")

    number = 0
    while rounds:
        name = list(KINDS)[number % len(KINDS)]
        counts.tried[name] += 1
        counts.guarded(f"damage {number}: {name}", lambda number=number, name=name: trial(number, name))  # type: ignore[misc]
        number += 1


def _as_it_stands(
    root: Path,
    folder: Path,
    asked: list[str],
    expected: dict[str, object],
    encoder: object,
    what: str,
    counts: Counts,
) -> None:
    try:
        with Workspace.open(root, index_dir=folder, encoder=encoder, write=False) as workspace:  # type: ignore[arg-type]
            if answers(workspace, asked) != expected:
                counts.fault("silently wrong", what)
    except ModstarError as error:
        counts.outcomes["refused in a line" if "\n" not in str(error) else "refused in several lines"] += 1
